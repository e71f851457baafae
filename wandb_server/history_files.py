"""Parquet files of runs' histories: each is made once, and one at a time."""

import hashlib
import sqlite3
import threading
from collections.abc import Callable

from wandb_server.blobs import BlobStore
from wandb_server.errors import BusyError
from wandb_server.lines import read_history

_REMEMBERED = 1_000  # files

Make = Callable[[sqlite3.Connection, int, int | None, BlobStore], str]


def _make(connection: sqlite3.Connection, run_id: int, end: int | None, blobs: BlobStore) -> str:
    # Only who exports pays for it: 0.1 s and some 60 MB.
    from wandb_server.history_parquet import store_history

    return store_history(connection, run_id, end, blobs)


class HistoryFiles:
    """Knows which histories it has made files of, until the server ends.

    The file of a million lines takes about as long as the SDK waits for an answer. When it asks
    again, it is told to wait or gets the file, so that the work isn't begun over and over.
    """

    def __init__(self, make: Make = _make) -> None:
        self._make = make
        self._making = threading.Lock()
        self._made: dict[bytes, str] = {}

    def get(
        self, connection: sqlite3.Connection, run_id: int, end: int | None, blobs: BlobStore
    ) -> str:
        """Give the file of a run's history, which is made if need be.

        Args:
            connection: Inside a read transaction.
            run_id: Row of the run, which has history.
            end: Only steps before this one; None takes all.
            blobs: Where the files are.

        Returns:
            The file's digest (hex MD5).

        Raises:
            BusyError: A file is being made, perhaps this one.
            OSError: The disk is full or can't be written.
        """
        content = _fingerprint(connection, run_id, end)
        known = self._made.get(content)
        if known and blobs.claim(known):
            return known
        if not self._making.acquire(blocking=False):
            raise BusyError("a history is being written as Parquet: ask again in a moment")
        try:
            digest = self._make(connection, run_id, end, blobs)
            if len(self._made) >= _REMEMBERED:
                self._made.clear()
            self._made[content] = digest
        finally:
            self._making.release()
        return digest


def _fingerprint(connection: sqlite3.Connection, run_id: int, end: int | None) -> bytes:
    """Give what equal histories have in common and no others: a hash of all their lines."""
    hasher = hashlib.sha256()
    for step, content in read_history(connection, run_id, end):
        hasher.update(f"{step} {content}\n".encode())
    return hasher.digest()
