"""What comes in over one connection: heads that end, and large bodies without copies of them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

import httptools
from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from wandb_server.threads import Pool, to_its_end

# Bytes that may come before a request's head, a piece of its body or its end is complete.
MAX_HEAD_BYTES = 64 << 10
# From this size on a body is a `LargeBody`; as much of it is worth a turn, and makes a piece.
PIECE_BYTES = 1 << 20
_TURN_BYTES = 8 << 20  # after these, others have their turn of the thread
# Each keeps two pieces in memory, so that all bodies together take little, however many there are.
_TURNS = Pool(8)
_EXTENSION = "wandb_server.connection"


def body_of(request: Request) -> "LargeBody | AsyncIterator[bytes]":
    """Give the body of a request, to be read once, as it arrives."""
    arrival = _arrival(request)
    return (arrival and arrival.large) or request.stream()


def cycle_of(request: Request) -> RequestResponseCycle | None:
    """Give uvicorn's own record of a request; None where another protocol took it."""
    arrival = _arrival(request)
    return arrival and arrival.cycle


class _Arrival(NamedTuple):
    cycle: RequestResponseCycle
    large: "LargeBody | None"


def _arrival(request: Request) -> _Arrival | None:
    found: dict[str, _Arrival] = request.scope.get("extensions", {}).get(_EXTENSION, {})
    return found.get("arrival")


class LargeBody:
    """A body that threads take from the socket, past uvicorn and the event loop.

    uvicorn copies it four times into fresh memory, which takes longer than to hash and to write
    it; and where the event loop receives what threads store, they wait for each other a dozen
    times for each megabyte. A thread is busy with it only while there is something to take.
    """

    def __init__(self, connection: "Connection", cycle: RequestResponseCycle, size: int) -> None:
        self._connection = connection
        self._cycle = cycle
        self._missing = size
        self._came = bytearray()  # with the head
        self._change = asyncio.Event()

    def connection_lost(self) -> None:
        """Wait no longer; the connection has been closed on this side."""
        self._change.set()

    async def pour(self, store: Callable[[memoryview], object], end: Callable[[], object]) -> None:
        """Store all of it and do what comes then, in threads, one call after the other.

        Args:
            store: Takes the next piece, of up to `PIECE_BYTES`, which stays as it is until the
                second next one is given.
            end: Called when all is stored.

        Raises:
            ClientDisconnect: The client hung up in the middle.
        """
        if self._cycle.disconnected:
            raise ClientDisconnect
        self._connection.flow.pause_reading()
        self._came, self._cycle.body = self._cycle.body, bytearray()
        self._missing -= len(self._came)
        goes_on = self._cycle.more_body
        with self._connection.transport.get_extra_info("socket").dup() as source:

            def take() -> bool:
                for piece in self._pieces(source):
                    store(piece)
                if not self._missing:
                    end()
                return not self._missing

            try:
                await self._wait(source)
                while not await to_its_end(_TURNS.begin(take)):
                    await self._wait(source)
            finally:
                if goes_on:
                    self._connection.skip(self._missing)

    def _pieces(self, source: socket.socket) -> Iterator[memoryview]:
        """Give what is there, up to a bound."""
        if self._came:
            yield memoryview(self._came)
            self._came = bytearray()
        buffers = [memoryview(bytearray(min(PIECE_BYTES, self._missing))) for _ in range(2)]
        taken = 0
        while self._missing and taken < _TURN_BYTES:
            try:
                count = source.recv_into(buffers[0][: self._missing])
            except BlockingIOError:
                return
            except ConnectionError as error:
                raise ClientDisconnect from error
            if not count:
                raise ClientDisconnect
            self._missing -= count
            taken += count
            yield buffers[0][:count]
            buffers.reverse()

    async def _wait(self, source: socket.socket) -> None:
        """Wait until enough of it is there, or the client has hung up."""
        if not self._missing:
            return
        loop, enough = asyncio.get_running_loop(), min(self._missing, PIECE_BYTES)
        source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, enough)
        loop.add_reader(source, self._change.set)
        try:
            await self._change.wait()
        finally:
            loop.remove_reader(source)
            source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        if self._cycle.disconnected:
            raise ClientDisconnect
        self._change.clear()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with a bound on heads, and with `LargeBody` for who asks for it."""

    _unfinished = 0
    _has_advanced = False
    _skipping = 0
    _large: LargeBody | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell a large body, too, that no more will come."""
        super().connection_lost(exc)
        if self._large:
            self._large.connection_lost()

    def skip(self, count: int) -> None:
        """Read on after a body that came past the parser; what is left of it is dropped."""
        self._skipping = count
        if not count:
            self.parser = httptools.HttpRequestParser(self)  # the old one waits for that body
            self.on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a client whose head or trailer doesn't end is turned away."""
        if self._skipping:
            dropped = min(self._skipping, len(data))
            self.skip(self._skipping - dropped)
            data = data[dropped:]
            if not data:
                return
        self._has_advanced = False
        super().data_received(data)
        self._unfinished = 0 if self._has_advanced else self._unfinished + len(data)
        if self._unfinished > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        """Note that the head has ended; offer a large body to the application."""
        self._has_advanced = True
        before = self.cycle
        super().on_headers_complete()
        size = _content_length(self.headers)
        is_alone = self.cycle is not before and not self.pipeline and not self.expect_100_continue
        self._large = (
            LargeBody(self, self.cycle, size) if size >= PIECE_BYTES and is_alone else None
        )
        self.scope["extensions"] = {_EXTENSION: {"arrival": _Arrival(self.cycle, self._large)}}

    def on_body(self, body: bytes) -> None:
        """Note that a piece of the body has come."""
        self._has_advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request has ended."""
        self._has_advanced = True
        super().on_message_complete()


def _content_length(headers: list[tuple[bytes, bytes]]) -> int:
    """Give the size of the body as announced; 0 without one. The parser has checked it."""
    return next((int(value) for name, value in headers if name == b"content-length"), 0)
