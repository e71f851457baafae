"""Whether files on the disk still are what was stored.

Reading a file to compute its digest takes time, so one that was found whole is remembered by
what the file system notes about it: any program that changes it changes that, too.
"""

import hashlib
import os
import threading
from collections import OrderedDict
from pathlib import Path

from wandb_server.errors import LostFileError

_REMEMBERED = 50_000  # files; about 10 MB
_LOCKS = 64

# Inode, size, and when the content or the inode was changed last, in nanoseconds.
Identity = tuple[int, int, int]


def digest_of(path: Path) -> str:
    """Compute the MD5 digest (hex) of a file in constant memory.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest()


def identity_of(path: Path | str) -> Identity:
    """Give what changes whenever a file is changed or replaced.

    Raises:
        OSError: There is no such file, or it can't be looked at.
    """
    found = os.stat(path)  # noqa: PTH116  a Path would cost more than the look itself
    return found.st_ino, found.st_size, found.st_ctime_ns


class CheckedFiles:
    """Remembers which files were found to match their digest; safe among threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Identity] = OrderedDict()
        self._guard = threading.Lock()
        # So that parallel requests for ranges of one large file read it only once.
        self._reading = [threading.Lock() for _ in range(_LOCKS)]

    def remember(self, path: Path | str, digest: str) -> None:
        """Note that a file, as it is now, matches its digest."""
        self._note(digest, identity_of(path))

    def knows(self, path: Path | str, digest: str) -> bool:
        """Tell whether a file was found to match its digest and wasn't changed since."""
        try:
            return self._known.get(digest) == identity_of(path)
        except FileNotFoundError:
            return False

    def touch(self, path: Path | str, digest: str) -> None:
        """Set a file's time to now; what is known of it stays known.

        Raises:
            FileNotFoundError: There is no such file.
        """
        known = self.knows(path, digest)
        os.utime(path)
        if known:
            self.remember(path, digest)

    def check(self, path: Path, digest: str) -> None:
        """Make sure that a file matches its digest (hex MD5).

        Raises:
            LostFileError: It is missing, or its content is another.
            OSError: It can't be read.
        """
        with self._reading[hash(digest) % _LOCKS]:
            if self.knows(path, digest):
                return
            try:
                identity = identity_of(path)
                found = digest_of(path)
            except FileNotFoundError as error:
                raise LostFileError(f"{path}: the file is missing") from error
            if found != digest:
                raise LostFileError(f"{path}: the file was altered: its MD5 digest is now {found}")
            self._note(digest, identity)

    def _note(self, digest: str, identity: Identity) -> None:
        with self._guard:
            self._known[digest] = identity
            self._known.move_to_end(digest)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
