"""Reads the bodies of requests that are held in memory: never more than a bound.

Uploaded files aren't: those go to the disk as they arrive, and the disk bounds them.
"""

import gzip
import io
import zlib
from collections.abc import AsyncIterator

from wandb_server.errors import ClientError

# The SDK sends single lines of 10 MB; its posts and queries stay well below this.
MAX_BODY_BYTES = 64 << 20


class TooLargeError(ClientError):
    """A body has more bytes than the server takes."""


async def read_body(chunks: AsyncIterator[bytes], limit: int = MAX_BODY_BYTES) -> bytes:
    """Read a body.

    What comes beyond the limit is read and dropped: a client that still sends when its
    connection is closed never sees the answer.

    Raises:
        TooLargeError: It has more than `limit` bytes.
    """
    body = bytearray()
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size <= limit:
            body += chunk
        else:
            body.clear()
    if size > limit:
        raise _too_large(limit)
    return bytes(body)


def unpack(body: bytes, encoding: str, limit: int = MAX_BODY_BYTES) -> bytes:
    """Undo the compression of a body.

    Args:
        body: As it was sent.
        encoding: The Content-Encoding header: "gzip", or anything else for none.
        limit: Largest size in bytes after unpacking: a small body may unpack to a huge one.

    Raises:
        TooLargeError: It unpacks to more.
        ClientError: It can't be unpacked.
    """
    if encoding != "gzip":
        return body
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(body)).read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ClientError(f"the body can't be unpacked: {error}") from error
    if len(unpacked) > limit:
        raise _too_large(limit)
    return unpacked


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the body is too large: send {limit >> 20} MB at most in one request")
