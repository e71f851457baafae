"""Whether the client of a request still waits for its answer.

A client that has waited too long hangs up and sends the request again. Were the first one
carried out later than the second, after what the client did next, it would undo that: move an
alias back, or clear lines that came in between. So no change is made for a client that is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

IsGone = Callable[[], bool]


@asynccontextmanager
async def watch(request: Request) -> AsyncIterator[IsGone]:
    """Watch the client of a request, the body of which has been read.

    Yields:
        A function that tells, to any thread, whether the client has hung up.
    """
    gone = asyncio.create_task(_wait_for_end(request))
    try:
        yield gone.done
    finally:
        gone.cancel()


def stay(is_gone: IsGone) -> None:
    """Go on only for a client that waits; called once the database is ours to change.

    Raises:
        ClientDisconnect: The client has hung up.
    """
    if is_gone():
        raise ClientDisconnect


async def _wait_for_end(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
