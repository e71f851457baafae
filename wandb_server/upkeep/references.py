"""What refers to stored files: which digests are in use, by whom, and under which names."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from wandb_server.artifact.manifests import parse_entries, read_manifest
from wandb_server.blobs import BlobStore
from wandb_server.errors import ClientError, LostFileError

MANIFEST = "wandb_manifest.json"  # the name under which clients are given a manifest

_RUN_FILES = """
    SELECT run_file.digest, entity || '/' || project.name AS project, 'run' AS kind,
        run.id AS owner_id, entity || '/' || project.name || '/' || run.name AS owner,
        run_file.name AS file
    FROM run_file JOIN run ON run.id = run_id JOIN project ON project.id = run.project_id"""
_VERSIONS = """
    SELECT {digest} AS digest, entity || '/' || project.name AS project, 'version' AS kind,
        artifact.id AS owner_id,
        entity || '/' || project.name || '/' || collection.name || ':v' || version_index AS owner,
        {file} AS file
    FROM artifact {join}
    JOIN collection ON collection.id = collection_id
    JOIN project ON project.id = collection.project_id
    WHERE artifact.state = 'COMMITTED' AND {digest} IS NOT NULL"""
_VERSION_FILES = _VERSIONS.format(
    digest="artifact_file.digest",
    file="artifact_file.name",
    join="JOIN artifact_file ON artifact_file.artifact_id = artifact.id",
)
_MANIFESTS = _VERSIONS.format(digest="manifest_digest", file=f"'{MANIFEST}'", join="")
_USES = f"{_RUN_FILES} UNION ALL {_VERSION_FILES} UNION ALL {_MANIFESTS}"

# Versions whose content an unfinished incremental version will take over.
BASES = """SELECT base_artifact_id FROM manifest JOIN artifact ON artifact.id = artifact_id
    WHERE artifact.state = 'PENDING' AND base_artifact_id IS NOT NULL"""
_IN_USE = f"""
    SELECT digest FROM run_file
    UNION SELECT artifact_file.digest
        FROM artifact_file JOIN artifact ON artifact.id = artifact_id
        WHERE artifact_file.digest IS NOT NULL AND (state = 'COMMITTED' OR artifact_id IN ({BASES}))
    UNION SELECT manifest_digest FROM artifact
        WHERE manifest_digest IS NOT NULL AND (state = 'COMMITTED' OR id IN ({BASES}))"""  # noqa: S608
_PENDING_MANIFESTS = """SELECT manifest.digest FROM manifest
    JOIN artifact ON artifact.id = artifact_id
    WHERE state = 'PENDING' AND manifest.digest != ''"""


@dataclass(frozen=True)
class Use:
    """One name under which a stored file can be had.

    `project` is `entity/name`; `kind` is "run" or "version", `owner_id` its row and `owner`
    its path, such as `local/songs/table:v3`; `file` is the name there.
    """

    digest: str
    project: str
    kind: str
    owner_id: int
    owner: str
    file: str


def uses(connection: sqlite3.Connection) -> Iterator[Use]:
    """Go through the files of all runs and of all committed versions, manifests included."""
    for row in connection.execute(_USES):
        yield Use(**dict(row))


def digests_by_project(connection: sqlite3.Connection) -> dict[str, set[str]]:
    """Collect the digests (hex MD5) of what `uses` goes through by project (`entity/name`)."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for project, digest in connection.execute(f"SELECT DISTINCT project, digest FROM ({_USES})"):  # noqa: S608  ours
        found[project].add(digest)
    return found


def digests_in_use(connection: sqlite3.Connection, blobs: BlobStore) -> set[str]:
    """Collect the digests (hex MD5) that mustn't be removed.

    These are the files of runs and of committed versions, and what unfinished versions have
    announced so far. Files of an unfinished version whose manifest hasn't come yet are in no
    table: only their age protects them.
    """
    pending = {row[0] for row in connection.execute(_PENDING_MANIFESTS)}
    announced = {digest for manifest in pending for digest in _listed(blobs, manifest)}
    return {row[0] for row in connection.execute(_IN_USE)} | pending | announced


def _listed(blobs: BlobStore, digest: str) -> list[str]:
    """List the files of an announced manifest; none if it hasn't come or can't be read."""
    try:
        entries = list(parse_entries(read_manifest(blobs, digest)))
        return [entry.digest for entry in entries if entry.digest]
    except (LostFileError, ClientError):
        return []
