"""Find damage: what is missing, altered or stray, and whom that concerns."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wandb_server.integrity import digest_of
from wandb_server.upkeep.files import StoredFile, stored_files
from wandb_server.upkeep.references import Use, digests_in_use, uses
from wandb_server.upkeep.store import Store

MISSING, ALTERED = "missing", "altered"
# Younger files may belong to something that is being logged right now.
GRACE_SECONDS = 24 * 3600.0

Progress = Callable[[int], None]  # called with the number of bytes that were just read

# What must hold among committed versions beyond what SQLite itself enforces.
_RULES = {
    "has no manifest": "manifest_digest IS NULL",
    "isn't a member of its collection": """NOT EXISTS (SELECT 1 FROM membership
        WHERE membership.artifact_id = artifact.id
        AND membership.collection_id = artifact.collection_id)""",
    "lists another number of files than it was committed with": """file_count !=
        (SELECT count(*) FROM artifact_file WHERE artifact_file.artifact_id = artifact.id)""",
}


@dataclass(frozen=True)
class Lost:
    """Content that can't be had as it was stored.

    `fault` is MISSING or ALTERED; `actual` is the digest (hex MD5) of what an altered file
    holds now; `uses` may be empty for an altered file.
    """

    digest: str
    path: Path
    fault: str
    actual: str | None
    uses: list[Use]


@dataclass(frozen=True)
class Report:
    """What a check found.

    `database` holds SQLite's complaints and broken rules; `stray` the files that have no
    business there; `unused` those that nothing refers to and that are past the time of grace.
    """

    read: int
    size: int
    database: list[str]
    lost: list[Lost]
    stray: list[StoredFile]
    unused: list[StoredFile]

    @property
    def damaged(self) -> bool:
        """Whether anything is wrong; files that nothing refers to are not."""
        return bool(self.database or self.lost or self.stray)


def check_store(
    store: Store, progress: Progress, *, quick: bool = False, grace: float = GRACE_SECONDS
) -> Report:
    """Compare the database and the stored files with each other and with themselves.

    Args:
        store: The opened data folder; a server may be serving it.
        progress: Told how much was read.
        quick: Don't read the files, so that altered ones aren't found.
        grace: Seconds for which a file that nothing refers to isn't called unused.

    Raises:
        OSError: A file or folder can't be read.
        sqlite3.DatabaseError: The database is too damaged to be read.
    """
    complaints = _check_database(store.connection)
    present = list(stored_files(store.blobs_folder))
    altered = {} if quick else _find_altered(present, progress)
    with store.read():
        in_use = digests_in_use(store.connection, store.blobs)
        lost = _find_lost(store, altered)
    oldest = time.time() - grace
    return Report(
        read=len(present),
        size=sum(file.size for file in present),
        database=complaints,
        lost=lost,
        stray=[file for file in present if file.digest is None],
        unused=[
            file
            for file in present
            if file.digest
            and file.digest not in in_use
            and file.digest not in altered
            and file.stored_at < oldest
        ],
    )


def _check_database(connection: sqlite3.Connection) -> list[str]:
    """Ask SQLite whether its file is whole, then check what it doesn't know."""
    answers = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    complaints = [answer for answer in answers if answer != "ok"]
    for table, number, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        row = "a row" if number is None else f"row {number}"
        complaints.append(f"{row} of {table} refers to a row of {parent} that isn't there")
    for rule, condition in _RULES.items():
        complaints += [f"{label} {rule}" for label in _versions_where(connection, condition)]
    return complaints


def _versions_where(connection: sqlite3.Connection, condition: str) -> list[str]:
    rows = connection.execute(
        f"""SELECT entity || '/' || project.name || '/' || collection.name || ':v' || version_index
        FROM artifact JOIN collection ON collection.id = collection_id
        JOIN project ON project.id = project_id
        WHERE artifact.state = 'COMMITTED' AND {condition} ORDER BY artifact.id"""  # noqa: S608  ours
    )
    return [row[0] for row in rows]


def _find_altered(present: list[StoredFile], progress: Progress) -> dict[str, str]:
    """Give the actual digests of the files whose content doesn't match their name."""
    altered = {}
    for file in present:
        if file.digest is None:
            continue
        try:
            actual = digest_of(file.path)
        except FileNotFoundError:
            continue  # gone since the folder was read: if it is in use, it is called missing
        if actual != file.digest:
            altered[file.digest] = actual
        progress(file.size)
    return altered


def _find_lost(store: Store, altered: dict[str, str]) -> list[Lost]:
    """Look at each file that is in use now; what came since the folder was read counts, too."""
    affected: dict[str, list[Use]] = {digest: [] for digest in altered}
    whole: set[str] = set()
    for use in uses(store.connection):
        if use.digest in affected:
            affected[use.digest].append(use)
        elif use.digest not in whole:
            if store.blobs.size(use.digest) is None:
                affected[use.digest] = [use]
            else:
                whole.add(use.digest)
    return [
        _describe(store, digest, altered.get(digest), found) for digest, found in affected.items()
    ]


def _describe(store: Store, digest: str, actual: str | None, found: list[Use]) -> Lost:
    fault = MISSING if actual is None else ALTERED
    return Lost(digest, store.blobs.path(digest), fault, actual, found)
