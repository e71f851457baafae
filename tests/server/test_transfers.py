"""Uploads and downloads: the announced bytes, for whom the address was made, while it holds."""

import hashlib
import os

import pytest

from tests.server.conftest import KEY, LiveServer
from wandb_server.auth import Signer
from wandb_server.urls import Urls, subject

UPSERT = "mutation ($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id } } }"
FILES = """mutation ($p: String, $f: [String!]!) {
    createRunFiles(input: {projectName: $p, runName: "r", files: $f}) { files { uploadUrl } }
}"""
READ = """query ($p: String) { project(name: $p) { run(name: "r") {
    files { edges { node { name sizeBytes directUrl } } }
} } }"""


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _urls(live: LiveServer) -> Urls:
    return Urls(live.base_url, Signer(KEY))


def _upload_url(live: LiveServer, project: str, name: str) -> str:
    live.data(UPSERT, i={"name": "r", "modelName": project})
    return live.data(FILES, p=project, f=[name])["createRunFiles"]["files"][0]["uploadUrl"]


@pytest.mark.parametrize("name", ["a.txt", "media/im ages/ä#?%2e.png", "deep/" * 20 + "f"])
def test_a_run_file_comes_back_as_it_was_sent(live: LiveServer, project: str, name: str) -> None:
    for content in (b"first", b"second version"):
        url = _upload_url(live, project, name)
        assert url.startswith(live.base_url)
        assert live.request("PUT", url, content, key=None)[0] == 200
        (edge,) = live.data(READ, p=project)["project"]["run"]["files"]["edges"]
        assert (edge["node"]["name"], edge["node"]["sizeBytes"]) == (name, len(content))
        status, headers, body = live.request("GET", edge["node"]["directUrl"], key=None)
        assert (status, body) == (200, content)
        assert headers["content-security-policy"].startswith("sandbox; default-src 'none';")


def test_ranges_are_served(live: LiveServer) -> None:
    content = bytes(range(256)) * 10
    url = _urls(live).upload_blob(_md5(content))
    assert live.request("PUT", url, content, key=None)[0] == 200
    path = _urls(live).download(_md5(content), "f.bin")
    status, headers, body = live.request("GET", path, headers={"Range": "bytes=5-9"}, key=None)
    assert (status, body) == (206, content[5:10])
    assert headers["content-range"] == f"bytes 5-9/{len(content)}"


def test_browsers_are_told_to_keep_other_sites_out(live: LiveServer) -> None:
    path = _urls(live).download(_md5(b"x"), "f")
    asking = {"Origin": "http://evil.example", "Access-Control-Request-Method": "GET"}
    status, headers, _ = live.request("OPTIONS", path, headers=asking, key=None)
    assert (status, headers["access-control-allow-origin"]) == (204, live.base_url)


def test_other_bytes_than_announced_are_refused(live: LiveServer) -> None:
    digest = _md5(b"announced")
    status, _, answer = live.request("PUT", _urls(live).upload_blob(digest), b"other", key=None)
    assert status == 422
    assert digest.encode() in answer
    assert live.request("GET", _urls(live).download(digest, "f"), key=None)[0] == 410


def test_an_address_serves_its_own_method_and_path_only(live: LiveServer) -> None:
    content = os.urandom(8)
    digest, other = _md5(content), _md5(b"other")
    url = _urls(live).upload_blob(digest)
    token = url.partition("?token=")[2]
    for method, path in (
        ("PUT", f"/upload/blob/{other}?token={token}"),
        ("GET", f"/download/{digest}/f?token={token}"),
        ("PUT", f"/upload/blob/{digest}"),
        ("PUT", f"/upload/blob/{digest}?token=x.y"),
        ("PUT", f"/upload/run/1/f?token={token}"),
    ):
        assert live.request(method, path, content, key=None)[0] == 403
    assert live.request("PUT", url, content, key=None)[0] == 200


@pytest.mark.parametrize("path", ["/upload/run/{}/f", "/upload/part/{}/1/x", "/upload/part/x/{}/x"])
@pytest.mark.parametrize("number", ["9" * 5000, "-1", "x"], ids=["huge", "negative", "word"])
def test_no_number_in_an_address_that_was_made_up_is_read(
    live: LiveServer, path: str, number: str
) -> None:
    assert live.request("PUT", path.format(number), b"x", key=None)[0] == 403


def test_an_expired_address_is_refused(live: LiveServer) -> None:
    path = f"/upload/blob/{_md5(b'x')}"
    token = Signer(KEY).sign(subject("PUT", path), -5)
    assert live.request("PUT", f"{path}?token={token}", b"x", key=None)[0] == 403


@pytest.mark.parametrize("digest", ["..", "%2e%2e", "..%2f..%2fetc", "A" * 32, "0" * 33])
def test_nothing_but_a_digest_names_a_blob(live: LiveServer, digest: str) -> None:
    path = f"/artifactsV2/default/local/p/c/birth/{digest}/passwd"
    assert live.request("GET", path)[0] in {400, 404}


def test_the_sdk_falls_back_to_an_address_with_the_key(live: LiveServer) -> None:
    content = os.urandom(8)
    live.request("PUT", _urls(live).upload_blob(_md5(content)), content, key=None)
    path = f"/artifactsV2/default/local/p/c/birth/{_md5(content)}/f.bin"
    assert live.request("GET", path)[2] == content
    assert live.request("GET", path, key=None)[0] == 401


def test_a_file_of_a_run_that_is_gone_is_refused(live: LiveServer, project: str) -> None:
    url = _upload_url(live, project, "late.txt")
    run = live.data(UPSERT, i={"name": "r", "modelName": project})["upsertBucket"]["bucket"]["id"]
    live.data("mutation ($r: ID!) { deleteRun(input: {id: $r}) { clientMutationId } }", r=run)
    assert live.request("PUT", url, b"x", key=None)[0] == 404
