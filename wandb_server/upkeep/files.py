"""What lies in the folder of stored files, whatever it should be."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wandb_server.blobs import INCOMING, LOCK, BlobStore, DigestMismatchError

_CHUNK = 1 << 20
_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class StoredFile:
    """A file in the folder; `digest` is what its name says, None for a stray one.

    `size` in bytes, `stored_at` in seconds since 1970: when it was stored or last asked for.
    """

    path: Path
    digest: str | None
    size: int
    stored_at: float


def stored_files(folder: Path) -> Iterator[StoredFile]:
    """Go through the files, in order, but for uploads that are under way.

    Args:
        folder: The folder of stored files.

    Raises:
        OSError: A folder can't be read.
    """
    for place in sorted(folder.iterdir()):
        if place.name in {INCOMING, LOCK}:
            continue
        entries = sorted(place.rglob("*")) if place.is_dir() else [place]
        for path in entries:
            if not path.is_dir():
                yield from _describe(folder, path)


def sizes_by_digest(folder: Path) -> dict[str, int]:
    """Give the size in bytes of each stored file by its digest; stray files are left out."""
    return {file.digest: file.size for file in stored_files(folder) if file.digest}


def store_content(blobs: BlobStore, content: IO[bytes], digest: str) -> bool:
    """Store the rest of a file under a digest (hex MD5), if that is its digest.

    Returns:
        Whether it is; nothing is stored if it isn't.

    Raises:
        OSError: The file can't be read, or the content not written.
    """

    async def chunks() -> AsyncIterator[bytes]:
        while chunk := content.read(_CHUNK):
            yield chunk

    try:
        asyncio.run(blobs.receive(chunks(), digest))
    except DigestMismatchError:
        return False
    return True


def _describe(folder: Path, path: Path) -> Iterator[StoredFile]:
    digest = path.name if _NAME.fullmatch(path.name) else None
    if digest and path != folder / digest[:2] / digest:
        digest = None
    try:
        found = path.lstat()
    except FileNotFoundError:
        return  # replaced by the same content, or moved, since the folder was read
    yield StoredFile(path, digest, found.st_size, found.st_mtime)
