"""Locks of the operating system: freed by the kernel however their holder ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE = 0.02  # seconds between two attempts


def take(path: Path, wait: float) -> int | None:
    """Take an exclusive lock on a file, which is made if need be.

    Args:
        path: The lock file.
        wait: Seconds to go on trying while somebody else holds it.

    Returns:
        The open file descriptor that holds the lock until it is closed, or None if the
        lock stayed taken.

    Raises:
        OSError: The file can't be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(_PAUSE)
        else:
            return descriptor


@contextmanager
def held(path: Path, wait: float) -> Iterator[bool]:
    """Hold a lock for the length of a block.

    Args:
        path: The lock file.
        wait: Seconds to go on trying.

    Yields:
        Whether the lock was had in time.

    Raises:
        OSError: The file can't be opened.
    """
    descriptor = take(path, wait)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a lock together with any others that share it, for the length of a block.

    Waits for whoever holds it alone.

    Args:
        path: The lock file, which is made if need be.

    Raises:
        OSError: The file can't be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_taken(path: Path) -> bool:
    """Tell whether a living process holds the exclusive lock.

    The look itself holds a shared lock for an instant, so whoever takes the lock should
    be ready to wait a moment.

    Args:
        path: The lock file; it need not exist.

    Raises:
        OSError: The file exists and can't be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def identity(path: Path) -> str:
    """Name a file by what stays the same when its folder is moved, and differs in a copy.

    Args:
        path: The file.

    Returns:
        "<device>:<inode>"; empty if there is no such file.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"
