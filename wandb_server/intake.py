"""A body on its way to the disk: hashed, written and sent to the device while it arrives."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool

# Views may change once the second next chunk is asked for.
Chunks = AsyncIterator[bytes | bytearray | memoryview]
BUFFER = 1 << 20
_WRITE_BACK = 16 << 20


async def chain(first: bytes | bytearray | memoryview, chunks: Chunks) -> Chunks:
    """Give a chunk that was taken already, then the others."""
    yield first
    async for chunk in chunks:
        yield chunk


async def copy(chunks: Chunks, file: BinaryIO, hasher: "hashlib._Hash") -> int:
    """Write what comes, a megabyte at a time, while more of it arrives.

    Args:
        chunks: The content, in order.
        file: Where all of it goes; at its end when this returns.
        hasher: Given all of it, in order.

    Returns:
        The size in bytes.

    Raises:
        OSError: The disk is full or can't be written.
    """
    size = filled = 0
    part: list[bytes | bytearray | memoryview] = []
    storing: asyncio.Task[None] | None = None
    try:
        async for chunk in chunks:
            part.append(chunk)
            filled += len(chunk)
            if filled >= BUFFER or isinstance(chunk, memoryview):
                if storing:
                    await storing
                storing = asyncio.create_task(_store(part, size, file, hasher))
                size, part, filled = size + filled, [], 0
        if storing:
            await storing
        await _store(part, size, file, hasher)
    finally:
        if storing:  # its threads must not write to a file that is closed
            await asyncio.wait([storing])
    return size + filled


async def _store(
    part: Sequence[bytes | bytearray | memoryview],
    start: int,
    file: BinaryIO,
    hasher: "hashlib._Hash",
) -> None:
    """Hash and write at the same time: both let other threads run."""

    def digest() -> None:
        for chunk in part:
            hasher.update(chunk)

    def write() -> None:
        file.writelines(part)
        write_back(file, start, start + sum(map(len, part)))

    await asyncio.gather(run_in_threadpool(digest), run_in_threadpool(write))


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
