"""How values look on a page: sizes, times, numbers, nested settings."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

_LONGEST_TEXT = 2_000  # characters of one value; the rest is in the run's files
_LONGEST_CELL = 80


def readable_size(size: float) -> str:
    """Write a number of bytes with a unit: `1.2 MB`."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def local_time(stamp: str) -> str:
    """Write a stored time stamp in this machine's time zone, to the minute."""
    return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M")


def duration(start: str, end: str) -> str:
    """Write the time between two stored stamps: `4 s`, `2 min 5 s`, `3 h 10 min`."""
    return readable_duration(seconds_between(start, end))


def seconds_between(start: str, end: str) -> float:
    """Count the seconds between two stored stamps; 0 if the end is before the start."""
    elapsed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return max(elapsed.total_seconds(), 0.0)


def readable_duration(elapsed: float) -> str:
    """Write a number of seconds: `4 s`, `2 min 5 s`, `3 h 10 min`."""
    seconds = round(elapsed)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def now() -> str:
    """Give the present moment as a stamp that the functions here read."""
    return datetime.now(UTC).isoformat()


def short_number(value: object) -> str:
    """Write a table's cell: numbers to five significant digits, nothing for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return cut(full_value(value), _LONGEST_CELL)
    return f"{value:.5g}" if isinstance(value, float) else cut(str(value), _LONGEST_CELL)


def as_number(value: object) -> float | None:
    """Give a finite number as a float; None for anything else, integers beyond floats included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def cut(text: str, length: int) -> str:
    """Shorten a text to so many characters, and show that it was."""
    return text if len(text) <= length else text[: length - 2] + " …"


def full_value(value: object) -> str:
    """Write a value in full: text as it is, logged media by type and file, else as JSON."""
    if isinstance(value, dict) and "_type" in value:
        return ": ".join(
            cut(str(value[key]), _LONGEST_TEXT) for key in ("_type", "path") if key in value
        )
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(text, _LONGEST_TEXT)


def flatten(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Turn nested settings into dotted names with plain values.

    Args:
        value: Such as `{"forest": {"max_depth": 13}}`.
        prefix: What comes before each name.

    Yields:
        Such as `("forest.max_depth", 13)`; lists stay whole, and so do logged media.
    """
    for key, item in value.items():
        if isinstance(item, dict) and item and "_type" not in item:
            yield from flatten(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item
