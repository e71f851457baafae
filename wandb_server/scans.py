"""Tells the SDK's scans of a run's history from its downloads of it.

Both ask for Parquet files by one and the same request. A scan that is given files reads those
that an earlier one has left in the SDK's cache, which knows them by entity, project and run only:
of a run that has changed since, or of another data folder's run, it would show other rows. A
download takes what it is given. But a scan asks for the run's last step first.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

# From that question to the request it takes milliseconds, on a machine that isn't busy.
_SECONDS = 5.0


class _Scan(NamedTuple):
    run_id: int
    since: float


class Scans:
    """The scans that have been announced and haven't begun, of all runs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._announced: list[_Scan] = []

    def announce(self, run_id: int) -> None:
        """Note that somebody asked for a run's last step, as a scan does first."""
        with self._lock:
            self._drop_old()
            self._announced.append(_Scan(run_id, self._clock()))

    def begin(self, run_id: int) -> bool:
        """Tell whether who asks for a run's Parquet files begins a scan that was announced."""
        with self._lock:
            self._drop_old()
            found = next((scan for scan in self._announced if scan.run_id == run_id), None)
            if found:
                self._announced.remove(found)
            return found is not None

    def _drop_old(self) -> None:
        oldest = self._clock() - _SECONDS
        self._announced = [scan for scan in self._announced if scan.since >= oldest]
