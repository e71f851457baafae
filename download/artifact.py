"""Makes the artifact that holds a downloaded table, in constant memory."""

import base64
import hashlib
from pathlib import Path

import wandb
from convert import TableFile
from fetch import Fetched
from wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry
from wandb.sdk.lib.paths import LogicalPath


def make_artifact(name: str, fetched: Fetched, table: TableFile) -> wandb.Artifact:
    """Return an artifact with the table as its only file, and its origin as metadata.

    Args:
        name: Name of the artifact and of the file in it.
        fetched: Where the table came from.
        table: The Parquet file; it must stay until the artifact is logged.
    """
    metadata = {
        "source": fetched.source,
        "size": fetched.size,
        "sha256": fetched.sha256,
        "rows": table.rows,
        "columns": table.columns,
        "etag": fetched.etag,
        "last_modified": fetched.last_modified,
    }
    artifact = wandb.Artifact(name, type="raw_data", metadata=metadata)
    # Artifact.add_file maps the whole file into memory to hash it, and copies it first.
    entry = ArtifactManifestEntry(
        path=LogicalPath(name),
        digest=md5_base64(table.path),
        size=table.path.stat().st_size,
        local_path=str(table.path),
        skip_cache=True,
    )
    artifact.manifest.add_entry(entry)
    return artifact


def md5_base64(path: Path) -> str:
    """Return the digest by which W&B knows the content of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return base64.b64encode(digest.digest()).decode("ascii")
