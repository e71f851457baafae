"""Remove what nothing refers to, beside a server that takes uploads.

Rows go in one transaction, which a dry run takes back. Files go in batches. While one goes,
the database can't be written, so nothing starts to refer to the files, and no upload can give
a file its name. A file that a client was just told not to upload counts as new again, see
`BlobStore.claim`; new files stay, since the client will refer to them only later.
"""

import shutil
import time
from dataclasses import dataclass

from wandb_server import locks
from wandb_server.artifact.links import delete_artifact
from wandb_server.artifact.lookups import get_artifact
from wandb_server.blobs import LOCK
from wandb_server.runs import delete_run
from wandb_server.server_error import ServerError
from wandb_server.upkeep.files import StoredFile, stored_files, unfinished_uploads
from wandb_server.upkeep.old_runs import OldRun, old_runs
from wandb_server.upkeep.references import BASES, digests_in_use
from wandb_server.upkeep.retention import (
    Expired,
    Rules,
    abandoned_versions,
    expired_versions,
)
from wandb_server.upkeep.store import Store

LOCK_SECONDS = 10.0  # an upload holds the lock for as long as a file takes to get its name
_BATCH = 2_000

# What a deleted version still lists would keep its files for ever.
_FORGET_FILES = f"""DELETE FROM {{table}} WHERE artifact_id IN
    (SELECT id FROM artifact WHERE state = 'DELETED' AND id NOT IN ({BASES}))"""  # noqa: S608


@dataclass(frozen=True)
class Collection:
    """What was, or in a dry run would be, removed; sizes in bytes.

    `young` and `young_size`: what nothing refers to either, but is too young.
    """

    versions: list[Expired]
    files: int
    size: int
    young: int
    young_size: int
    runs: tuple[OldRun, ...] = ()


def collect(store: Store, rules: Rules, grace: float, *, delete: bool) -> Collection:
    """Give up versions and runs by rules, then remove the files that nothing refers to.

    Args:
        store: The opened data folder.
        rules: Which versions have had their time.
        grace: Seconds for which files that nothing refers to and unfinished versions stay.
        delete: Whether to do it; else it is only worked out.

    Raises:
        ServerError: A rule names what doesn't exist.
        OSError: A file can't be removed.
        sqlite3.Error: The database can't be changed.
    """
    with store.write(keep=delete):
        versions = _delete_versions(store, rules, grace)
        runs = _delete_runs(store, rules)
        in_use = digests_in_use(store.connection, store.blobs)
    oldest = time.time() - grace
    unused = [
        file
        for file in stored_files(store.blobs_folder)
        if file.digest and file.digest not in in_use
    ]
    old = [file for file in unused if file.stored_at < oldest]
    removed = remove_unused(store, old, grace) if delete else old
    young = [file for file in unused if file.stored_at >= oldest]
    for folder, parts in unfinished_uploads(store.blobs_folder).items():
        if any(part.stored_at >= oldest for part in parts):
            young += parts
            continue
        removed += parts
        if delete:
            # A part that comes now finds no folder: the SDK sends it again.
            shutil.rmtree(folder)
    return Collection(versions, len(removed), _sum(removed), len(young), _sum(young), runs)


def remove_unused(store: Store, files: list[StoredFile], grace: float) -> list[StoredFile]:
    """Remove stored files, but for those that are in use or younger than the grace by now.

    Args:
        store: The opened data folder.
        files: What was found unused.
        grace: Seconds.

    Returns:
        Those that were removed.

    Raises:
        ServerError: The files stay locked.
        OSError: A file can't be removed.
        sqlite3.Error: The database stays locked.
    """
    removed: list[StoredFile] = []
    for start in range(0, len(files), _BATCH):
        with store.write():
            in_use = digests_in_use(store.connection, store.blobs)
            doomed = [file for file in files[start : start + _BATCH] if file.digest not in in_use]
            with locks.held(store.blobs_folder / LOCK, LOCK_SECONDS) as had:
                if not had:
                    raise ServerError("the stored files stayed locked: try again later")
                removed += [file for file in doomed if _remove_if_old(file, grace)]
    return removed


def _delete_versions(store: Store, rules: Rules, grace: float) -> list[Expired]:
    connection = store.connection
    gone = [*expired_versions(connection, rules), *abandoned_versions(connection, grace)]
    for item in gone:
        artifact = get_artifact(connection, item.artifact_id)
        delete_artifact(connection, artifact, delete_aliases=True)
    for table in ("artifact_file", "manifest"):
        connection.execute(_FORGET_FILES.format(table=table))
    return gone


def _delete_runs(store: Store, rules: Rules) -> tuple[OldRun, ...]:
    if rules.runs_older_than_days is None:
        return ()
    gone = old_runs(store.connection, rules.runs_older_than_days, rules.projects)
    for run in gone:
        delete_run(store.connection, run.run_id)
    return tuple(gone)


def _sum(files: list[StoredFile]) -> int:
    return sum(file.size for file in files)


def _remove_if_old(file: StoredFile, grace: float) -> bool:
    """Remove a file, unless it was stored again or asked for since it was looked at."""
    try:
        if file.path.stat().st_mtime >= time.time() - grace:
            return False
        file.path.unlink()
    except FileNotFoundError:
        return False
    return True
