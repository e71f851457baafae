"""What can be removed, and what that frees."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class Removal:
    """Something that can go.

    Attributes:
        group: What kind of thing it is.
        name: What it is, for people.
        size: Bytes that it frees.
        remove: Removes it.
        is_late: Whether the local server frees them later, when its own `gc` runs.
    """

    group: str
    name: str
    size: int
    remove: Callable[[], object]
    is_late: bool = False


def measure(folder: Path) -> int:
    """Return the bytes that removing a folder frees; links are never followed.

    uv links an environment's files to those in its cache, so most of an environment frees nothing.
    """
    seen: dict[tuple[int, int], int] = {}
    freed = 0
    for entry in _walk(folder):
        status = entry.stat(follow_symlinks=False)
        key = status.st_dev, status.st_ino
        seen[key] = seen.get(key, 0) + 1
        # The last of a file's names takes the file along.
        if entry.is_dir(follow_symlinks=False) or seen[key] == status.st_nlink:
            freed += status.st_blocks * 512
    return freed


def newest(folder: Path) -> float:
    """Return when something in a folder last changed, in seconds since 1970."""
    times = [entry.stat(follow_symlinks=False).st_mtime for entry in _walk(folder)]
    return max([folder.stat().st_mtime, *times])


def has_links(folder: Path) -> bool:
    """Return whether a folder holds links to other folders, which some programs follow."""
    return any(entry.is_symlink() for entry in _walk(folder))


def _walk(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Yield all that lies in a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))


def readable(size: float) -> str:
    """Write a number of bytes for people.

    >>> readable(1_234_000), readable(12)
    ('1.2 MB', '12 B')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def parse_size(text: str) -> int:
    """Read a size.

    >>> parse_size("5GB"), parse_size("1.5 mb")
    (5000000000, 1500000)

    Raises:
        ValueError: It is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?b?)", text.strip(), re.IGNORECASE)
    unit = match[2].upper() if match else "?"
    if match is None or unit not in _UNITS:
        raise ValueError(f"{text!r} is no size: write 5GB, 500MB or 0")
    return int(float(match[1]) * _UNITS[unit])
