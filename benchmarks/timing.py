"""Runs a command and measures its wall time and its peak memory."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import BenchmarkError

# getrusage counts in bytes on macOS and in kilobytes elsewhere.
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Measured:
    """One run of a command.

    Attributes:
        seconds: Wall time from before the process was made until after its end.
        peak_bytes: Largest resident memory of the process or of one that it waited for.
    """

    seconds: float
    peak_bytes: int


def measure(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], log: Path
) -> Measured:
    """Run a command to its end.

    A child's peak memory starts at what this process holds when it makes the child, so this
    process must stay smaller than a step: it imports the standard library only.

    Args:
        command: Program and arguments.
        folder: Working folder.
        variables: All of its environment variables.
        log: File that takes its output.

    Raises:
        BenchmarkError: It failed; the end of its output is in it.
    """
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkError(
            f"{' '.join(command)} ended with exit code {process.returncode}:\n"
            f"{log.read_text(errors='replace')[-3000:]}"
        )
    return Measured(seconds, usage.ru_maxrss * MAXRSS_BYTES)
