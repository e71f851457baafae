"""Files by content: `blobs/<first two hex digits>/<md5 hex>`, each stored once.

MD5 is what the SDK announces and what its manifests hold. A blob is published only when all
of its bytes are on the disk under a temporary name and match the announced digest: the data
is synced first, then it gets its name. So a name that exists is whole, also after a power
failure. Names are made durable before anything that is kept refers to them, see `settle`.
What a disk does to a blob later is found before it is handed out.
"""

import base64
import binascii
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from wandb_server import locks
from wandb_server.errors import ClientError, LostFileError
from wandb_server.intake import Body, Chunk, take_in
from wandb_server.integrity import CheckedFiles

_HEX = re.compile(r"[0-9a-f]{32}")
# Held shared while a blob gets its name, and exclusively while one is taken away.
LOCK = "blobs.lock"
INCOMING = "incoming"
_FRESH_SECONDS = 60.0
_SYNCS = 4  # folders that are synced at the same time


class DigestMismatchError(ClientError):
    """The bytes that came aren't the ones that were announced."""


class BlobStore:
    """The folder of blobs, which is made if need be; any number of processes may open it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._checked = CheckedFiles()
        self._settled: set[Path] = set()  # folders whose names are durable; none is ever removed
        self._syncing = ThreadPoolExecutor(_SYNCS)  # its threads start when there is work

    def owner(self) -> str:
        """Name the account to which the folder belongs; its number, if it has no name."""
        try:
            return self._folder.owner()
        except KeyError:
            return str(self._folder.stat().st_uid)

    def clear_incoming(self) -> None:
        """Remove what interrupted uploads left behind; for the server, before it takes any."""
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def path(self, digest: str) -> Path:
        """Give the place of a blob, whether it exists or not.

        Args:
            digest: MD5 of the content, 32 lower-case hex digits.

        Raises:
            ClientError: The digest isn't one.
        """
        return Path(self._place(digest))

    def _place(self, digest: str) -> str:
        """Do as `path`, in a quarter of the time, which counts where versions have 10,000 files."""
        if not _HEX.fullmatch(digest):
            raise ClientError(f"{digest[:80]!r} isn't an MD5 digest in hex")
        return f"{self._folder}/{digest[:2]}/{digest}"

    def size(self, digest: str) -> int | None:
        """Give the size of a blob in bytes; None when it isn't stored."""
        try:
            return os.stat(self._place(digest)).st_size  # noqa: PTH116  as in `_place`
        except FileNotFoundError:
            return None

    def settle(self, digests: Iterable[str]) -> None:
        """Make the names of blobs durable, whoever made them.

        A name can be seen an instant before it is durable: while another request stores the
        same content, or after the server was killed in the middle of it.
        """
        folders = {self.path(digest).parent for digest in digests}
        todo = list(folders)
        present: set[Path] = set()
        if not folders <= self._settled:  # else their own names are durable already
            present = set(self._folder.iterdir())
            todo.append(self._folder)
        # At the same time: a disk takes hardly longer for several of them than for one.
        at_once = self._syncing.map if len(todo) > 1 else map
        for _ in at_once(sync_folder, todo):
            pass
        self._settled |= present

    def claim(self, digest: str) -> bool:
        """Tell whether a blob is stored whole, and keep it from being collected as unused now.

        A client that is told so won't upload it, and refers to it only later.
        """
        place = self._place(digest)
        try:
            if os.stat(place).st_mtime < time.time() - _FRESH_SECONDS:  # noqa: PTH116
                self._checked.touch(place, digest)
        except FileNotFoundError:
            return False
        return self.holds(digest)

    def holds(self, digest: str) -> bool:
        """Tell whether a blob is stored whole; it is read, unless that is known."""
        if self.is_checked(digest):
            return True
        try:
            self.check(digest)
        except LostFileError:
            return False
        return True

    def is_checked(self, digest: str) -> bool:
        """Tell, at the cost of a look, whether a blob is known to match its digest."""
        return self._checked.knows(self._place(digest), digest)

    def check(self, digest: str) -> None:
        """Read a blob, unless it is known to be whole, to find what happened to it on the disk.

        Raises:
            LostFileError: The blob is missing or isn't what was stored.
        """
        self._checked.check(self.path(digest), digest)

    def read(self, digest: str) -> bytes:
        """Read a whole blob.

        Raises:
            LostFileError: The blob is missing or isn't what was stored.
        """
        self.check(digest)
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise LostFileError(f"{self.path(digest)}: the file is missing") from error

    def write(self, content: Chunk, announced: str | None = None) -> str:
        """Store bytes that are in memory, and return their digest.

        Raises:
            DigestMismatchError: They have another digest than `announced`; nothing is stored.
            OSError: The disk is full or can't be written; nothing is stored.
        """
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        check_digest(digest, announced)
        with self.temporary() as file:
            try:
                file.write(content)
                self.publish(file, digest)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        self.settle([digest])
        return digest

    async def receive(
        self, body: Body, announced: str | None, *, settled: bool = True
    ) -> tuple[str, int]:
        """Store a body as it arrives, in constant memory.

        Args:
            body: The content.
            announced: Digest that the content must have (hex); None takes any content.
            settled: Whether to make the name durable, too, rather than leave that to `settle`:
                it takes longer than all the rest of a small file, and once is enough for many.

        Returns:
            Digest and size in bytes of what was stored.

        Raises:
            DigestMismatchError: The content has another digest; nothing is stored.
            OSError: The disk is full or can't be written; nothing is stored.
        """

        def keep(file: BinaryIO, digest: str) -> None:
            check_digest(digest, announced)
            self.publish(file, digest)
            if settled:
                self.settle([digest])

        return await take_in(body, self.temporary, keep)

    def temporary(self) -> BinaryIO:
        """Open a new file, beside the blobs, for content that has no name yet."""
        return tempfile.NamedTemporaryFile(dir=self._incoming, delete=False)  # type: ignore[return-value]

    def publish(self, file: BinaryIO, digest: str) -> None:
        """Give a file of `temporary` its name; its content is on the disk then."""
        file.flush()
        os.fsync(file.fileno())
        target = self.path(digest)
        if not target.parent.exists():
            target.parent.mkdir(exist_ok=True)
        with locks.shared(self._folder / LOCK):
            Path(file.name).replace(target)
        self._checked.remember(target, digest)


def check_digest(digest: str, announced: str | None) -> None:
    """Compare the digest of what came with the one that was announced, if any.

    Raises:
        DigestMismatchError: They differ.
    """
    if announced is not None and digest != announced:
        raise DigestMismatchError(
            f"the body has the MD5 digest {digest}, but {announced} was announced"
        )


def hex_digest(encoded: str) -> str:
    """Turn the base64 form of an MD5 digest, as manifests hold it, into hex.

    Raises:
        ClientError: The text isn't 16 bytes in base64.
    """
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ClientError(f"{encoded[:80]!r} isn't a digest in base64") from error
    if len(raw) != 16:
        raise ClientError(f"{encoded[:80]!r} isn't an MD5 digest in base64")
    return raw.hex()


def base64_digest(digest: str) -> str:
    """Turn a hex digest into the base64 form of manifests."""
    return base64.b64encode(bytes.fromhex(digest)).decode()


def sync_folder(folder: Path) -> None:
    """Make a new name durable; only folders on POSIX systems can be synced."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
