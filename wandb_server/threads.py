"""Work that waits for the disk or the database, beside the thread that serves all connections.

Most requests are short: to hand them to a thread and their answer back is a good part of what
they take. asyncio's own pool takes twice the processor time for that, Starlette's three times.
"""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

MOST_THREADS = 40  # some may wait for a slow disk for long
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Turn = tuple[asyncio.AbstractEventLoop, asyncio.Future[Any], Callable[[], Any]]


def in_thread(
    work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **keywords: _Arguments.kwargs
) -> asyncio.Future[_Result]:
    """Begin to work in a thread, called from a running event loop.

    Work goes on when who waits for it is cancelled, and ends with the process.

    Returns:
        To be awaited: what `work` returns or raises.
    """
    return _POOL.begin(partial(work, *arguments, **keywords))


async def to_its_end(work: asyncio.Future[_Result]) -> _Result:
    """Await what was begun by `in_thread`; where this is cancelled, end only once it has ended.

    For work with something that is closed or removed afterwards.
    """
    try:
        return await asyncio.shield(work)
    finally:
        if not work.done():
            await asyncio.wait([work])


class Pool:
    """Threads that are started when there is work and none of them is idle, up to a bound."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._todo: SimpleQueue[_Turn] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def begin(self, work: Callable[[], _Result]) -> asyncio.Future[_Result]:
        """Do as `in_thread`, in a thread of this pool."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        if not self._idle.acquire(blocking=False) and self._started < self._most:
            self._started += 1
            threading.Thread(target=self._serve, name="turns", daemon=True).start()
        self._todo.put((loop, future, work))
        return future

    def _serve(self) -> None:
        while True:
            self._do(*self._todo.get())

    def _do(
        self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], work: Callable[[], Any]
    ) -> None:
        try:
            tell, outcome = future.set_result, work()
        except BaseException as error:  # raised where the work is awaited
            tell, outcome = future.set_exception, error
        self._idle.release()
        loop.call_soon_threadsafe(_end, future, tell, outcome)


def _end(future: asyncio.Future[Any], tell: Callable[[Any], None], outcome: object) -> None:
    if not future.cancelled():
        tell(outcome)


_POOL = Pool(MOST_THREADS)
