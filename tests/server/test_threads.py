"""Work in threads: what it returns or raises comes back, and there are never too many of them."""

import asyncio
import threading

import pytest

from wandb_server.limits import TooCostlyError
from wandb_server.threads import MOST_THREADS, in_thread

PATIENCE = 30.0


def test_what_work_returns_comes_back_to_who_asked_for_it() -> None:
    async def ask() -> list[int]:
        return await asyncio.gather(*(in_thread(pow, number, exp=2) for number in range(200)))

    assert asyncio.run(ask()) == [number * number for number in range(200)]


@pytest.mark.parametrize("error", [OSError("disk full"), TooCostlyError()])
def test_what_work_raises_is_raised_where_it_is_awaited(error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def ask() -> None:
        await in_thread(fail)

    with pytest.raises(type(error)) as raised:
        asyncio.run(ask())
    assert raised.value is error


def test_as_much_work_as_there_are_threads_is_done_at_once_and_no_more() -> None:
    meeting = threading.Barrier(MOST_THREADS)
    seen: set[int] = set()

    def meet() -> None:
        seen.add(threading.get_ident())
        meeting.wait(PATIENCE)

    async def ask() -> None:
        await asyncio.gather(*(in_thread(meet) for _ in range(2 * MOST_THREADS)))

    asyncio.run(ask())
    assert len(seen) == MOST_THREADS


def test_work_goes_on_when_who_waits_for_it_is_cancelled() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)
        done.set()

    async def cancel() -> None:
        async def wait() -> None:
            await in_thread(work)

        waiting = asyncio.create_task(wait())
        await in_thread(begun.wait, PATIENCE)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        assert await in_thread(done.wait, PATIENCE)

    asyncio.run(cancel())
