"""What comes in over one connection: read in large pieces, and never an endless head."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Bytes that may come before a request's head, a piece of its body or its end is complete.
MAX_HEAD_BYTES = 64 << 10
_READ_BYTES = 1 << 20


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with a bound on what it keeps before the application sees anything."""

    _pending = 0
    _has_advanced = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; uploads arrive in pieces of up to a megabyte, not of 256 kB."""
        if hasattr(transport, "max_size"):  # of asyncio's transports for sockets
            transport.max_size = _READ_BYTES
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a client whose head or trailer doesn't end is turned away."""
        self._has_advanced = False
        super().data_received(data)
        self._pending = 0 if self._has_advanced else self._pending + len(data)
        if self._pending > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        """Note that the head has ended."""
        self._has_advanced = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that a piece of the body has come."""
        self._has_advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request has ended."""
        self._has_advanced = True
        super().on_message_complete()
