"""Signals that ask a pipeline to stop."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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

    def stop(*_: object) -> None:
        ignore_signals()
        came.set()
        if not pass_on():
            raise KeyboardInterrupt

    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    return came


def ignore_signals() -> None:
    """Let nothing cut short what ends the runs."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def holding_interrupts() -> Iterator[None]:
    """Start a child in here: signals to stop wait until the block has ended.

    So the child is known to whoever is to stop it. And it hears SIGINT, even where this process is
    a shell's background job: it inherits that a signal is ignored, but not that it is handled, and
    nothing but a kill would stop a step that ignores it.
    """
    came: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in STOP_SIGNALS
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for held in came:
            signal.raise_signal(held)
