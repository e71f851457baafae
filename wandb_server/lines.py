"""Lines that runs stream: history, system metrics and console output.

Every line has a number, so a line that is sent twice replaces itself.
"""

import json
import math
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wandb_server.database import fetch, fetch_count

HISTORY = "history"
EVENTS = "events"
OUTPUT = "output"
_FIRST_STEP, _LAST_STEP = -(1 << 63), (1 << 63) - 1  # what SQLite can hold


@dataclass(frozen=True)
class Line:
    """One stored line: its number from 0 and its text."""

    number: int
    content: str


def store_lines(
    connection: sqlite3.Connection,
    run_id: int,
    stream: str,
    offset: int,
    contents: Sequence[str],
    writer: str = "",
) -> None:
    """Store consecutive lines; those that exist already are replaced.

    Args:
        connection: Inside a write transaction.
        run_id: Row of the run.
        stream: HISTORY, EVENTS or OUTPUT.
        offset: Number of the first line, from 0.
        contents: The lines, stored as they are.
        writer: Which of several writers of one run sent them; "" when there is one.
    """
    rows = [
        (run_id, stream, writer, offset + index, _step(stream, content, offset + index), content)
        for index, content in enumerate(contents)
    ]
    connection.executemany(
        "INSERT OR REPLACE INTO run_line (run_id, stream, writer, number, step, content)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        rows,
    )


def clear_lines(connection: sqlite3.Connection, run_id: int) -> None:
    """Forget all lines of a run, because it starts afresh under the same name."""
    connection.execute("DELETE FROM run_line WHERE run_id = ?", (run_id,))
    connection.execute(
        "UPDATE run SET history_keys = '{}', summary_metrics = '{}' WHERE id = ?", (run_id,)
    )


def count_lines(connection: sqlite3.Connection, run_id: int, stream: str) -> int:
    """Count the lines of a stream."""
    return fetch_count(
        connection,
        "SELECT count(*) FROM run_line WHERE run_id = ? AND stream = ?",
        run_id,
        stream,
    )


def next_number(connection: sqlite3.Connection, run_id: int, stream: str) -> int:
    """Give the number of the line that would follow the last one, inherited ones not counted."""
    return fetch_count(
        connection,
        "SELECT max(0, coalesce(max(number) + 1, 0)) FROM run_line WHERE run_id = ? AND stream = ?",
        run_id,
        stream,
    )


def read_lines(
    connection: sqlite3.Connection, run_id: int, stream: str, first: int = 0, limit: int = -1
) -> list[Line]:
    """Read lines in order from number `first` on, at most `limit` of them (-1: all)."""
    return fetch(
        connection,
        Line,
        "SELECT number, content FROM run_line WHERE run_id = ? AND stream = ? AND number >= ?"
        " ORDER BY number, writer LIMIT ?",
        run_id,
        stream,
        first,
        limit,
    )


def read_last_lines(
    connection: sqlite3.Connection, run_id: int, stream: str, count: int
) -> list[Line]:
    """Read the last `count` lines, in order."""
    lines = fetch(
        connection,
        Line,
        "SELECT number, content FROM run_line WHERE run_id = ? AND stream = ?"
        " ORDER BY number DESC, writer DESC LIMIT ?",
        run_id,
        stream,
        max(count, 0),
    )
    return lines[::-1]


