"""Write a data folder into one file, at one moment, while the server goes on.

The file is a tar archive: a description, a snapshot of the database, and each stored file that
the snapshot refers to, once. Stored files never change and are never removed while a backup is
made, so what the snapshot refers to is there. The key isn't in it.
"""

import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from wandb_server import clock, paths
from wandb_server.blobs import sync_folder
from wandb_server.migrations import MIGRATIONS
from wandb_server.server_error import ServerError
from wandb_server.upkeep.references import digests_in_use, uses
from wandb_server.upkeep.store import Store, connected
from wandb_server.version import VERSION

FORMAT = 1
DESCRIPTION = "backup.json"


@dataclass(frozen=True)
class Description:
    """What a backup says of itself, in its first entry; `size` is the sum in bytes."""

    format: int
    program: str
    migration: str
    created_at: str
    files: int
    size: int


@dataclass(frozen=True)
class Backup:
    """A finished backup; `faults` names what it lacks or holds damaged."""

    description: Description
    faults: list[str]


def write_backup(store: Store, target: Path) -> Backup:
    """Write a backup; a file of that name appears when it is complete and on the disk.

    Args:
        store: The opened data folder; a server may be serving it.
        target: The file to make.

    Raises:
        ServerError: The file exists, or can't be written.
    """
    if target.exists():
        raise ServerError(f"{target} exists: name a new file, or move that one away")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as work:
            return _write(store, target, Path(work))
    except OSError as error:
        place = error.filename or target
        raise ServerError(f"can't write the backup {target}: {error.strerror} ({place})") from error


def _write(store: Store, target: Path, work: Path) -> Backup:
    snapshot = work / paths.DATABASE
    _copy_database(store.connection, snapshot)
    with connected(snapshot) as connection:
        needed = {use.digest for use in uses(connection)}
        digests = sorted(needed | digests_in_use(connection, store.blobs))
    present = {digest: size for digest in digests if (size := store.blobs.size(digest)) is not None}
    faults = [f"{store.blobs.path(digest)}: missing" for digest in sorted(needed - set(present))]
    description = Description(
        format=FORMAT,
        program=VERSION,
        migration=MIGRATIONS[-1].__name__,
        created_at=clock.now(),
        files=len(present),
        size=sum(present.values()),
    )
    draft = work / "backup"
    with draft.open("xb") as file:
        faults += _pack(
            file, description, snapshot, {key: store.blobs.path(key) for key in present}
        )
        file.flush()
        os.fsync(file.fileno())
    draft.rename(target)
    sync_folder(target.parent)
    return Backup(description, faults)


def _copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Copy what is committed now, as one file without a journal beside it."""
    target.touch(mode=0o600)
    with closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def _pack(
    file: BinaryIO, description: Description, snapshot: Path, blobs: dict[str, Path]
) -> list[str]:
    """Write the archive; returns a line for each stored file that isn't what it should be."""
    altered = []
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        text = json.dumps(asdict(description)).encode()
        archive.addfile(_entry(DESCRIPTION, len(text)), io.BytesIO(text))
        with snapshot.open("rb") as content:
            archive.addfile(_entry(paths.DATABASE, snapshot.stat().st_size), content)
        for digest, path in blobs.items():
            with path.open("rb") as content:
                reader = _HashingReader(content)
                size = os.fstat(content.fileno()).st_size
                archive.addfile(_entry(f"{paths.BLOBS}/{digest[:2]}/{digest}", size), reader)
            if reader.digest() != digest:
                altered.append(f"{path}: altered")
    return altered


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


class _HashingReader(io.RawIOBase):
    """Passes a file on and computes its digest on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hasher = hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1) -> bytes:
        """Read at most so many bytes."""
        chunk = self._file.read(size)
        self._hasher.update(chunk)
        return chunk

    def digest(self) -> str:
        """Give the MD5 digest (hex) of what was read."""
        return self._hasher.hexdigest()
