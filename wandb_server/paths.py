"""The data folder: where it is, what lies in it, and errors that name it."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wandb_server.server_error import ServerError

VARIABLE = "WANDB_SERVER_DIR"

KEY = "api_key"  # the key that every request needs
SERVER_LOCK = "server.lock"  # held by the server for its whole life
START_LOCK = "start.lock"  # held by whoever starts a server, so that only one does
PORT = "port"  # where the server listens, or last listened
REMOTE = "remote"  # what other machines call the server, if they can reach it
LOG = "server.log"
DATABASE = "wandb.sqlite3"
BLOBS = "blobs"  # the content of all files, see `blobs.py`

HOW_TO_COPY = (
    "A database may lack what lies in the files beside it: to copy a server's data, use "
    "`python -m wandb_server backup` there and `restore` here, or stop that server and copy "
    "its whole folder."
)


def data_dir() -> Path:
    """Find the data folder that the environment asks for, without touching it.

    Returns:
        Absolute path: the variable WANDB_SERVER_DIR, else the user's data folder.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path  # half of this package's import time

    return user_data_path("wandb-server", appauthor=False)


def prepare(folder: Path) -> None:
    """Make the data folder if need be, open to its owner only.

    Args:
        folder: Absolute path.

    Raises:
        ServerError: It can't be made, is a file, belongs to somebody else, or holds other things,
            such as a database that was copied alone.
    """
    with folder_errors(folder):
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file, not a folder", str(folder))
        if folder.exists() and not _is_ours(folder):
            if (folder / DATABASE).exists():
                raise ServerError(
                    f"the data folder {folder} holds {DATABASE} but no key, so it was copied by "
                    f"hand. {HOW_TO_COPY}"
                )
            # Closing a home or /tmp to everybody else would do harm far from here.
            raise FileExistsError(
                errno.EEXIST,
                "it holds other things than a server's data: name an empty or a new folder",
                str(folder),
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep_private(folder)


def _is_ours(folder: Path) -> bool:
    """Tell whether a folder is empty or holds what a server puts there first."""
    first = {KEY, SERVER_LOCK, START_LOCK, PORT}
    draft = f".{KEY}."  # the key, while another process writes it
    names = [entry.name for entry in folder.iterdir()]
    return not names or any(name in first or name.startswith(draft) for name in names)


def keep_private(path: Path) -> None:
    """Take away what the group and others may do with a file or folder.

    Args:
        path: An existing file or folder.

    Raises:
        OSError: The mode can't be changed: it belongs to somebody else.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        path.chmod(mode & 0o700)


def sizes(folder: Path) -> dict[str, int]:
    """Add up what lies in a folder.

    Args:
        folder: The data folder; it need not exist.

    Returns:
        Bytes by name of file or folder, sorted by name.

    Raises:
        OSError: A folder can't be read.
    """
    if not folder.exists():
        return {}
    return {entry.name: _size(entry) for entry in sorted(folder.iterdir())}


def _size(path: Path) -> int:
    try:
        if path.is_dir():
            return sum(_size(entry) for entry in path.iterdir())
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # deleted while the sizes were added up


def replace_text(path: Path, text: str) -> None:
    """Write a small private file whole or not at all.

    Args:
        path: File to make or replace; its folder exists.
        text: New content.

    Raises:
        OSError: The folder can't be written, or the disk is full.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600)
        draft.write_text(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusals into an error that names the folder and the way out.

    Args:
        folder: The data folder in use.

    Raises:
        ServerError: For any OSError in the block.
    """
    try:
        yield
    except OSError as error:
        raise ServerError(unusable(folder, error)) from error


def unusable(folder: Path, cause: Exception) -> str:
    """Say why the data folder can't be used.

    Args:
        folder: The data folder.
        cause: What went wrong with it.

    Returns:
        A message with the folder, the cause and the way out.
    """
    reason = getattr(cause, "strerror", None) or str(cause)
    place = getattr(cause, "filename", None) or folder
    is_full = getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    mend = "Make room there" if is_full else "Mend that"
    return (
        f"can't use the data folder {folder}: {reason} ({place}). "
        f"{mend}, or set the variable {VARIABLE} to a folder that you can write to."
    )
