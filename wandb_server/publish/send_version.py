"""Makes a version anew from its manifest and logs it at the target."""

import json
from collections.abc import Iterable
from datetime import timedelta
from types import ModuleType
from typing import Any

from wandb_server.artifact.manifests import read_manifest
from wandb_server.blobs import BlobStore, hex_digest
from wandb_server.publish.plan import TargetVersion
from wandb_server.publish.references import Translator
from wandb_server.publish.source import SourceVersion
from wandb_server.server_error import ServerError

# Types that the SDK keeps for itself: it logs tables, code and jobs under these.
_RESERVED = ("job", "code", "run_table")
_RESERVED_BEGINNING = "wandb-"


def send_version(
    sdk: ModuleType, active: Any, blobs: BlobStore, version: SourceVersion, translate: Translator
) -> TargetVersion:
    """Log a version in the open run `active`.

    Raises:
        ServerError: It wouldn't have, or didn't get, the same digest.
        StorageError: A file is missing or was altered on the disk.
    """
    draft = make_draft(sdk, blobs, version, translate)
    if draft.digest != version.artifact.digest:
        raise ServerError(
            f"made anew it has the digest {draft.digest}, not {version.artifact.digest}: "
            "nothing of it was sent"
        )
    # Aliases are set when all versions are there, as they are here now.
    logged = active.log_artifact(draft, aliases=[], tags=version.tags).wait()
    if logged.digest != version.artifact.digest:
        raise ServerError(f"the target gave it the digest {logged.digest}")
    return TargetVersion(logged.id, logged.source_qualified_name)


def make_draft(
    sdk: ModuleType, blobs: BlobStore, version: SourceVersion, translate: Translator
) -> Any:
    """Build the SDK's `Artifact` of a version; files are read from where they are stored.

    Raises:
        ServerError: It refers to a version that the target lacks.
        StorageError: A file is missing or was altered on the disk.
    """
    from wandb.sdk.artifacts._internal_artifact import InternalArtifact
    from wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry

    row = version.artifact
    reserved = version.type in _RESERVED or version.type.startswith(_RESERVED_BEGINNING)
    draft = (InternalArtifact if reserved else sdk.Artifact)(
        version.collection.name,
        version.type,
        description=row.description,
        metadata=json.loads(row.metadata or "{}"),
    )
    if row.ttl_seconds and row.ttl_seconds > 0:
        draft.ttl = timedelta(seconds=row.ttl_seconds)
    manifest = read_manifest(blobs, row.manifest_digest or "")
    for name, entry in manifest["contents"].items():
        if not entry.get("ref"):
            digest = hex_digest(entry["digest"])
            blobs.check(digest)
            draft.add_file(str(blobs.path(digest)), name=name, policy="immutable", skip_cache=True)
            continue
        if translate.is_unknown(entry["ref"]):
            raise ServerError(f"its {name} refers to a version that isn't published")
        # As it is: `add_reference` would go and look at what the address holds today.
        draft.manifest.add_entry(
            ArtifactManifestEntry(
                path=name,
                ref=translate(entry["ref"]),
                digest=entry["digest"],
                size=entry.get("size"),
                extra=entry.get("extra") or {},
            )
        )
    return draft


def set_labels(remote: Any, version: SourceVersion) -> list[str]:
    """Give a version at the target the aliases, tags, metadata and description it has here.

    Args:
        remote: The SDK's `Artifact` there.
        version: The version here.

    Returns:
        What was changed; aliases and tags that only the target has stay.
    """
    row = version.artifact
    metadata = json.loads(row.metadata or "{}")
    changed = [
        *_lacking("alias", version.aliases, remote.aliases),
        *_lacking("tag", version.tags, remote.tags),
    ]
    if remote.metadata != metadata:
        changed.append("metadata")
        remote.metadata = metadata
    if (remote.description or "") != (row.description or ""):
        changed.append("description")
        remote.description = row.description
    if changed:
        remote.aliases = [*remote.aliases, *(set(version.aliases) - set(remote.aliases))]
        remote.tags = [*remote.tags, *(set(version.tags) - set(remote.tags))]
        remote.save()
    return changed


def _lacking(kind: str, here: Iterable[str], there: Iterable[str]) -> list[str]:
    return [f"{kind} {name}" for name in here if name not in set(there)]
