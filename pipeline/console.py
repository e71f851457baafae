"""The terminal, or whatever else reads what a program says; it may stop reading at any time."""

import logging
import os
import sys

BROKEN_PIPE = 141  # what shells give for a program that the signal SIGPIPE has ended


class Console(logging.StreamHandler):  # type: ignore[type-arg]
    """Hydra's handler for the terminal; a pipeline goes on if nobody reads what it says.

    Whoever ends `less` or `head` has seen enough, and what is said is in Hydra's log file too. Only
    a signal asks a pipeline to stop.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Take any other error as logging does."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            lose_stdout()
        else:
            super().handleError(record)


def tell(text: str) -> None:
    """Print a line that isn't for the log file, to whoever reads it."""
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        lose_stdout()


def say(*lines: str) -> None:
    """Print lines, and end the program, as other tools end, if nobody reads them.

    Raises:
        SystemExit: Nobody reads them any more.
    """
    try:
        print(*lines, sep="\n", flush=True)  # noqa: T201
    except BrokenPipeError:
        lose_stdout()
        sys.exit(BROKEN_PIPE)


def lose_stdout() -> None:
    """Let what is still to be written go nowhere, which Python tries again when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
