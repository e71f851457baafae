"""The steps of logging an artifact, one by one, as the SDK takes them."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

CREATE = """mutation ($i: CreateArtifactInput!) {
    createArtifact(input: $i) { artifact { id state versionIndex } }
}"""
MANIFEST = """mutation ($a: ID!, $d: String!, $t: ArtifactManifestType) {
    createArtifactManifest(input: {artifactID: $a, name: "m.json", digest: $d, type: $t}) {
        artifactManifest { id file { uploadUrl } }
    }
}"""
FILES = """mutation ($i: CreateArtifactFilesInput!) {
    createArtifactFiles(input: $i) { files { edges { node { name uploadUrl } } } }
}"""
COMMIT = """mutation ($a: ID!) {
    commitArtifact(input: {artifactID: $a}) { artifact { id versionIndex } }
}"""
VERSIONS = """query ($p: String, $c: String!) { project(name: $p) { artifactCollection(name: $c) {
    artifacts { edges { version node { id digest aliases { alias } } } }
} } }"""

Ask = Callable[..., Any]


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def hex_md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def manifest(files: dict[str, bytes]) -> bytes:
    contents = {
        name: {"digest": md5(content), "size": len(content)} for name, content in files.items()
    }
    return json.dumps({"version": 1, "contents": contents}).encode()


def create(ask: Ask, project: str, files: dict[str, bytes], **fields: Any) -> dict[str, Any]:
    """Ask for a version of these files; fields add to the input."""
    given = {
        "entityName": "local",
        "projectName": project,
        "artifactTypeName": "dataset",
        "artifactCollectionName": "table",
        "digest": hashlib.md5(manifest(files), usedforsecurity=False).hexdigest(),
        "enableDigestDeduplication": True,
    }
    return ask(CREATE, i={**given, **fields})["createArtifact"]["artifact"]


def announce(ask: Ask, artifact_id: str, content: bytes, kind: str = "FULL") -> str:
    """Announce a manifest and return the address that takes it."""
    answer = ask(MANIFEST, a=artifact_id, d=md5(content), t=kind)
    return answer["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]


def ask_uploads(ask: Ask, artifact_id: str, files: dict[str, bytes]) -> list[str | None]:
    """Ask where the files go; None for those that the server has."""
    specs = [
        {"artifactID": artifact_id, "name": name, "md5": md5(content)}
        for name, content in files.items()
    ]
    edges = ask(FILES, i={"artifactFiles": specs})["createArtifactFiles"]["files"]["edges"]
    assert [edge["node"]["name"] for edge in edges] == list(files)
    return [edge["node"]["uploadUrl"] for edge in edges]


def commit(ask: Ask, artifact_id: str) -> int:
    """Commit a version and return its number."""
    return ask(COMMIT, a=artifact_id)["commitArtifact"]["artifact"]["versionIndex"]


def versions(ask: Ask, project: str, name: str = "table") -> dict[str, list[str]]:
    """Aliases by version, as a client sees them."""
    collection = ask(VERSIONS, p=project, c=name)["project"]["artifactCollection"]
    return {
        edge["version"]: [alias["alias"] for alias in edge["node"]["aliases"]]
        for edge in (collection["artifacts"]["edges"] if collection else [])
    }
