"""The last thing that the server couldn't store, for who asks why a run failed.

The SDK shows nobody what the answer to a failed upload says. It is kept in memory: a disk that is
full takes no line for a log either.
"""

import json
import urllib.error
import urllib.request
from base64 import b64encode
from typing import NamedTuple

PATH = "/faults"

_TIMEOUT = 5.0  # seconds


class Fault(NamedTuple):
    """Something that couldn't be stored or read."""

    at: float  # seconds since 1970, UTC
    message: str


def ask(base_url: str, key: str) -> Fault | None:
    """Ask a server for its last fault.

    Args:
        base_url: Address of a server that has proven to be the data folder's own.
        key: The folder's key.

    Returns:
        The fault; None if it had none since it started, or doesn't say.
    """
    basic = b64encode(f"api:{key}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310  the address is the local server's
        base_url + PATH, headers={"Authorization": f"Basic {basic}"}
    )
    # This very machine is never reached through a proxy.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=_TIMEOUT) as reply:
            fields = json.load(reply)
    except (OSError, ValueError):
        return None  # it ended, or is older than this question
    return Fault(**fields) if fields else None
