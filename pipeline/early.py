"""Ctrl-C in the first moments of a program, while Python imports what it needs."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C end the program in one line, while nothing has begun that must be ended well.

    A KeyboardInterrupt would show where in somebody's library it came, and some swallow it. Where
    Ctrl-C is to be ignored, as by nohup, it stays so.
    """
    before = signal.getsignal(signal.SIGINT)
    if before != signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(*_: object) -> None:
    os.write(2, b"\nStopped. Nothing had begun.\n")
    os._exit(130)  # without what libraries, imported by half, would do at the end
