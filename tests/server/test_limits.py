"""What a client may send is bounded: bytes, queries, answers, origins, files of any size."""

import asyncio
import contextlib
import gzip
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from graphql import parse, print_ast

from tests.server.conftest import KEY, Core, LiveServer
from tests.server.documents import sdk_documents
from wandb_server import limits
from wandb_server.auth import SESSION, SESSION_COOKIE, Signer
from wandb_server.bodies import MAX_BODY_BYTES, TooLargeError, read_body, unpack
from wandb_server.errors import ClientError
from wandb_server.graphql_endpoint import _prepare
from wandb_server.limits import Cost, measure, parse_bounded

UPSERT = "mutation ($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id } } }"


def _nested(levels: int) -> str:
    return "{ project " * levels + "{ id " + "}" * (levels + 1)


def _doubling(fragments: int) -> str:
    """A short text that stands for a query of 2 to the power of `fragments` fields."""
    texts = ["query { ...f0 }", f"fragment f{fragments} on Query {{ viewer {{ id }} }}"]
    texts += [
        f"fragment f{number} on Query {{ ...f{number + 1} ...f{number + 1} }}"
        for number in range(fragments)
    ]
    return " ".join(texts)


def test_every_document_of_the_sdk_is_far_below_the_bounds() -> None:
    for where, document in sdk_documents().items():
        text = print_ast(document)
        cost = measure(document)
        assert len(text) * 4 < limits.MAX_CHARACTERS, where
        assert cost.depth * 2 < limits.MAX_DEPTH, where
        assert cost.fields * 4 < limits.MAX_FIELDS, where
        assert cost.aliases * 4 < limits.MAX_ALIASES, where
        parse_bounded(text)


def test_a_fragment_counts_wherever_it_is_spread() -> None:
    text = """query { a: viewer { ...u } b: viewer { ...u } }
        fragment u on User { teams { edges { node { name } } } }"""
    assert measure(parse(text)) == Cost(fields=10, aliases=2, depth=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{" + " " * 20_000 + "viewer { id } }", "20016 characters: send 20000 at most"),
        (_nested(40), "41 levels: send 25 at most"),
        ("{ viewer {" + " id" * 500 + "} }", "501 fields: send 500 at most"),
        ("{" + "".join(f" a{n}: viewer {{ id }}" for n in range(101)) + "}", "101 aliases"),
        (_doubling(40), "fields: send 500 at most"),
        ("{ ...f } fragment f on Query { ...g } fragment g on Query { ...f }", "holds itself"),
    ],
)
def test_a_query_that_is_too_large_is_refused_with_the_bound(
    live: LiveServer, text: str, message: str
) -> None:
    body = json.dumps({"query": text}).encode()
    status, _, answer = live.request("POST", "/graphql", body)
    assert status == 400
    assert message in json.loads(answer)["error"]


def test_a_query_that_is_nested_without_end_is_refused(live: LiveServer) -> None:
    for text in ("{a" * 9_000, "{a(b:" + "[" * 9_000):
        status, _, answer = live.request("POST", "/graphql", json.dumps({"query": text}).encode())
        assert status == 200
        assert "nested too deeply" in json.loads(answer)["errors"][0]["message"]


def test_an_answer_that_grows_too_large_is_given_up(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        core.data(UPSERT, i={"name": f"r{number}", "modelName": "p"})
    names = "runs { edges { node { name } } }"
    text = f'{{ project(name: "p") {{ runs {{ edges {{ node {{ project {{ {names} }} }} }} }} }} }}'
    assert core.ask(text)["data"]
    monkeypatch.setattr(limits, "MAX_ANSWERED_FIELDS", 150)
    with pytest.raises(ClientError, match="smaller pages"):
        core.ask(text)
    assert core.data('{ project(name: "p") { runCount } }')["project"]["runCount"] == 10


def test_a_refused_query_is_not_kept_in_memory(core: Core) -> None:
    before = _prepare.cache_info().currsize
    for number in range(20):
        core.error(f"{{ nothing{number} }}")
    assert _prepare.cache_info().currsize == before


async def _endless(chunks: int) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        yield bytes(1 << 20)


def test_a_body_beyond_the_bound_is_refused_and_never_held() -> None:
    tracemalloc.start()
    with pytest.raises(TooLargeError, match="1 MB at most"):
        asyncio.run(read_body(_endless(50), 1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert len(asyncio.run(read_body(_endless(1), 1 << 20))) == 1 << 20


def test_a_body_that_unpacks_to_too_much_is_refused() -> None:
    assert unpack(gzip.compress(b"x" * 100), "gzip", 100) == b"x" * 100
    with pytest.raises(TooLargeError):
        unpack(gzip.compress(b"x" * 101), "gzip", 100)
    assert unpack(b"plain", "") == b"plain"


@pytest.mark.parametrize("path", ["/graphql", "/files/local/p/r/file_stream"])
def test_a_request_that_is_too_large_is_told_so(live: LiveServer, path: str) -> None:
    status, _, answer = live.request("POST", path, bytes(MAX_BODY_BYTES + 1))
    assert status == 413
    assert "64 MB at most" in json.loads(answer)["error"]


def test_a_post_that_unpacks_to_too_much_is_told_so(live: LiveServer) -> None:
    bomb = gzip.compress(bytes(MAX_BODY_BYTES + 1), compresslevel=1)
    headers = {"Content-Encoding": "gzip"}
    status, _, _ = live.request("POST", "/files/local/p/r/file_stream", bomb, headers)
    assert status == 413


@pytest.mark.parametrize(
    "start",
    [
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ",
        b"GET /",
        b"POST /graphql HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ",
    ],
    ids=["header", "path", "trailer"],
)
def test_a_head_that_never_ends_is_turned_away(live: LiveServer, start: bytes) -> None:
    with socket.create_connection(("127.0.0.1", live.port), timeout=30) as link:
        link.sendall(start)
        answer = b""
        # The server closes the connection while bytes are on their way.
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                link.sendall(b"x" * (1 << 20))
        with contextlib.suppress(ConnectionError):
            answer = link.recv(1 << 16)
    assert not answer.startswith(b"HTTP/1.1 2")
    assert live.request("GET", "/healthz")[0] == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:{port}", 200),
        ("http://127.0.0.1:1", 403),
        ("https://127.0.0.1:{port}", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_other_origins_are_turned_away_even_with_the_key(
    live: LiveServer, origin: str | None, status: int
) -> None:
    headers = {} if origin is None else {"Origin": origin.format(port=live.port)}
    body = b'{"query": "{ viewer { id } }"}'
    assert live.request("POST", "/graphql", body, headers)[0] == status
    cookie = {"Cookie": f"{SESSION_COOKIE}={Signer(KEY).sign(SESSION, 60)}"}
    path = "/artifactsV2/default/local/p/c/b/" + "0" * 32 + "/f"
    seen = live.request("GET", path, headers=headers | cookie, key=None)[0]
    assert (seen == 403) == (status == 403)
