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
def listening_to_interrupts() -> Iterator[None]:
    """Let children hear SIGINT, which a shell's background jobs are started without.

    A child inherits that a signal is ignored, and then nothing but a kill would stop a step.
    """
    previous = signal.getsignal(signal.SIGINT)
    if previous == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
