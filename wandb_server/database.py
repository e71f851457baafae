"""The SQLite file: many readers, one writer at a time.

What is synced when: the journal is in WAL mode with `synchronous=FULL`, so each commit is on
the disk (fsync) before the request that made it is answered. Blobs are synced before that, by
`blobs.py`. What wasn't acknowledged may be lost, what was never is.
"""

import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from wandb_server.errors import StorageError
from wandb_server.migrations import migrate

Row = TypeVar("Row")
# Only another program can hold the file locked; the SDK asks again after this.
_BUSY_MILLISECONDS = 2_000


class Database:
    """Opens the file, brings it up to date and hands out transactions."""

    def __init__(self, path: Path) -> None:
        """Open or create the database.

        Raises:
            NewerDatabaseError: A newer program wrote the file.
            StorageError: The file can't be opened or written.
        """
        self._path = path
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._writer = threading.Lock()
        with self._connection() as connection:
            migrate(connection)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one unchanging state of the database.

        Raises:
            StorageError: SQLite failed; the message names the file.
        """
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are committed at the end, or none of them.

        Raises:
            StorageError: SQLite failed; nothing was changed; the message names the file.
        """
        with self._writer, self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connections, which folds the journal into the file."""
        while not self._idle.empty():
            self._idle.get().close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; one that failed is closed rather than reused."""
        try:
            connection = self._take()
            try:
                yield connection
            except sqlite3.Error:
                connection.close()
                raise
            except BaseException:
                self._idle.put(connection)
                raise
            else:
                self._idle.put(connection)
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: {error}") from error

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection


def fetch(connection: sqlite3.Connection, kind: type[Row], sql: str, *values: object) -> list[Row]:
    """Run a query whose columns are the fields of the dataclass `kind`, and build its rows."""
    return [kind(**dict(row)) for row in connection.execute(sql, values)]


def fetch_one(
    connection: sqlite3.Connection, kind: type[Row], sql: str, *values: object
) -> Row | None:
    """Do as `fetch` for a query with at most one row; None when there is none."""
    row = connection.execute(sql, values).fetchone()
    return None if row is None else kind(**dict(row))


def fetch_count(connection: sqlite3.Connection, sql: str, *values: object) -> int:
    """Run a query that yields a single number."""
    return int(connection.execute(sql, values).fetchone()[0])
