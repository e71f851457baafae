"""The last thing that the server couldn't store, for who asks why a run failed.

The SDK shows nobody what the answer to a failed upload says. It is kept in memory: a disk that is
full takes no line for a log either.
"""

from typing import NamedTuple

from wandb_server import loopback

PATH = "/faults"


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
    try:
        fields = loopback.ask(base_url, key, PATH)
    except (OSError, ValueError):
        return None  # it ended, or is older than this question
    return Fault(**fields) if fields else None
