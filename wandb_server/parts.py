"""Large files that come in parts: kept apart until all are there, then joined to one file.

A part lies in `blobs/parts/<digest of the file>/<number>-<digest of the part>`, so an upload
goes on after a restart, and parts that come twice change nothing. Nobody sees the file before
all of it has its announced digest. What is never completed, `gc` removes.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wandb_server import locks
from wandb_server.blobs import BlobStore, check_digest, sync_folder
from wandb_server.errors import ClientError, StorageError
from wandb_server.intake import Body, take_in, write_back

FOLDER = "parts"
# As many as S3 takes, which is what the SDK keeps to.
MAX_PARTS = 10_000
_LOCK = "joining"
_LOCK_SECONDS = 20.0  # the SDK asks again after 30
_PIECE = 1 << 20


@dataclass(frozen=True)
class Part:
    """A part of a file: its number from 1, and the hex MD5 of its content."""

    number: int
    digest: str


async def receive_part(blobs: BlobStore, body: Body, upload: str, part: Part) -> None:
    """Keep a part as it arrives; it is on the disk when this returns.

    Args:
        blobs: Where the file will be stored.
        body: The content of the part.
        upload: Digest (hex MD5) of the whole file.
        part: Which part it is.

    Raises:
        DigestMismatchError: The content has another digest; it isn't kept.
        OSError: The disk is full or can't be written; the part isn't kept.
    """
    place = _place(blobs, upload, part)

    def keep(file: BinaryIO, digest: str) -> None:
        check_digest(digest, part.digest)
        _keep(file, place)

    await take_in(body, blobs.temporary, keep)


def join_parts(blobs: BlobStore, upload: str, parts: Sequence[Part]) -> None:
    """Make one file of its parts, and forget them; does nothing for a file that is stored.

    Args:
        blobs: Where the file is to be stored.
        upload: Digest (hex MD5) of the whole file.
        parts: All of them, in any order.

    Raises:
        ClientError: Parts are missing, or aren't those that were sent.
        DigestMismatchError: The parts make up another file; nothing is stored.
        StorageError: Another request joins them just now, and takes long.
        OSError: The disk is full or can't be written; nothing is stored.
    """
    if blobs.holds(upload):  # the answer to an earlier request was lost
        return
    places = list(_find(blobs, upload, parts))
    with _alone(places[0].parent):
        if blobs.holds(upload):
            return
        with blobs.temporary() as file:
            try:
                check_digest(_join(places, file), upload)
                blobs.publish(file, upload)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        blobs.settle([upload])
        shutil.rmtree(places[0].parent)


def _place(blobs: BlobStore, upload: str, part: Part) -> Path:
    """Give the path of a part.

    Raises:
        ClientError: A digest isn't one, or the number is out of bounds.
    """
    blobs.path(part.digest)
    if not 1 <= part.number <= MAX_PARTS:
        raise ClientError(f"part {part.number}: parts have numbers from 1 to {MAX_PARTS}")
    return blobs.path(upload).parents[1] / FOLDER / upload / f"{part.number}-{part.digest}"


def _keep(file: BinaryIO, place: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    if not place.parent.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(place.parents[1])
        sync_folder(place.parents[2])
    Path(file.name).replace(place)
    sync_folder(place.parent)


def _find(blobs: BlobStore, upload: str, parts: Sequence[Part]) -> Iterator[Path]:
    """Give the parts' files in order."""
    wanted = sorted(parts, key=lambda part: part.number)
    if not parts or [part.number for part in wanted] != list(range(1, len(wanted) + 1)):
        raise ClientError("send each part of the file once, numbered from 1")
    for part in wanted:
        place = _place(blobs, upload, part)
        if not place.exists():
            raise ClientError(f"part {part.number} of {upload} wasn't uploaded: upload it again")
        yield place


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other requests from joining the same parts: the first one to end serves them all."""
    try:
        with locks.held(folder / _LOCK, _LOCK_SECONDS) as had:
            if not had:
                raise StorageError(f"{folder}: these parts are being joined: ask again")
            yield
    except FileNotFoundError as error:
        raise StorageError(f"{folder}: these parts were being joined: ask again") from error


def _join(places: Sequence[Path], file: BinaryIO) -> str:
    """Copy files one after the other, hashing one piece while the next is copied."""
    hasher = hashlib.md5(usedforsecurity=False)
    buffers = [memoryview(bytearray(_PIECE)) for _ in range(2)]
    with ThreadPoolExecutor(1) as hashing:
        done = hashing.submit(hasher.update, b"")
        size = 0
        for place in places:
            with place.open("rb", buffering=0) as part:
                while count := part.readinto(buffers[0]):
                    file.write(buffers[0][:count])
                    write_back(file, size, size + count)
                    size += count
                    done.result()
                    done = hashing.submit(hasher.update, buffers[0][:count])
                    buffers.reverse()
        done.result()
    return hasher.hexdigest()
