"""A data folder that is opened for housekeeping, beside the server that may be serving it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from wandb_server import locks, paths
from wandb_server.blobs import BlobStore
from wandb_server.errors import NewerDatabaseError
from wandb_server.migrations import MIGRATIONS, missing_migrations
from wandb_server.server_error import ServerError

LOCK = "upkeep.lock"  # held by the one command that looks after the folder
# The server's transactions are short: only something that hangs holds the file for longer.
_BUSY_MILLISECONDS = 30_000


class DamagedDatabaseError(ServerError):
    """SQLite can't make sense of the database file."""


@dataclass(frozen=True)
class Store:
    """An opened data folder.

    `connection` is in autocommit mode, `blobs` are the stored files.
    """

    folder: Path
    connection: sqlite3.Connection
    blobs: BlobStore

    @property
    def blobs_folder(self) -> Path:
        """The folder of the stored files."""
        return self.folder / paths.BLOBS

    @contextmanager
    def write(self, *, keep: bool = True) -> Iterator[None]:
        """Keep the server and others from changing the database for the length of a block.

        Args:
            keep: Whether what the block changes is kept at its end; an error undoes it.
        """
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT" if keep else "ROLLBACK")

    def compact(self) -> int:
        """Give the room that is free in the database file back to the disk.

        While it is written anew, others can read it but not write.

        Returns:
            Bytes that it takes less.
        """
        before = self._database_size()
        self.connection.execute("VACUUM")
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before - self._database_size()

    def _database_size(self) -> int:
        return (self.folder / paths.DATABASE).stat().st_size

    @contextmanager
    def read(self) -> Iterator[None]:
        """Show one unchanging state of the database for the length of a block."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK")


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """Open a data folder for one command at a time.

    Args:
        folder: The data folder.

    Raises:
        ServerError: It holds no data, is in use by another such command, can't be used, or
            its database is of an older or a newer program.
        DamagedDatabaseError: SQLite can't read the database.
    """
    with paths.folder_errors(folder):
        if not (folder / paths.DATABASE).is_file():
            raise ServerError(
                f"the data folder {folder} holds no data yet: run a pipeline, or set the "
                f"variable {paths.VARIABLE} to the folder that you mean"
            )
        with locks.held(folder / LOCK, 0) as had:
            if not had:
                raise ServerError(
                    f"another command on {folder}, such as check, gc, backup or publish, is at "
                    "work: wait until it has ended"
                )
            with connected(folder / paths.DATABASE) as connection:
                yield Store(folder, connection, BlobStore(folder / paths.BLOBS))


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing database of the present schema, in autocommit mode.

    Args:
        path: The database file.

    Raises:
        ServerError: The database is of an older or a newer program, or locked.
        DamagedDatabaseError: SQLite can't read it.
    """
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None)
        with closing(connection):
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            _refuse_other_schema(connection, path)
            yield connection
    except sqlite3.OperationalError as error:
        raise ServerError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise DamagedDatabaseError(
            f"{path}: {error}. The database is damaged: restore a backup into a new folder, "
            "or try what SQLite's own `.recover` saves."
        ) from error


def _refuse_other_schema(connection: sqlite3.Connection, path: Path) -> None:
    try:
        missing = missing_migrations(connection)
    except NewerDatabaseError as error:
        raise ServerError(f"{path}: {error}") from error
    if len(missing) == len(MIGRATIONS):
        raise ServerError(f"{path}: the database is empty. {paths.HOW_TO_COPY}")
    if missing:
        raise ServerError(
            f"{path}: the database lacks {missing[0]}, so an older program wrote it. Bring it "
            "up to date first: python -m wandb_server start"
        )
