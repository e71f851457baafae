"""Make a data folder from a backup, whole or not at all."""

import json
import os
import re
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from wandb_server import locks, paths
from wandb_server.blobs import BlobStore, sync_folder
from wandb_server.database import Database
from wandb_server.errors import NewerDatabaseError
from wandb_server.server_error import ServerError
from wandb_server.upkeep.backup import DESCRIPTION, FORMAT, Description
from wandb_server.upkeep.files import store_content
from wandb_server.version_rows import spread_version_rows

_BLOB = re.compile(rf"{paths.BLOBS}/([0-9a-f]{{2}})/(\1[0-9a-f]{{30}})")
_DRAFT = "restoring"  # folder of what was unpacked so far
_CHUNK = 1 << 20
_LOCK_SECONDS = 0.5
# What makes up the data; the rest of the folder is the key, locks and logs.
_DATA = (paths.DATABASE, f"{paths.DATABASE}-wal", f"{paths.DATABASE}-shm", paths.BLOBS)


def restore_backup(source: Path, folder: Path, *, replace: bool = False) -> Path | None:
    """Unpack a backup into a data folder and bring its database up to date.

    Files whose content isn't what their name says are left out; a check names them.

    Args:
        source: The backup.
        folder: The data folder, made if need be; its key stays as it is.
        replace: Whether to put what the folder holds aside, into a folder inside it.

    Returns:
        Where the former data was put; None if there was none.

    Raises:
        ServerError: A server runs, the folder holds data already, the file isn't a whole
            backup, a newer program wrote it, or something can't be read or written.
    """
    paths.prepare(folder)
    with paths.folder_errors(folder), _no_server(folder):
        held = [folder / name for name in _DATA if (folder / name).exists()]
        if held and not replace:
            raise ServerError(
                f"the data folder {folder} holds data already: set the variable {paths.VARIABLE} "
                "to a new folder, or give --replace, which puts what is there aside"
            )
        draft = folder / _DRAFT
        if draft.exists():
            shutil.rmtree(draft)  # a restore was killed
        draft.mkdir(mode=0o700)
        try:
            _unpack(source, draft)
            aside = _put_aside(folder, held) if held else None
            for name in (paths.BLOBS, paths.DATABASE):
                (draft / name).rename(folder / name)
            sync_folder(folder)
            return aside
        finally:
            shutil.rmtree(draft)


@contextmanager
def _no_server(folder: Path) -> Iterator[None]:
    """Keep servers from starting for the length of a block, provided that none runs."""
    with locks.held(folder / paths.SERVER_LOCK, _LOCK_SECONDS) as had:
        if not had:
            raise ServerError(
                f"a server runs on {folder}: stop it first: python -m wandb_server stop"
            )
        yield


def _put_aside(folder: Path, held: list[Path]) -> Path:
    aside = folder / f"replaced.{time.strftime('%Y-%m-%d-%H%M%S')}"
    aside.mkdir(mode=0o700)
    for path in held:
        path.rename(aside / path.name)
    return aside


def _unpack(source: Path, folder: Path) -> None:
    with _opened(source) as archive:
        description = _describe(archive)
        found = _unpack_data(archive, folder)
    if found != description.files:
        raise ServerError(
            f"{source} is no whole backup: it holds {found} of {description.files} files"
        )
    _update(folder / paths.DATABASE, source)


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with source.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            yield archive
    except (tarfile.TarError, EOFError) as error:
        raise ServerError(f"{source} is no whole backup: {error}") from error
    except OSError as error:
        if error.filename == str(source):
            raise ServerError(f"can't read the backup {source}: {error.strerror}") from error
        raise


def _describe(archive: tarfile.TarFile) -> Description:
    first = archive.next()
    content = archive.extractfile(first) if first and first.name == DESCRIPTION else None
    if content is None:
        raise tarfile.ReadError(f"its first entry isn't {DESCRIPTION}")
    try:
        description = Description(**json.load(content))
    except (TypeError, ValueError) as error:
        raise tarfile.ReadError(f"{DESCRIPTION} can't be read: {error}") from error
    if description.format != FORMAT:
        raise ServerError(
            f"the backup was made by version {description.program} in format "
            f"{description.format}, this program reads format {FORMAT}: use the newer program"
        )
    return description


def stored_in(source: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Go through the stored files of a backup, as digest (hex MD5) and content.

    Raises:
        ServerError: The file isn't a backup, or can't be read.
    """
    with _opened(source) as archive:
        for entry in archive:
            blob = _BLOB.fullmatch(entry.name)
            content = archive.extractfile(entry) if entry.isreg() else None
            if content and blob:
                yield blob[2], content


def _unpack_data(archive: tarfile.TarFile, folder: Path) -> int:
    """Take the database and the stored files, by names that can't lead anywhere else."""
    blobs = BlobStore(folder / paths.BLOBS)
    found = 0
    for entry in archive:
        content = archive.extractfile(entry) if entry.isreg() else None
        blob = _BLOB.fullmatch(entry.name)
        if content and blob:
            # One that was damaged already is left out; its backup said so.
            store_content(blobs, content, blob[2])
            found += 1
        elif content and entry.name == paths.DATABASE:
            with (folder / paths.DATABASE).open("xb") as file:
                shutil.copyfileobj(content, file, _CHUNK)
                file.flush()
                os.fsync(file.fileno())
        elif entry.name != DESCRIPTION:
            raise tarfile.ReadError(f"it holds {entry.name!r}, which no backup does")
    return found


def _update(database: Path, source: Path) -> None:
    """Bring the database to this program's schema, tell it from the one that it is a copy of."""
    try:
        opened = Database(database)
    except NewerDatabaseError as error:
        raise ServerError(f"{source}: {error}") from error
    with opened.write() as connection:
        spread_version_rows(connection)
    opened.close()  # which folds its journal in
