"""Ids as clients see them: base64 of `Kind:number`, as the SDK expects."""

import base64

from wandb_server.errors import ClientError, NotFoundError

_LARGEST = 2**63 - 1  # sqlite's


def encode(kind: str, number: int) -> str:
    """Make the id of row `number` of the kind, such as `encode("Run", 7)`."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


def decode(kind: str, text: str) -> int:
    """Read the row number from an id that `encode` made.

    Raises:
        ClientError: The text isn't the id of this kind of thing.
    """
    try:
        found, _, digits = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError as error:
        raise ClientError(f"{text[:80]!r} isn't an id of this server") from error
    if not digits.isascii() or not digits.isdigit():
        raise ClientError(f"{text[:80]!r} isn't an id of this server")
    if found != kind:
        raise ClientError(f"{text[:80]!r} is the id of a {found[:40]}, not of a {kind}")
    number = int(digits[:20])
    if number > _LARGEST:
        raise NotFoundError(f"no {kind} has the id {text[:80]!r}")
    return number
