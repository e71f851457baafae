"""Signals that ask a pipeline to stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_on_signals() -> None:
    """Turn the first signal to stop into a KeyboardInterrupt, and ignore those after it.

    A Ctrl-C under `mlflow run` sends two: the terminal's SIGINT, and then MLflow's SIGTERM, which
    would cut short what marks the runs as failed.
    """

    def stop(*_: object) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


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
