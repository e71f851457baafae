"""Asks the server of this machine over HTTP, without the SDK."""

import json
import urllib.request
from base64 import b64encode
from typing import Any

_TIMEOUT = 5.0  # seconds


def ask(base_url: str, key: str, path: str, fields: dict[str, Any] | None = None) -> Any:
    """Ask a server that has proven to be the data folder's own.

    Args:
        base_url: Its address.
        key: The folder's key.
        path: What is asked, from the root: "/graphql".
        fields: Sent as JSON by POST; None sends a GET.

    Returns:
        The answer's JSON.

    Raises:
        OSError: It ended, or doesn't answer in time, or not well.
        ValueError: The answer isn't JSON.
    """
    basic = b64encode(f"api:{key}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    body = None if fields is None else json.dumps(fields).encode()
    request = urllib.request.Request(base_url + path, body, headers)  # noqa: S310  see base_url
    # This very machine is never reached through a proxy.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=_TIMEOUT) as reply:
        return json.load(reply)
