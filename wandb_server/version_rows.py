"""Which rows versions get: numbers that no other server gives to its own.

The SDK keeps the artifacts that it has seen by their ids alone, and writes ids into references.
Were versions counted from 1 everywhere, one process that uses two servers, as `publish` does,
would take a version of one for a version of the other.
"""

import secrets
import sqlite3

# SQLite stores numbers below 2**47 in six bytes; adding to them now and then leaves room.
_STEP = 2**44


def spread_version_rows(connection: sqlite3.Connection) -> None:
    """Let the rows of versions that are made from now on go on from a random number.

    Rows that exist keep theirs: references to them may stand in any manifest. Done once for
    each database, and once more for each copy that goes on by itself.

    Args:
        connection: Inside a write transaction.
    """
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'artifact'").fetchone()
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'artifact'")
    start = (last[0] if last else 0) + secrets.randbelow(_STEP)
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('artifact', ?)", (start,))
