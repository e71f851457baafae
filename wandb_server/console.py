"""Console lines of a run, taken apart into time, level and text."""

import json
import re
import sqlite3
from typing import Any

from wandb_server.lines import OUTPUT, Line, read_last_lines, read_lines

_PAGE = 10_000
# What the SDK puts before a plain line: ERROR for stderr, then the time. A label in brackets may
# follow, but so may a program's own "[INFO]": both stay in the text.
_PREFIX = re.compile(r"(ERROR )?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?) ")


def console_page(
    connection: sqlite3.Connection, run_id: int, first: int | None, after: str | None
) -> dict[str, Any]:
    """Read console lines in order.

    Args:
        connection: Open for reading.
        run_id: Row of the run.
        first: How many lines at most; None takes the server's limit.
        after: Cursor of the last line that the client has; None starts at the beginning.

    Returns:
        The fields of a LogLineConnection.
    """
    start = int(after) + 1 if after and after.isdigit() else 0
    limit = _PAGE if first is None else min(max(first, 0), _PAGE)
    lines = read_lines(connection, run_id, OUTPUT, start, limit + 1)
    return _connection(lines[:limit], has_next=len(lines) > limit)


def console_tail(connection: sqlite3.Connection, run_id: int, count: int) -> dict[str, Any]:
    """Read the last console lines, in order, as the fields of a LogLineConnection."""
    lines = read_last_lines(connection, run_id, OUTPUT, min(count, _PAGE))
    return _connection(lines, has_next=False)


def parse_line(line: Line) -> dict[str, Any]:
    """Take a console line apart.

    Returns:
        number, line (the text), timestamp ("" if the line has none), level ("error" for
        stderr, else ""), label.
    """
    if line.content.startswith("{"):
        return _parse_structured(line)
    found = _PREFIX.match(line.content)
    if found is None:
        return _fields(line.number, line.content)
    error, timestamp = found.groups()
    text = line.content[found.end() :]
    return _fields(line.number, text, timestamp, "error" if error else "")


def _parse_structured(line: Line) -> dict[str, Any]:
    """Read the JSON form, which clients send to a server that says that it knows it."""
    try:
        value = json.loads(line.content)
    except ValueError:
        return _fields(line.number, line.content)
    if not isinstance(value, dict) or "content" not in value or "ts" not in value:
        return _fields(line.number, line.content)
    level, label = str(value.get("level") or ""), str(value.get("label") or "")
    return _fields(line.number, str(value["content"]), str(value["ts"]), level, label)


def _fields(
    number: int, text: str, timestamp: str = "", level: str = "", label: str = ""
) -> dict[str, Any]:
    return {"number": number, "line": text, "timestamp": timestamp, "level": level, "label": label}


def _connection(lines: list[Line], *, has_next: bool) -> dict[str, Any]:
    edges = [{"node": parse_line(line), "cursor": str(line.number)} for line in lines]
    end = edges[-1]["cursor"] if edges else None
    return {"edges": edges, "pageInfo": {"endCursor": end, "hasNextPage": has_next}}
