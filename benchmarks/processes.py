"""What a running process has used, as Linux tells it."""

import os
from pathlib import Path


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used, to a hundredth (Linux only)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> float:
    """Return the largest resident size that a process had, in MB (Linux only)."""
    return _memory(pid, "VmHWM")


def resident_memory(pid: int) -> float:
    """Return the resident size of a process, in MB (Linux only)."""
    return _memory(pid, "VmRSS")


def _memory(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024 / 1e6
