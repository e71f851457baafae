"""Signals that ask a pipeline to stop, and when they are heard.

A KeyboardInterrupt in the middle of one of MLflow's calls can leave its database locked within this
process, so that the runs can't even be marked as failed. So a pipeline holds signals from its
beginning to its end, and hears them where it waits.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, current_thread, main_thread
from typing import TypeVar

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Answer = TypeVar("Answer")


@dataclass
class _Held:
    """What the main thread, which alone runs handlers, does with signals now."""

    is_on: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)


_held = _Held()


def stop_on_signals(pass_on: Callable[[], bool]) -> Event:
    """Turn the first signal to stop into a KeyboardInterrupt, and ignore those after it.

    A Ctrl-C under `mlflow run` sends two: the terminal's SIGINT, and then MLflow's SIGTERM, which
    would cut short what marks the runs as failed.

    Args:
        pass_on: Tells those who do the work to stop; False if this process does it, and only then
            is there a KeyboardInterrupt.

    Returns:
        What is set when a signal came.
    """
    came = Event()

    def stop() -> None:
        ignore_signals()
        came.set()
        if not pass_on():
            raise KeyboardInterrupt

    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            handle(number, stop)
    return came


def handle(number: int, act: Callable[[], None]) -> None:
    """Let a signal call `act`: at once, or as soon as signals are heard again.

    The same signal for a second time isn't held: a person who presses Ctrl-C again doesn't want to
    wait for a server that doesn't answer.
    """

    def heard(*_: object) -> None:
        if _held.is_on and number not in _held.numbers:
            _held.numbers.add(number)
            _held.waiting.append(act)
        else:
            act()

    signal.signal(number, heard)


def ignore_signals() -> None:
    """Let nothing cut short what ends the runs."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def holding_signals() -> Iterator[None]:
    """Hold signals to stop until the block has ended, but for what `hearing_signals` lets through.

    Only for the main thread. What `handle` has set up is held, nothing else.
    """
    _held.is_on = True
    try:
        yield
    finally:
        _release()


@contextmanager
def hearing_signals() -> Iterator[None]:
    """Hear signals in here, those held until now first; other threads than the main one can't."""
    if current_thread() is not main_thread():
        yield
        return
    was_on = _held.is_on
    _release()
    try:
        yield
    finally:
        _held.is_on = was_on


def wait_for(future: "Future[Answer]") -> Answer:
    """Return a future's result; signals to stop are heard meanwhile."""
    with hearing_signals():
        return future.result()


def _release() -> None:
    """Hear signals from now on, and those that were held."""
    _held.is_on = False
    _held.numbers.clear()
    waiting, _held.waiting = _held.waiting, []
    for act in waiting:
        act()


@contextmanager
def heard_by_children() -> Iterator[None]:
    """Start a child in here, and it hears SIGINT, even in a background job of a shell.

    It inherits that a signal is ignored, but not that it is handled, and nothing but a kill would
    stop a step that ignores it.
    """
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
