"""Manifests: the list of files that makes up a version, as the SDK writes and reads it."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wandb_server.blobs import BlobStore, hex_digest
from wandb_server.database import fetch, fetch_one
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.names import check_file_path

# Types in which a manifest arrives; FULL is also what the server writes after a merge.
FULL, PATCH, INCREMENTAL = "FULL", "PATCH", "INCREMENTAL"


@dataclass(frozen=True)
class Manifest:
    """A row of the table `manifest`; `digest` is hex MD5, "" until it is announced."""

    id: int
    artifact_id: int
    type: str
    name: str
    digest: str
    base_artifact_id: int | None


@dataclass(frozen=True)
class Entry:
    """One file of a manifest; `digest` (hex MD5) is None for a reference, size in bytes."""

    name: str
    digest: str | None
    size: int
    ref: str | None


def add_manifest(
    connection: sqlite3.Connection,
    artifact_id: int,
    kind: str,
    name: str,
    digest: str,
    base_artifact_id: int | None,
) -> Manifest:
    """Record a manifest of a pending version; one with a known digest only once.

    Args:
        connection: Inside a write transaction.
        artifact_id: Row of the version.
        kind: FULL, PATCH or INCREMENTAL.
        name: File name that the client gave it.
        digest: Base64 MD5 of the manifest file; "" while it isn't known.
        base_artifact_id: Row of the version that an INCREMENTAL one adds to, if any.
    """
    announced = hex_digest(digest) if digest else ""
    known = [
        manifest
        for manifest in list_manifests(connection, artifact_id)
        if announced and (manifest.type, manifest.digest) == (kind, announced)
    ]
    if known:
        return known[0]
    cursor = connection.execute(
        "INSERT INTO manifest (artifact_id, type, name, digest, base_artifact_id)"
        " VALUES (?, ?, ?, ?, ?)",
        (artifact_id, kind, name, announced, base_artifact_id),
    )
    return get_manifest(connection, int(cursor.lastrowid or 0))


def announce_digest(connection: sqlite3.Connection, manifest_id: int, digest: str) -> Manifest:
    """Record the digest (base64 MD5) of a manifest that was added without one.

    Raises:
        NotFoundError: The manifest doesn't exist.
    """
    connection.execute(
        "UPDATE manifest SET digest = ? WHERE id = ?", (hex_digest(digest), manifest_id)
    )
    return get_manifest(connection, manifest_id)


def get_manifest(connection: sqlite3.Connection, manifest_id: int) -> Manifest:
    """Look up a manifest by its row.

    Raises:
        NotFoundError: It doesn't exist.
    """
    found = fetch_one(connection, Manifest, "SELECT * FROM manifest WHERE id = ?", manifest_id)
    if found is None:
        raise NotFoundError(f"manifest {manifest_id} doesn't exist")
    return found


def list_manifests(connection: sqlite3.Connection, artifact_id: int) -> list[Manifest]:
    """List the manifests that were recorded for a version, oldest first."""
    return fetch(
        connection,
        Manifest,
        "SELECT * FROM manifest WHERE artifact_id = ? ORDER BY id",
        artifact_id,
    )


def read_manifest(blobs: BlobStore, digest: str) -> dict[str, Any]:
    """Read a manifest file.

    Returns:
        `{"version", "storagePolicy", "storagePolicyConfig", "contents": {name: {...}}}`.

    Raises:
        ClientError: It isn't a manifest.
        StorageError: The file is missing.
    """
    try:
        manifest = json.loads(blobs.read(digest))
    except ValueError as error:
        raise ClientError(f"the manifest isn't valid JSON: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("contents"), dict):
        raise ClientError("the manifest has no contents: a JSON object of files is wanted")
    return manifest


def parse_entries(manifest: dict[str, Any]) -> Iterator[Entry]:
    """Go through the files of a manifest.

    Raises:
        ClientError: A name, size or digest isn't allowed.
    """
    for name, entry in manifest["contents"].items():
        check_file_path("artifact file", name)
        if not isinstance(entry, dict):
            raise ClientError(f"manifest entry {name!r}: a JSON object is wanted")
        ref = entry.get("ref")
        size = entry.get("size") or 0
        if not isinstance(size, int) or size < 0:
            raise ClientError(f"manifest entry {name!r}: size {size!r} isn't a number of bytes")
        digest = None if ref else hex_digest(str(entry.get("digest", "")))
        yield Entry(name, digest, size, None if ref is None else str(ref))
