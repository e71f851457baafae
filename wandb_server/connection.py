"""What comes in over one connection: heads that end, and large bodies without copies of them."""

import asyncio
from collections.abc import AsyncIterator

import httptools
from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

# Bytes that may come before a request's head, a piece of its body or its end is complete.
MAX_HEAD_BYTES = 64 << 10
PIECE_BYTES = 1 << 20
# How large pieces are while fewer bodies come at once than this: many take smaller ones, so that
# all of them together take little memory. The SDK sends up to 128 parts of a file at once.
_PIECES = {8: PIECE_BYTES, 64: 1 << 18}
_SMALLEST_PIECE = 1 << 17
_BUFFERS = 2  # one is being stored while the other is filled
_EXTENSION = "wandb_server.large_body"


def stream_body(request: Request) -> AsyncIterator[bytes | memoryview]:
    """Give the body of a request as it arrives, to be read once.

    A large one comes in pieces of up to `PIECE_BYTES`. They are views of buffers that are
    filled again: each stays as it is until the second next piece is asked for.

    Raises:
        ClientDisconnect: The client hung up in the middle.
    """
    extension = request.scope.get("extensions", {}).get(_EXTENSION)
    if extension is None:
        return request.stream()
    large: LargeBody = extension["body"]
    return large.pieces()


class LargeBody(asyncio.BufferedProtocol):
    """Takes the place of a `Connection` while the rest of one body arrives.

    A body that goes through uvicorn is copied four times into fresh memory, which takes longer
    than to hash and to write it.
    """

    def __init__(self, connection: "Connection", cycle: RequestResponseCycle, size: int) -> None:
        self._connection = connection
        self._cycle = cycle
        self._missing = size
        self._buffers: list[memoryview] = []
        self._piece = PIECE_BYTES
        self._sizes: list[int] = [0] * _BUFFERS
        self._filled = self._level = 0  # full pieces, and bytes in the one after them
        self._asked = -1  # number of the last piece that was asked for
        self._is_lost = self._is_dropping = False
        self._change = asyncio.Event()

    async def pieces(self) -> AsyncIterator[memoryview]:
        """Give the body; see `stream_body`."""
        state = self._connection.server_state
        many = sum(isinstance(item, Connection) and item.is_loaded for item in state.connections)
        self._begin(next((_PIECES[bound] for bound in _PIECES if many < bound), _SMALLEST_PIECE))
        while True:
            self._asked += 1
            self._pause_or_resume()
            while self._asked >= self._filled:
                if self._is_lost:
                    raise ClientDisconnect
                if not self._missing:
                    self._buffers.clear()  # not once the garbage is collected: there may be many
                    return
                self._change.clear()
                await self._change.wait()
            turn = self._asked % _BUFFERS
            yield self._buffers[turn][: self._sizes[turn]]

    def drop_rest(self) -> None:
        """Read on, so that the connection can be used again, but keep nothing."""
        self._is_dropping = True

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  asyncio's hint is -1
        """Say where the next bytes go: never beyond this body."""
        start = 0 if self._is_dropping else self._level
        return self._buffers[self._filled % _BUFFERS][start : start + self._missing]

    def buffer_updated(self, nbytes: int) -> None:
        """Count bytes that have come."""
        self._missing -= nbytes
        if not self._is_dropping:
            self._count(nbytes)
        if not self._missing:
            self._connection.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that no more will come."""
        self._is_lost = True
        self._change.set()
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on that the answer has to wait."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the answer may go on."""
        self._connection.resume_writing()

    def _begin(self, piece: int) -> None:
        """Take what has come with the head, then the place of the connection."""
        self._piece = piece
        self._buffers = [memoryview(bytearray(piece)) for _ in range(_BUFFERS)]
        came, self._cycle.body = self._cycle.body, bytearray()
        self._is_lost = self._cycle.disconnected
        if self._cycle.more_body and not self._is_lost:
            self._connection.transport.set_protocol(self)
        for start in range(0, len(came), piece):
            part = came[start : start + piece]
            self._buffers[self._filled % _BUFFERS][: len(part)] = part
            self._missing -= len(part)
            self._count(len(part))

    def _count(self, size: int) -> None:
        self._level += size
        if self._level == self._piece or not self._missing:
            self._sizes[self._filled % _BUFFERS] = self._level
            self._filled, self._level = self._filled + 1, 0
            self._change.set()
            self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        """Read on only while there is a buffer that nobody uses any more."""
        if self._filled < _BUFFERS or self._filled <= self._asked:
            self._connection.flow.resume_reading()
        else:
            self._connection.flow.pause_reading()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with a bound on heads, and with `LargeBody` for who asks for it."""

    _unfinished = 0
    _has_advanced = False
    _large: LargeBody | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether a large body comes, or may come, over this connection just now."""
        return self._large is not None

    def data_received(self, data: bytes) -> None:
        """Take bytes; a client whose head or trailer doesn't end is turned away."""
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
        if size >= PIECE_BYTES and is_alone:
            self._large = LargeBody(self, self.cycle, size)
            self.scope["extensions"] = {_EXTENSION: {"body": self._large}}

    def on_body(self, body: bytes) -> None:
        """Note that a piece of the body has come."""
        self._has_advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request has ended."""
        self._has_advanced = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Forget what is left of the body, if the answer came before its end."""
        if self._large is not None:
            self._large.drop_rest()
            self._large = None
        super().on_response_complete()

    def go_on(self) -> None:
        """Take the connection back: the body has come, past the parser, which starts anew."""
        self.parser = httptools.HttpRequestParser(self)
        self.transport.set_protocol(self)
        self.on_message_complete()


def _content_length(headers: list[tuple[bytes, bytes]]) -> int:
    """Give the size of the body as announced; 0 without one. The parser has checked it."""
    return next((int(value) for name, value in headers if name == b"content-length"), 0)
