"""Whether the client of a request still waits for its answer.

A client that has waited too long hangs up and sends the request again. Were the first one
carried out later than the second, after what the client did next, it would undo that: move an
alias back, or clear lines that came in between. So no change is made for a client that is gone.
"""

from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from wandb_server.connection import cycle_of

IsGone = Callable[[], bool]


def watch(request: Request) -> IsGone:
    """Watch the client of a request, the body of which has been read.

    Returns:
        A function that tells, to any thread, whether the client has hung up. In a program that
        serves the application without a `Connection`, nobody ever has.
    """
    cycle = cycle_of(request)
    if cycle is None:
        return lambda: False
    cycle.flow.resume_reading()  # or the end isn't heard, where the body came faster than read
    return lambda: cycle.disconnected


def stay(is_gone: IsGone) -> None:
    """Go on only for a client that waits; called once the database is ours to change.

    Raises:
        ClientDisconnect: The client has hung up.
    """
    if is_gone():
        raise ClientDisconnect
