"""Large files in parts: each part and the whole are checked, and nothing is seen too early."""

import os
import time
from typing import Any

import pytest

from tests.server import client
from tests.server.conftest import Core, LiveServer
from tests.server.stored import DAY
from wandb_server.parts import FOLDER
from wandb_server.upkeep.check import GRACE_SECONDS, check_store
from wandb_server.upkeep.collect import collect
from wandb_server.upkeep.retention import Rules
from wandb_server.upkeep.store import opened

FILES = """mutation ($i: CreateArtifactFilesInput!) {
    createArtifactFiles(input: $i) { files { edges { node { uploadUrl storagePath
        uploadMultipartUrls { uploadID uploadUrlParts { partNumber uploadUrl } } } } } }
}"""
COMPLETE = """mutation ($i: CompleteMultipartUploadArtifactInput!) {
    completeMultipartUploadArtifact(input: $i) { digest }
}"""
PARTS = [os.urandom(3_000_000), os.urandom(3_000_000), b"the rest"]
WHOLE = b"".join(PARTS)


def _begin(ask: client.Ask, project: str, parts: list[bytes]) -> tuple[str, dict[str, Any]]:
    """Ask where the parts of one large file go; give the version's id and the answer."""
    files = {"large.bin": b"".join(parts)}
    version = client.create(ask, project, files)["id"]
    spec = {
        "artifactID": version,
        "name": "large.bin",
        "md5": client.md5(files["large.bin"]),
        "uploadPartsInput": [
            {"partNumber": number, "hexMD5": client.hex_md5(part)}
            for number, part in enumerate(parts, 1)
        ],
    }
    (edge,) = ask(FILES, i={"artifactFiles": [spec]})["createArtifactFiles"]["files"]["edges"]
    return version, edge["node"]


def _urls(node: dict[str, Any]) -> list[str]:
    return [part["uploadUrl"] for part in node["uploadMultipartUrls"]["uploadUrlParts"]]


def _completion(version: str, node: dict[str, Any], etags: list[str]) -> dict[str, Any]:
    return {
        "completeMultipartAction": "Complete",
        "completedParts": [
            {"partNumber": number, "hexMD5": etag} for number, etag in enumerate(etags, 1)
        ],
        "artifactID": version,
        "storagePath": node["storagePath"],
        "uploadID": node["uploadMultipartUrls"]["uploadID"],
    }


def _put(live: LiveServer, url: str, content: bytes) -> str:
    status, headers, body = live.request("PUT", url, content, key=None)
    assert status == 200, body
    return headers["etag"]


def test_parts_make_a_file_once_all_are_there_also_after_a_kill(mortal: LiveServer) -> None:
    version, node = _begin(mortal.data, "p", PARTS)
    urls = _urls(node)
    etags = {number: _put(mortal, urls[number], PARTS[number]) for number in (2, 0)}
    stored = mortal.folder / "blobs" / client.hex_md5(WHOLE)[:2] / client.hex_md5(WHOLE)
    mortal.kill()
    mortal.start()
    etags[1] = _put(mortal, urls[1], PARTS[1])
    assert not stored.exists()
    completion = _completion(version, node, [etags[number] for number in range(3)])
    for _ in range(2):  # the first answer may be lost
        answer = mortal.data(COMPLETE, i=completion)["completeMultipartUploadArtifact"]
        assert answer["digest"] == client.md5(WHOLE)
    assert stored.read_bytes() == WHOLE
    assert not list((mortal.folder / "blobs" / FOLDER).iterdir())
    _, again = _begin(mortal.data, "q", PARTS)
    assert again["uploadUrl"] is None
    assert again["uploadMultipartUrls"] is None
    manifest = client.manifest({"large.bin": WHOLE})
    _put(mortal, client.announce(mortal.data, version, manifest), manifest)
    assert client.commit(mortal.data, version) == 0


def test_only_the_announced_parts_are_taken_and_all_of_them_are_needed(
    live: LiveServer, project: str
) -> None:
    parts = [os.urandom(100), os.urandom(50)]
    version, node = _begin(live.data, project, parts)
    first, second = _urls(node)
    assert live.request("PUT", first, parts[1], key=None)[0] == 422
    path, _, token = first.partition("?")
    elsewhere = path.replace("/1/", "/2/") + f"?{token}"
    assert live.request("PUT", elsewhere, parts[0], key=None)[0] == 403
    etags = [_put(live, first, parts[0]), f'"{client.hex_md5(parts[1])}"']
    with pytest.raises(AssertionError, match=r"part 2 of .* wasn't uploaded"):
        live.data(COMPLETE, i=_completion(version, node, etags))
    with pytest.raises(AssertionError, match="numbered from 1"):
        live.data(COMPLETE, i=_completion(version, node, []))
    _put(live, second, parts[1])
    with pytest.raises(AssertionError, match="was announced"):
        live.data(COMPLETE, i=_completion(version, node, etags[:1]))
    live.data(COMPLETE, i=_completion(version, node, etags))


def test_parts_that_are_never_completed_are_collected_when_old(core: Core) -> None:
    folder = core.folder / "blobs" / FOLDER / ("0" * 32)
    folder.mkdir(parents=True)
    parts = [folder / f"{number}-{'a' * 32}" for number in (1, 2)]
    for part in parts:
        part.write_bytes(b"part")
    old = time.time() - 2 * DAY
    os.utime(parts[0], (old, old))
    with opened(core.folder) as store:
        report = check_store(store, lambda *_: None)
        assert not report.damaged
        kept = collect(store, Rules(), GRACE_SECONDS, delete=True)
        assert (kept.files, kept.young) == (0, 2)  # the upload goes on
        os.utime(parts[1], (old, old))
        assert collect(store, Rules(), GRACE_SECONDS, delete=False).files == 2
        assert parts[0].exists()
        assert collect(store, Rules(), GRACE_SECONDS, delete=True).files == 2
    assert not folder.exists()
