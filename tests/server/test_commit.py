"""A version is seen only when it is whole; repeats and races make no other one."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.server import client
from tests.server.conftest import Core

FILES = {"a.txt": b"alpha", "b/c.txt": b"beta"}


@pytest.fixture
def ask(core: Core) -> Callable[..., Any]:
    core.data('mutation { upsertBucket(input: {name: "r", modelName: "p"}) { inserted } }')
    return core.data


def _upload(core: Core, artifact: dict[str, Any], files: dict[str, bytes]) -> None:
    for content in (*files.values(), client.manifest(files)):
        core.blobs.write(content)
    client.announce(core.data, artifact["id"], client.manifest(files))


def _log(core: Core, files: dict[str, bytes], **fields: Any) -> int:
    artifact = client.create(core.data, "p", files, **fields)
    if artifact["state"] == "COMMITTED":
        return int(artifact["versionIndex"])
    _upload(core, artifact, files)
    return client.commit(core.data, artifact["id"])


def _alias(*names: str) -> list[dict[str, str]]:
    return [{"artifactCollectionName": "table", "alias": name} for name in names]


def test_a_version_is_not_seen_before_its_commit(core: Core, ask: Callable[..., Any]) -> None:
    artifact = client.create(ask, "p", FILES, aliases=_alias("best"))
    _upload(core, artifact, FILES)
    assert client.versions(ask, "p") == {}
    membership = 'query ($n: String!) { project(name: "p") { artifact(name: $n) { id } } }'
    for name in ("table:v0", "table:latest", "table:best"):
        assert ask(membership, n=name)["project"]["artifact"] is None
    assert ask("query ($a: ID!) { artifact(id: $a) { id } }", a=artifact["id"])["artifact"] is None
    assert client.commit(ask, artifact["id"]) == 0
    assert client.versions(ask, "p") == {"v0": ["latest", "best"]}


def test_a_storage_region_elsewhere_is_refused(core: Core, ask: Callable[..., Any]) -> None:
    fields = {"entityName": "local", "projectName": "p", "artifactTypeName": "t", "digest": "d"}
    fields |= {"artifactCollectionName": "c", "storageRegion": "moon"}
    assert "'moon'" in core.error(client.CREATE, i=fields)
    assert ask(client.CREATE, i={**fields, "storageRegion": "default"})["createArtifact"]


def test_a_commit_without_the_manifest_is_refused(core: Core, ask: Callable[..., Any]) -> None:
    artifact = client.create(ask, "p", FILES)
    client.announce(ask, artifact["id"], client.manifest(FILES))
    assert "manifest file wasn't uploaded" in core.error(client.COMMIT, a=artifact["id"])


def test_a_commit_without_a_file_is_refused_and_named(core: Core, ask: Callable[..., Any]) -> None:
    artifact = client.create(ask, "p", FILES)
    _upload(core, artifact, FILES)
    digest = core.blobs.write(b"beta")
    core.blobs.path(digest).unlink()
    assert "'b/c.txt' wasn't uploaded" in core.error(client.COMMIT, a=artifact["id"])
    assert client.versions(ask, "p") == {}
    assert client.ask_uploads(ask, artifact["id"], FILES)[1] is not None
    core.blobs.write(b"beta")
    assert client.commit(ask, artifact["id"]) == 0


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"digest": client.md5(b"alpha"), "size": 4}, "has 5 bytes, the manifest says 4"),
        ({"digest": "?", "size": 5}, "base64"),
        ({"digest": client.md5(b"alpha"), "size": -1}, "isn't a number of bytes"),
        ({"digest": client.md5(b"alpha"), "size": "5"}, "isn't a number of bytes"),
        ([], "JSON object is wanted"),
    ],
)
def test_a_manifest_entry_that_is_wrong_is_refused(
    core: Core, ask: Callable[..., Any], entry: Any, message: str
) -> None:
    artifact = client.create(ask, "p", FILES)
    _upload(core, artifact, FILES)
    content = json.dumps({"contents": {"a.txt": entry}}).encode()
    core.blobs.write(content)
    fresh = client.create(ask, "p", {"other": b"x"})
    client.announce(ask, fresh["id"], content)
    assert message in core.error(client.COMMIT, a=fresh["id"])


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "", "a\x00"])
def test_a_manifest_with_a_hostile_name_is_refused(
    core: Core, ask: Callable[..., Any], name: str
) -> None:
    artifact = client.create(ask, "p", {name: b"x"})
    _upload(core, artifact, {name: b"x"})
    assert "artifact file" in core.error(client.COMMIT, a=artifact["id"])


def test_each_step_may_be_repeated(core: Core, ask: Callable[..., Any]) -> None:
    ids = {client.create(ask, "p", FILES, clientID="c1", runName="r")["id"] for _ in range(3)}
    (artifact_id,) = ids
    for _ in range(2):
        _upload(core, {"id": artifact_id}, FILES)
        assert client.commit(ask, artifact_id) == 0
    again = client.create(ask, "p", FILES, clientID="c1", runName="r")
    assert (again["id"], again["state"]) == (artifact_id, "COMMITTED")
    assert list(client.versions(ask, "p")) == ["v0"]


def test_what_the_server_has_needs_no_upload(core: Core, ask: Callable[..., Any]) -> None:
    assert _log(core, FILES) == 0
    other = client.create(ask, "p", {**FILES, "new": b"new"})
    first, second, third = client.ask_uploads(ask, other["id"], {**FILES, "new": b"new"})
    assert first is second is None
    assert third is not None


def test_equal_content_at_once_makes_one_version(core: Core, ask: Callable[..., Any]) -> None:
    start = threading.Barrier(8)

    def log(number: int) -> int:
        start.wait()
        return _log(core, FILES, clientID=f"client-{number}", aliases=_alias(f"by-{number}"))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(log, range(8))) == {0}
    assert set(client.versions(ask, "p")["v0"]) == {"latest", *(f"by-{n}" for n in range(8))}


def test_another_manifest_of_the_same_content_does_not_stop_a_commit(
    core: Core, ask: Callable[..., Any]
) -> None:
    artifact = client.create(ask, "p", FILES, clientID="one")
    _upload(core, artifact, FILES)
    assert client.create(ask, "p", FILES, clientID="two")["id"] == artifact["id"]
    client.announce(ask, artifact["id"], client.manifest(FILES) + b" ")
    assert client.commit(ask, artifact["id"]) == 0


def test_versions_count_without_gaps_under_many_writers(
    core: Core, ask: Callable[..., Any]
) -> None:
    def log(number: int) -> int:
        return _log(core, {"f": str(number).encode()}, aliases=_alias("best"))

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(log, range(40)))
    assert sorted(numbers) == list(range(40))
    seen = client.versions(ask, "p")
    assert list(seen) == [f"v{number}" for number in range(39, -1, -1)]
    assert sorted(alias for aliases in seen.values() for alias in aliases) == ["best", "latest"]


def test_who_completes_what_another_run_left_is_its_maker(
    core: Core, ask: Callable[..., Any]
) -> None:
    ask('mutation { upsertBucket(input: {name: "s", modelName: "p"}) { inserted } }')
    client.create(ask, "p", FILES, clientID="killed", runName="r", metadata='{"old": 1}')
    assert _log(core, FILES, clientID="later", runName="s", metadata='{"new": 1}') == 0
    query = """{ project(name: "p") { artifact(name: "table:v0") {
        metadata createdBy { ... on Run { name } }
    } } }"""
    artifact = ask(query)["project"]["artifact"]
    assert artifact == {"metadata": '{"new": 1}', "createdBy": {"name": "s"}}


def _patch(core: Core, artifact_id: str, files: dict[str, bytes], *, upload: bool = True) -> None:
    """Add files to a distributed version, as one of its writers does."""
    query = """mutation ($a: ID!) { createArtifactManifest(
        input: {artifactID: $a, name: "m", digest: "", type: PATCH}
    ) { artifactManifest { id } } }"""
    update = """mutation ($m: ID!, $d: String) { updateArtifactManifest(
        input: {artifactManifestID: $m, digest: $d}
    ) { artifactManifest { file { uploadUrl } } } }"""
    part = core.data(query, a=artifact_id)["createArtifactManifest"]["artifactManifest"]
    content = client.manifest(files)
    answer = core.data(update, m=part["id"], d=client.md5(content))["updateArtifactManifest"]
    assert answer["artifactManifest"]["file"]["uploadUrl"]
    if upload:
        for blob in (*files.values(), content):
            core.blobs.write(blob)


def test_the_parts_of_a_distributed_version_make_one(core: Core, ask: Callable[..., Any]) -> None:
    ids = set()
    for number in range(3):
        files = {f"part-{number}": str(number).encode()}
        artifact = client.create(ask, "p", files, clientID=f"c{number}", distributedID="group")
        ids.add(artifact["id"])
        _patch(core, artifact["id"], files)
    (artifact_id,) = ids
    assert client.commit(ask, artifact_id) == 0
    query = (
        "query ($a: ID!) { artifact(id: $a) { fileCount size files { edges { node { name } } } } }"
    )
    artifact = ask(query, a=artifact_id)["artifact"]
    assert (artifact["fileCount"], artifact["size"]) == (3, 3)
    names = [edge["node"]["name"] for edge in artifact["files"]["edges"]]
    assert names == ["part-0", "part-1", "part-2"]


def test_a_part_that_is_still_on_its_way_holds_the_commit(
    core: Core, ask: Callable[..., Any]
) -> None:
    artifact = client.create(ask, "p", FILES, clientID="c0", distributedID="group")
    _patch(core, artifact["id"], FILES)
    _patch(core, artifact["id"], {"late": b"late"}, upload=False)
    assert "wait for all writers" in core.error(client.COMMIT, a=artifact["id"])
    for blob in (b"late", client.manifest({"late": b"late"})):
        core.blobs.write(blob)
    assert client.commit(ask, artifact["id"]) == 0
