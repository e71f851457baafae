"""Locks between processes, freed by the operating system when their holder dies."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO

from pipeline.signals import hearing_signals

logger = logging.getLogger(__name__)

# Seconds of waiting after which a person may wonder.
SILENCE = 1.0


@contextmanager
def locked(path: Path, until: str) -> Iterator[None]:
    """Hold the lock file at `path`, waiting for whoever holds it.

    Args:
        path: The lock file; it and its folder are made if needed.
        until: What the holder does, as the end of "Waiting until ...", which is told once, after
            SILENCE seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        _lock(file, until)
        yield


def _lock(file: IO[str], until: str) -> None:
    told = Timer(SILENCE, logger.info, ["Waiting until %s ...", until])
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        told.start()
        with hearing_signals():
            fcntl.flock(file, fcntl.LOCK_EX)
    finally:
        told.cancel()
