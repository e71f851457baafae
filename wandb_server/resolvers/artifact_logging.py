"""How clients log and use versions: create, upload, commit, use."""

from dataclasses import replace
from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import ids
from wandb_server.artifact.commit import commit_artifact
from wandb_server.artifact.create import NewArtifact, create_artifact
from wandb_server.artifact.lineage import record_input
from wandb_server.artifact.lookups import (
    get_artifact,
    get_committed,
)
from wandb_server.artifact.manifests import (
    FULL,
    Manifest,
    add_manifest,
    announce_digest,
    get_manifest,
)
from wandb_server.artifact.mend import is_whole
from wandb_server.blobs import base64_digest, hex_digest
from wandb_server.errors import ClientError
from wandb_server.names import check_file_path
from wandb_server.parts import MAX_PARTS, Part, join_parts
from wandb_server.projects import ensure_project
from wandb_server.resolvers.context import Context, Resolvers, context
from wandb_server.resolvers.paging import connect
from wandb_server.resolvers.run_mutations import find_named_run

Input = dict[str, Any]


def _create(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    if input.get("storageRegion") not in {None, "", "default"}:
        raise ClientError(f"storage region {input['storageRegion']!r}: this server has only one")
    project = ensure_project(scope.connection, scope.entity_of(input), input["projectName"])
    run = find_named_run(scope, input) if input.get("runName") else None
    new = NewArtifact(
        project_id=project.id,
        run_id=run.id if run else None,
        type_name=input["artifactTypeName"],
        collection_name=_collection_name(input),
        digest=input["digest"],
        digest_algorithm=input.get("digestAlgorithm") or "MANIFEST_MD5",
        aliases=[alias["alias"] for alias in input.get("aliases") or []],
        tags=[tag["tagName"] for tag in input.get("tags") or []],
        description=input.get("description"),
        metadata=input.get("metadata"),
        ttl_seconds=input.get("ttlDurationSeconds"),
        distributed_id=input.get("distributedID"),
        history_step=input.get("historyStep"),
        client_id=input.get("clientID"),
        deduplicate=bool(input.get("enableDigestDeduplication")),
    )
    artifact = create_artifact(scope.connection, new)
    if artifact.state == "COMMITTED" and not is_whole(scope.connection, scope.blobs, artifact):
        # So the client uploads what was lost; the commit then finds the version whole.
        return {"artifact": replace(artifact, state="PENDING")}
    return {"artifact": artifact}


def _collection_name(fields: Input) -> str:
    names = fields.get("artifactCollectionNames") or [fields.get("artifactCollectionName")]
    if len(names) != 1 or not names[0]:
        raise ClientError("an artifact is logged to one collection: send its one name")
    return str(names[0])


def _create_manifest(
    _root: object,
    info: GraphQLResolveInfo,
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    scope = context(info)
    base = input.get("baseArtifactID")
    manifest = add_manifest(
        scope.connection,
        get_artifact(scope.connection, ids.decode("Artifact", input["artifactID"])).id,
        input.get("type") or FULL,
        check_file_path("manifest", input["name"]),
        input["digest"],
        None if base is None else ids.decode("Artifact", base),
    )
    return {"artifactManifest": _manifest_node(scope, manifest)}


def _update_manifest(
    _root: object,
    info: GraphQLResolveInfo,
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    scope = context(info)
    manifest = get_manifest(
        scope.connection, ids.decode("ArtifactManifest", input["artifactManifestID"])
    )
    if input.get("digest"):
        manifest = announce_digest(scope.connection, manifest.id, input["digest"])
    return {"artifactManifest": _manifest_node(scope, manifest)}


def _manifest_node(scope: Context, manifest: Manifest) -> dict[str, Any]:
    upload = scope.urls.upload_blob(manifest.digest) if manifest.digest else None
    file: dict[str, Any] = {
        "id": manifest.digest,
        "name": manifest.name,
        "uploadUrl": upload,
        "uploadHeaders": [],
    }
    return {
        "id": ids.encode("ArtifactManifest", manifest.id),
        "digest": base64_digest(manifest.digest),
        "file": file,
    }


def _create_files(
    _root: object,
    info: GraphQLResolveInfo,
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    scope = context(info)
    nodes = [_upload_node(scope, spec) for spec in input["artifactFiles"]]
    # The SDK matches answers to its list by their order, so equal digests stay apart.
    return {"files": connect(list(enumerate(nodes)), _place, load=lambda pair: pair[1])}


def _place(pair: tuple[int, dict[str, Any]]) -> int:
    return pair[0]


def _upload_node(scope: Context, spec: Input) -> dict[str, Any]:
    """Say where a file goes; content that is stored already needs no upload."""
    name = check_file_path("artifact file", spec["name"])
    digest = hex_digest(spec.get("md5") or spec.get("digest") or "")
    stored = scope.blobs.claim(digest)
    parts = [_read_part(part) for part in spec.get("uploadPartsInput") or []]
    return {
        "id": digest,
        "name": name,
        "storagePath": digest,
        "uploadUrl": None if stored else scope.urls.upload_blob(digest),
        "uploadHeaders": [],
        "uploadMultipartUrls": _part_urls(scope, digest, parts) if parts and not stored else None,
        "artifact": get_artifact(scope.connection, ids.decode("Artifact", spec["artifactID"])),
    }


def _part_urls(scope: Context, digest: str, parts: list[Part]) -> dict[str, Any]:
    """Say where the parts of a large file go, in their order."""
    if len(parts) > MAX_PARTS:
        raise ClientError(f"{len(parts)} parts: send {MAX_PARTS} at most")
    urls = [
        {
            "partNumber": part.number,
            "uploadUrl": scope.urls.upload_part(digest, part.number, part.digest),
        }
        for part in parts
    ]
    return {"uploadID": digest, "uploadUrlParts": urls}


def _read_part(fields: Input) -> Part:
    """Read a part as the client names it; it sends back the ETag, which is quoted."""
    return Part(int(fields["partNumber"]), str(fields["hexMD5"]).strip('"').lower())


def _complete_multipart(
    _root: object,
    info: GraphQLResolveInfo,
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    scope = context(info)
    get_artifact(scope.connection, ids.decode("Artifact", input["artifactID"]))
    if input["uploadID"] != input["storagePath"]:
        raise ClientError(f"no upload in parts has the id {input['uploadID'][:40]!r}")
    parts = [_read_part(part) for part in input["completedParts"]]
    join_parts(scope.blobs, input["uploadID"], parts)
    return {"digest": base64_digest(input["uploadID"])}


def _commit(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    artifact_id = ids.decode("Artifact", input["artifactID"])
    return {"artifact": commit_artifact(scope.connection, scope.blobs, artifact_id)}


def _use(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    artifact = get_committed(scope.connection, ids.decode("Artifact", input["artifactID"]))
    run = find_named_run(scope, input)
    record_input(scope.connection, run.id, artifact.id, input.get("usedAs"))
    return {"artifact": artifact}


RESOLVERS: Resolvers = {
    "Mutation": {
        "createArtifact": _create,
        "createArtifactManifest": _create_manifest,
        "updateArtifactManifest": _update_manifest,
        "createArtifactFiles": _create_files,
        "completeMultipartUploadArtifact": _complete_multipart,
        "commitArtifact": _commit,
        "useArtifact": _use,
    }
}
