"""A body on its way to the disk: hashed, written and sent to the device while it arrives."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from wandb_server.connection import LargeBody
from wandb_server.threads import in_thread, to_its_end

Chunk = bytes | bytearray | memoryview
Body = LargeBody | AsyncIterator[bytes]
_BUFFER = 1 << 20
_SMALL = 2 << 20  # bytes of a body: less isn't worth another thread
_WRITE_BACK = 16 << 20
_HASHING = ThreadPoolExecutor(8)  # its threads start when there is work


async def take_in(
    body: Body, make: Callable[[], BinaryIO], keep: Callable[[BinaryIO, str], None]
) -> tuple[str, int]:
    """Store a body as it arrives, in constant memory.

    Most files are small: those take a single turn of the thread pool.

    Args:
        body: The content.
        make: Opens a new file.
        keep: Given that file with all of the content and its digest (hex MD5): gives it a name,
            or raises.

    Returns:
        Digest and size in bytes of what was stored.

    Raises:
        OSError: The disk is full or can't be written.
    """
    intake = _Intake(make, keep)
    try:
        if isinstance(body, LargeBody):
            await body.pour(intake.store, intake.end)
        else:
            await _copy(body, intake)
    except BaseException:
        intake.discard()
        raise
    finally:
        intake.close()
    return intake.digest, intake.size


async def _copy(chunks: AsyncIterator[bytes], intake: "_Intake") -> None:
    part = bytearray()
    async for chunk in chunks:
        if len(part) >= _BUFFER:
            await to_its_end(in_thread(intake.store, part))
            part = bytearray()
        part += chunk
    await to_its_end(in_thread(intake.end, part))


class _Intake:
    """What has come of one body."""

    def __init__(self, make: Callable[[], BinaryIO], keep: Callable[[BinaryIO, str], None]) -> None:
        self._make = make
        self._keep = keep
        self._file: BinaryIO | None = None
        self._hasher = hashlib.md5(usedforsecurity=False)
        self._hashing: Future[None] | None = None
        self.size = 0

    @property
    def digest(self) -> str:
        self._await_hash()
        return self._hasher.hexdigest()

    def store(self, chunk: Chunk) -> None:
        """Write a chunk while it is hashed; that may go on until the next one is given."""
        file = self._open()
        self._await_hash()
        if self.size < _SMALL:
            self._hasher.update(chunk)
        else:
            self._hashing = _HASHING.submit(self._hasher.update, chunk)
        file.write(chunk)
        write_back(file, self.size, self.size + len(chunk))
        self.size += len(chunk)

    def end(self, rest: Chunk = b"") -> None:
        self.store(rest)
        self._keep(self._open(), self.digest)

    def discard(self) -> None:
        if self._file is not None:
            Path(self._file.name).unlink(missing_ok=True)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _await_hash(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    def _open(self) -> BinaryIO:
        if self._file is None:
            self._file = self._make()
        return self._file


def write_back(file: BinaryIO, start: int, end: int) -> None:
    """Have the system begin to write a range that became full, so that the last sync is short.

    Pages that are about to be written stay in memory: who reads them next finds them there.

    Args:
        file: What is being written, in order.
        start: Where the last piece began.
        end: Where it ended.
    """
    full = end // _WRITE_BACK * _WRITE_BACK
    if full > start and hasattr(os, "posix_fadvise"):
        file.flush()
        os.posix_fadvise(file.fileno(), full - _WRITE_BACK, _WRITE_BACK, os.POSIX_FADV_DONTNEED)
