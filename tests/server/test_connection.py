"""Large bodies on real connections: whole, in order, and the connection can be used again."""

import asyncio
import hashlib
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from tests.server.conftest import KEY, LiveServer
from wandb_server.auth import Signer
from wandb_server.connection import PIECE_BYTES, Connection, LargeBody, body_of
from wandb_server.urls import Urls
from wandb_server.web import settings


def _target(live: LiveServer, content: bytes, announced: bytes | None = None) -> str:
    digest = hashlib.md5(announced or content, usedforsecurity=False).hexdigest()
    parts = urlsplit(Urls(live.base_url, Signer(KEY)).upload_blob(digest))
    return f"{parts.path}?{parts.query}"


def _put(link: HTTPConnection, target: str, content: bytes) -> int:
    link.request("PUT", target, content)
    with link.getresponse() as answer:
        answer.read()
        return answer.status


def _is_stored(live: LiveServer, content: bytes) -> bool:
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    path = Urls(live.base_url, Signer(KEY)).download(digest, "f")
    status, _, body = live.request("GET", path, key=None)
    assert status != 200 or body == content
    return status == 200


def test_bodies_of_any_size_come_whole_on_one_connection(live: LiveServer) -> None:
    sizes = (PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES, 7 * PIECE_BYTES + 13)
    with closing(HTTPConnection("127.0.0.1", live.port, timeout=30)) as link:
        for size in sizes:
            content = os.urandom(size)
            assert _put(link, _target(live, content), content) == 200
            assert _is_stored(live, content)


def test_many_large_bodies_at_once_come_whole(live: LiveServer) -> None:
    contents = [os.urandom(2 * PIECE_BYTES + number) for number in range(12)]

    def put(content: bytes) -> int:
        with closing(HTTPConnection("127.0.0.1", live.port, timeout=60)) as link:
            return _put(link, _target(live, content), content)

    with ThreadPoolExecutor(len(contents)) as pool:
        assert set(pool.map(put, contents)) == {200}
    assert all(_is_stored(live, content) for content in contents)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_many_large_bodies_at_once_take_less_memory_than_half_of_them(mortal: LiveServer) -> None:
    contents = [bytes([number]) * 3 * PIECE_BYTES for number in range(60)]
    assert mortal.request("GET", "/healthz")[0] == 200
    before = _kilobytes(mortal, "VmRSS")
    with ExitStack() as links:
        opened = []
        for content in contents:
            link = links.enter_context(closing(HTTPConnection("127.0.0.1", mortal.port)))
            link.putrequest("PUT", _target(mortal, content))
            link.putheader("Content-Length", str(len(content)))
            link.endheaders(content[: 3 * PIECE_BYTES // 2])
            opened.append(link)
        for link, content in zip(opened, contents, strict=True):
            link.send(content[3 * PIECE_BYTES // 2 :])
            assert link.getresponse().status == 200
    assert _kilobytes(mortal, "VmHWM") - before < sum(map(len, contents)) / 1024 / 2


def _kilobytes(server: LiveServer, field: str) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0])


@pytest.mark.parametrize("case", ["no token", "other bytes"])
def test_a_large_body_that_is_refused_leaves_the_connection_usable(
    live: LiveServer, case: str
) -> None:
    content, next_one = os.urandom(4 * PIECE_BYTES), os.urandom(2 * PIECE_BYTES)
    target = _target(live, content, announced=b"x" if case == "other bytes" else None)
    with closing(HTTPConnection("127.0.0.1", live.port, timeout=30)) as link:
        refused = _put(link, target.partition("?")[0] if case == "no token" else target, content)
        assert refused == (403 if case == "no token" else 422)
        assert _put(link, _target(live, next_one), next_one) == 200
    assert not _is_stored(live, content)


def test_a_request_that_follows_a_large_body_at_once_is_answered_too(live: LiveServer) -> None:
    content = os.urandom(3 * PIECE_BYTES + 7)
    head = f"Host: 127.0.0.1\r\nContent-Length: {len(content)}"
    with socket.create_connection(("127.0.0.1", live.port), timeout=30) as link:
        first = f"PUT {_target(live, content)} HTTP/1.1\r\n{head}\r\n\r\n".encode() + content
        link.sendall(first + b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answers = b""
        while answers.count(b"HTTP/1.1 200 OK") < 2:
            more = link.recv(1 << 16)
            assert more, answers
            answers += more
    assert _is_stored(live, content)


def test_a_large_body_that_breaks_off_is_not_stored(live: LiveServer) -> None:
    content = os.urandom(3 * PIECE_BYTES)
    head = f"PUT {_target(live, content)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    with socket.create_connection(("127.0.0.1", live.port), timeout=30) as link:
        link.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[:-1])
        link.shutdown(socket.SHUT_WR)
        while link.recv(1 << 16):  # until the server has given it up
            pass
    assert not _is_stored(live, content)
    deadline = time.monotonic() + 30
    while list((live.folder / "blobs" / "incoming").iterdir()):
        assert time.monotonic() < deadline, "what came is still there"


def test_a_body_that_comes_faster_than_it_is_asked_for_is_whole_among_many() -> None:
    content = os.urandom(2 * PIECE_BYTES)
    head = f"PUT / HTTP/1.1\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    assert asyncio.run(_receive_late(head, content, others=64)) == content + b"the end"


async def _receive_late(head: bytes, content: bytes, others: int) -> bytes:
    """Ask for a body when much of it is there, while others are on their way; give it."""
    loop, may_read = asyncio.get_running_loop(), asyncio.Event()
    whole: asyncio.Future[bytes] = loop.create_future()

    async def app(scope: Scope, receive: Receive, _send: Send) -> None:
        await may_read.wait()
        body = body_of(Request(scope, receive))
        assert isinstance(body, LargeBody)
        came = bytearray()
        await body.pour(came.extend, lambda: came.extend(b"the end"))
        whole.set_result(bytes(came))

    config, state = settings(app), ServerState()
    config.load()
    with ExitStack() as opened:
        for _ in range(others + 1):
            here, there = map(opened.enter_context, socket.socketpair())
            there.setblocking(False)
            taker = Connection(config, state, {})
            await loop.create_connection(lambda made=taker: made, sock=here)  # type: ignore[misc]
            taker.data_received(head)
        for start in range(0, 300_000, 60_000):  # as the event loop does, before anybody reads
            taker.data_received(content[start : start + 60_000])
        may_read.set()
        await loop.sock_sendall(there, content[300_000:])
        async with asyncio.timeout(30):
            body = await whole
        for other in list(state.connections):
            other.transport.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)
    return body
