"""How long a server waits for a request before it ends by itself."""

import os

from wandb_server.server_error import ServerError

VARIABLE = "WANDB_SERVER_IDLE_HOURS"
HOURS = 12.0


def default_hours() -> float:
    """Read the hours that hold if nobody says otherwise.

    Returns:
        Hours, more than 0.

    Raises:
        ServerError: The variable holds something else.
    """
    text = os.environ.get(VARIABLE) or str(HOURS)
    try:
        return parse_hours(text)
    except ValueError as error:
        raise ServerError(f"{VARIABLE}: {error}") from error


def parse_hours(text: str) -> float:
    """Read a number of hours.

    Args:
        text: A number above 0.

    Returns:
        Hours.

    Raises:
        ValueError: The text is anything else.
    """
    hours = float(text) if text.replace(".", "", 1).isdecimal() else 0.0
    if hours <= 0:
        raise ValueError(f"{text!r}: give hours without a request, as a number above 0")
    return hours
