"""Files of runs and of artifacts, as the File nodes of the schema."""

import mimetypes
from typing import Any

from wandb_server import ids
from wandb_server.artifact.records import (
    ArtifactFile,
)
from wandb_server.blobs import base64_digest
from wandb_server.resolvers.context import Context, Resolvers
from wandb_server.run_files import RunFile
from wandb_server.urls import NO_DIGEST


def run_file_node(context: Context, file: RunFile) -> dict[str, Any]:
    """Describe a file of a run, with the address where it can be read."""
    return {
        "id": ids.encode("RunFile", file.id),
        "artifact": None,
        **_stored(context, file.name, file.digest, file.size, file.updated_at),
    }


def missing_file_node(context: Context, name: str) -> dict[str, Any]:
    """Describe a file that a run hasn't got, as W&B does: by its name, empty, with the digest 0."""
    address = context.urls.download(NO_DIGEST, name)
    nothing = {"sizeBytes": 0, "md5": NO_DIGEST, "url": address, "directUrl": address}
    return {"id": ids.encode("RunFile", 0), "artifact": None, "name": name, **nothing}


def artifact_file_node(context: Context, file: ArtifactFile, updated_at: str) -> dict[str, Any]:
    """Describe a file of a version; a reference is its own address."""
    node = {"id": ids.encode("ArtifactFile", file.id), "artifact": None}
    if file.digest is None:
        reference = {"name": file.name, "directUrl": file.ref, "url": file.ref}
        return {**node, **reference, "sizeBytes": file.size, "updatedAt": updated_at}
    return {**node, **_stored(context, file.name, file.digest, file.size, updated_at)}


def blob_node(context: Context, name: str, digest: str) -> dict[str, Any]:
    """Describe content of which only digest (hex MD5) and name are known."""
    return {"id": digest, "name": name, "directUrl": context.urls.download(digest, name)}


def _stored(context: Context, name: str, digest: str, size: int, updated_at: str) -> dict[str, Any]:
    address = context.urls.download(digest, name)
    return {
        "name": name,
        "url": address,
        "directUrl": address,
        "sizeBytes": size,
        "storagePath": f"wandb_artifacts/{digest}",
        "mimetype": mimetypes.guess_type(name)[0] or "application/octet-stream",
        "updatedAt": updated_at,
        "digest": base64_digest(digest),
        "md5": base64_digest(digest),
    }


RESOLVERS: Resolvers = {
    "File": {
        "displayName": lambda file, _info: file.get("name"),
        "url": lambda file, _info, **_upload: file.get("url"),
    }
}
