"""How a caller knows that what answers on a port is the server of this data folder.

The caller sends a random word to `/healthz`; only a process that knows the folder's key
can answer with the right proof. So a stranger that took over the port is never trusted
with the key, and never stopped in the server's place.
"""

import hashlib
import hmac
import json
import os
import socket
from typing import NamedTuple

HOST = "127.0.0.1"
PATH = "/healthz"

TIMEOUT = 2.0  # seconds to wait for the connection, and again for the answer
_LONGEST_ANSWER = 10_000  # bytes


class Health(NamedTuple):
    """What a server says of itself."""

    pid: int
    version: str
    api_version: int
    started_at: float  # seconds since 1970, UTC


def answer(health: Health, key: str, identity: str, nonce: str) -> dict[str, object]:
    """Make the server's reply to a caller.

    Args:
        health: What the server says of itself.
        key: The folder's key.
        identity: The folder's identity, see `locks.identity`.
        nonce: The caller's random word; empty if it sent none.

    Returns:
        JSON-ready fields; without a nonce nothing but that the server is up.
    """
    if not nonce:
        return {"status": "ok"}
    return {"status": "ok", **health._asdict(), "proof": _proof(health, key, identity, nonce)}


def ask(port: int, key: str, identity: str) -> Health | None:
    """Ask whether the server of a data folder listens on a port.

    Args:
        port: TCP port on the loopback address.
        key: The folder's key.
        identity: The folder's identity, see `locks.identity`.

    Returns:
        What it says of itself, or None if nothing or a stranger answers.
    """
    nonce = os.urandom(16).hex()
    try:
        fields = json.loads(_get(port, f"{PATH}?nonce={nonce}"))
        health = Health(**{name: fields[name] for name in Health._fields})
        proven = hmac.compare_digest(fields["proof"], _proof(health, key, identity, nonce))
    except (OSError, ValueError, TypeError, KeyError):
        return None  # whatever it is, it isn't this folder's server
    return health if proven else None


def _get(port: int, target: str) -> bytes:
    """Fetch a short answer; http.client would double the time that callers take to import."""
    request = f"GET {target} HTTP/1.0\r\nHost: {HOST}:{port}\r\n\r\n"
    with socket.create_connection((HOST, port), TIMEOUT) as connection:
        connection.sendall(request.encode())
        with connection.makefile("rb") as reply:
            return reply.read(_LONGEST_ANSWER).partition(b"\r\n\r\n")[2]


def _proof(health: Health, key: str, identity: str, nonce: str) -> str:
    claim = json.dumps(["health", nonce, identity, *health])
    return hmac.new(key.encode(), claim.encode(), hashlib.sha256).hexdigest()
