"""The server's key: random, one per data folder, readable by its owner only."""

import os
import re
from pathlib import Path

from wandb_server import paths
from wandb_server.server_error import ServerError

# The SDK refuses keys of fewer than 40 characters.
_WELL_FORMED = re.compile(r"[0-9a-f]{40,128}")


def load_or_create_key(folder: Path) -> str:
    """Read the key of a data folder; the first caller makes it, however many call at once.

    Args:
        folder: The data folder; it exists.

    Returns:
        64 hexadecimal digits.

    Raises:
        ServerError: The file is damaged, or can't be read, written or made private.
    """
    path = folder / paths.KEY
    with paths.folder_errors(folder):
        if not path.exists():
            _create(path)
        paths.keep_private(path)
        key = path.read_text(errors="replace").strip()
    if not _WELL_FORMED.fullmatch(key):
        raise ServerError(
            f"the key file {path} is damaged: it must hold 40 to 128 hexadecimal digits. "
            "Delete it and start the server again to get a new key."
        )
    return key


def is_current(folder: Path, key: str) -> bool:
    """Tell whether a key is still the one of a data folder.

    Args:
        folder: The data folder; it need not exist any more.
        key: The key to compare.

    Raises:
        OSError: The file exists and can't be read.
    """
    try:
        return (folder / paths.KEY).read_text(errors="replace").strip() == key
    except FileNotFoundError:
        return False


def replace_key(folder: Path) -> None:
    """Give a data folder a new key, whatever it had before.

    Args:
        folder: The data folder; it exists.

    Raises:
        ServerError: The file can't be written.
    """
    with paths.folder_errors(folder):
        _write_draft(folder / paths.KEY).replace(folder / paths.KEY)


def _create(path: Path) -> None:
    draft = _write_draft(path)
    try:
        # Unlike a rename, a link never replaces the key that another process made first.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _write_draft(path: Path) -> Path:
    """Write a new key to a private file beside its place."""
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(os.urandom(32).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink()
        raise
    return draft
