"""Whether the machine has cores to spare at this moment."""

import os
import time
from pathlib import Path

_COUNTS = Path("/proc/stat")  # man 5 proc
_LOOKS = 5
_PAUSE = 0.02  # seconds between them


def is_busy() -> bool:
    """Tell whether no core is idle, so that work ahead of its time would only delay other work.

    Several looks are taken, since a core that has work for a moment only isn't busy.
    """
    cores = os.cpu_count() or 1
    for _ in range(_LOOKS):
        if count_running() <= cores:  # this thread among them, which is about to wait
            return False
        time.sleep(_PAUSE)
    return True


def count_running() -> int:
    """Return how many threads of this machine run, or could run, at this moment.

    The load average tells of the last minute: it stays high after work that has ended.
    """
    counts = dict(line.split(maxsplit=1) for line in _COUNTS.read_text("ascii").splitlines())
    return int(counts["procs_running"])
