"""The rows of the artifact tables."""

from dataclasses import dataclass

LATEST = "latest"
LOGGED_TABLE = "run_table"  # the type that the SDK gives to a table that a run logs


@dataclass(frozen=True)
class ArtifactType:
    """A kind of artifact in a project, such as "dataset"."""

    id: int
    project_id: int
    name: str
    description: str | None
    created_at: str


@dataclass(frozen=True)
class Collection:
    """A named series of versions: a SEQUENCE is logged to, a PORTFOLIO is linked to."""

    id: int
    project_id: int
    type_id: int
    kind: str
    name: str
    description: str | None
    next_version: int
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Artifact:
    """One version of a sequence.

    `version_index`, `commit_hash` and `manifest_digest` (hex MD5) are None until it is
    committed. `metadata` is JSON text or None, `pending_aliases` a JSON list, `size` in
    bytes, `ttl_seconds` None when inherited.
    """

    id: int
    collection_id: int
    run_id: int | None
    state: str
    version_index: int | None
    digest: str
    digest_algorithm: str
    description: str | None
    metadata: str | None
    ttl_seconds: int | None
    distributed_id: str | None
    history_step: int | None
    pending_aliases: str
    size: int
    file_count: int
    commit_hash: str | None
    manifest_digest: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Membership:
    """A version's place in a collection, with the number that it has there."""

    id: int
    collection_id: int
    artifact_id: int
    version_index: int
    created_at: str


@dataclass(frozen=True)
class Alias:
    """A label that points to one version of a collection."""

    id: int
    collection_id: int
    artifact_id: int
    alias: str


@dataclass(frozen=True)
class Tag:
    """A label of a version or of a collection that any number of them may carry."""

    id: int
    name: str


@dataclass(frozen=True)
class ArtifactFile:
    """An entry of a version's manifest; `digest` (hex MD5) is None for a reference."""

    id: int
    artifact_id: int
    name: str
    digest: str | None
    size: int
    ref: str | None
