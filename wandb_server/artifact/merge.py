"""The manifest of a version, put together from the parts in which it came.

Most versions come with one FULL manifest. A distributed version (`upsert_artifact`) comes with
one PATCH from each of its writers, an incremental one with what it adds to its base.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wandb_server.artifact.lookups import get_artifact
from wandb_server.artifact.manifests import (
    FULL,
    INCREMENTAL,
    Entry,
    Manifest,
    list_manifests,
    parse_entries,
    read_manifest,
)
from wandb_server.artifact.records import Artifact
from wandb_server.blobs import BlobStore
from wandb_server.errors import ClientError


@dataclass(frozen=True)
class Assembly:
    """What a version is made of.

    `manifest_digest` is the hex MD5 of the manifest file, `digest` the one of the version, as
    the SDK computes it from the entries.
    """

    manifest_digest: str
    digest: str
    entries: list[Entry]


def assemble(connection: sqlite3.Connection, blobs: BlobStore, artifact: Artifact) -> Assembly:
    """Read, or put together, the manifest of a pending version.

    Clients that log the same content at once share the version and announce a FULL manifest
    each; the first one that was uploaded serves, since equal digests mean equal files.

    Raises:
        ClientError: No manifest was uploaded, or a part of it wasn't.
    """
    manifests = [item for item in list_manifests(connection, artifact.id) if item.digest]
    uploaded = [item for item in manifests if blobs.holds(item.digest)]
    full = next((item for item in uploaded if item.type == FULL), None)
    if full is not None:
        entries = list(parse_entries(read_manifest(blobs, full.digest)))
        return Assembly(full.digest, artifact.digest, entries)
    if not uploaded or len(uploaded) < sum(item.type != FULL for item in manifests):
        raise ClientError(
            "a manifest file wasn't uploaded: wait for all writers to finish, then commit"
        )
    return _merge(connection, blobs, uploaded)


def _merge(connection: sqlite3.Connection, blobs: BlobStore, parts: Iterable[Manifest]) -> Assembly:
    contents: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for part in parts:
        merged = read_manifest(blobs, part.digest)
        if part.type == INCREMENTAL and part.base_artifact_id is not None:
            contents |= _base_contents(connection, blobs, part.base_artifact_id)
        contents |= merged["contents"]
    merged["contents"] = contents
    entries = list(parse_entries(merged))
    manifest_digest = blobs.write(json.dumps(merged).encode())
    return Assembly(manifest_digest, _digest(contents), entries)


def _base_contents(
    connection: sqlite3.Connection, blobs: BlobStore, artifact_id: int
) -> dict[str, Any]:
    base = get_artifact(connection, artifact_id)
    if base.manifest_digest is None:
        raise ClientError(f"artifact {artifact_id}, the base, isn't committed: commit it first")
    contents: dict[str, Any] = read_manifest(blobs, base.manifest_digest)["contents"]
    return contents


def _digest(contents: dict[str, Any]) -> str:
    """Compute the digest of a version the way the SDK does."""
    hasher = hashlib.md5(b"wandb-artifact-manifest-v1\n", usedforsecurity=False)
    for name, entry in sorted(contents.items()):
        hasher.update(f"{name}:{entry['digest']}\n".encode())
    return hasher.hexdigest()