def read_spread(
    connection: sqlite3.Connection, run_id: int, stream: str, most: int
) -> list[tuple[int, dict[str, Any]]]:
    """Read a stream of JSON objects; of more than `most` only every second, third, ...

    Returns:
        Number and object of each line, in order.
    """
    stride = -(-count_lines(connection, run_id, stream) // max(most, 1)) or 1
    rows = connection.execute(
        "SELECT number, content FROM run_line WHERE run_id = ? AND stream = ? AND number % ? = 0"
        " ORDER BY number, writer",
        (run_id, stream, stride),
    ).fetchall()
    objects = parse_objects([content for _, content in rows])
    return [(number, item) for (number, _), item in zip(rows, objects, strict=True)]


def read_steps(
    connection: sqlite3.Connection, run_id: int, first: int, end: int | None
) -> list[str]:
    """Read the history lines with `first <= _step < end` (None: no end), by step."""
    return [content for _, content in read_history(connection, run_id, end, first)]


def read_history(
    connection: sqlite3.Connection, run_id: int, end: int | None, first: int = _FIRST_STEP
) -> Iterator[tuple[int, str]]:
    """Go through the history lines with `first <= _step < end`, by step, without holding them.

    Args:
        connection: Open for reading.
        run_id: Row of the run.
        end: The step after the last one; None has no end.
        first: The first step.

    Yields:
        Step and text of each line.
    """
    # Plain bounds: SQLite then looks at these steps only, and not at all the later ones.
    rows = connection.execute(
        "SELECT step, content FROM run_line WHERE run_id = ? AND stream = 'history'"
        " AND step BETWEEN ? AND ? ORDER BY step, number, writer",
        (run_id, first, _last(end)),
    )
    for row in rows:
        yield row[0], row[1]


def count_history(connection: sqlite3.Connection, run_id: int, end: int | None, first: int) -> int:
    """Count the history lines with `first <= _step < end` (None: no end)."""
    return fetch_count(
        connection,
        "SELECT count(*) FROM run_line WHERE run_id = ? AND stream = 'history'"
        " AND step BETWEEN ? AND ?",
        *(run_id, first, _last(end)),
    )


def read_places(
    connection: sqlite3.Connection,
    run_id: int,
    end: int | None,
    first: int,
    places: Collection[int],
) -> list[str]:
    """Read some of the lines that `read_history` goes through: those at these places, from 0."""
    wanted = frozenset(places)
    # From the index, which is a tenth of the lines' size.
    lines = connection.execute(
        "SELECT number, writer FROM run_line WHERE run_id = ? AND stream = 'history'"
        " AND step BETWEEN ? AND ? ORDER BY step, number, writer",
        (run_id, first, _last(end)),
    )
    picked = [line for place, line in enumerate(lines) if place in wanted]
    one = (
        "SELECT content FROM run_line"
        " WHERE run_id = ? AND stream = 'history' AND number = ? AND writer = ?"
    )
    return [connection.execute(one, (run_id, *line)).fetchone()[0] for line in picked]


def _last(end: int | None) -> int:
    return _LAST_STEP if end is None else end - 1


def step_span(connection: sqlite3.Connection, run_id: int) -> tuple[int, int] | None:
    """Give the first and the last step of a run's history; None if it has none."""
    first, last = connection.execute(
        "SELECT min(step), max(step) FROM run_line WHERE run_id = ? AND stream = 'history'",
        (run_id,),
    ).fetchone()
    return None if first is None else (first, last)


def list_steps_with(connection: sqlite3.Connection, run_id: int, text: str) -> list[int]:
    """List the steps of a run's history whose lines hold a text, each once, in order."""
    rows = connection.execute(
        "SELECT DISTINCT step FROM run_line WHERE run_id = ? AND stream = 'history'"
        " AND instr(content, ?) > 0 ORDER BY step",
        (run_id, text),
    )
    return [row[0] for row in rows]


def read_rows_at(
    connection: sqlite3.Connection, run_id: int, steps: Sequence[int]
) -> list[tuple[int, dict[str, Any]]]:
    """Read the history lines of these steps, by step."""
    rows = connection.execute(
        "SELECT step, content FROM run_line WHERE run_id = ? AND stream = 'history'"
        " AND step IN (SELECT value FROM json_each(?)) ORDER BY step, number, writer",
        (run_id, json.dumps(steps)),
    )
    return [(step, parse_object(content)) for step, content in rows]


def _step(stream: str, content: str, number: int) -> int | None:
    """Read the step of a history line; a line without one (shared mode) counts by number."""
    if stream != HISTORY:
        return None
    step = parse_object(content).get("_step")
    return step if isinstance(step, int) else number


def parse_object(text: str) -> dict[str, Any]:
    """Read a line as a JSON object; anything else counts as an empty one."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def parse_objects(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Read many lines as `parse_object` does, in one go if all are well: twice as fast."""
    try:
        values = json.loads(f"[{','.join(texts)}]")
    except ValueError:
        values = []
    if len(values) == len(texts) and all(isinstance(value, dict) for value in values):
        return list(values)
    return [parse_object(text) for text in texts]


def finite(value: Any) -> Any:
    """Replace NaN and infinities, at any depth, by the words that the SDK reads back."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value
