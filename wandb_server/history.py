"""What can be asked about a run's history: its keys, samples and ranges of steps."""

import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any, TypeVar

from wandb_server.errors import ClientError
from wandb_server.lines import (
    count_history,
    parse_object,
    parse_objects,
    read_history,
    read_places,
)

Item = TypeVar("Item")

_PARSED_AT_ONCE = 100  # lines; more save no time


def extend_keys(known: str, lines: Iterable[str], fallback_step: int) -> str:
    """Add what new history lines hold to the overview of a run's keys.

    Args:
        known: The overview so far: JSON text, "{}" at first.
        lines: History lines that weren't counted before.
        fallback_step: Step of the first line where a line has none.

    Returns:
        JSON text `{"keys": {key: {"typeCounts": [{"type", "count"}], "previousValue"}},
        "lastStep": int}`.
    """
    overview = json.loads(known) or {"keys": {}, "lastStep": -1}
    for index, line in enumerate(lines):
        row = parse_object(line)
        step = row.get("_step")
        step = step if isinstance(step, int) else fallback_step + index
        overview["lastStep"] = max(overview["lastStep"], step)
        for key, value in _leaves("", row):
            _count(overview["keys"].setdefault(key, {"typeCounts": []}), value)
    return json.dumps(overview)


def _leaves(prefix: str, row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Go through a row's values; one inside a dict is named `outer.inner`, media are values.

    Args:
        prefix: What comes before each name.
        row: A line of history.

    Yields:
        Name and value.
    """
    for key, value in row.items():
        if isinstance(value, dict) and value and "_type" not in value:
            yield from _leaves(f"{prefix}{key}.", value)
        else:
            yield prefix + key, value


def _count(entry: dict[str, Any], value: object) -> None:
    kind = _kind(value)
    entry["previousValue"] = value
    for known in entry["typeCounts"]:
        if known["type"] == kind:
            known["count"] += 1
            return
    entry["typeCounts"].append({"type": kind, "count": 1})


def _kind(value: object) -> str:
    """Name the type of a logged value the way W&B does."""
    if isinstance(value, dict):
        return str(value.get("_type", "map"))
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, list):
        return "list"
    return "nil" if value is None else "string"


def read_spec(text: str) -> dict[str, Any]:
    """Read what a client wants of a run's history, as `sample_rows` takes it.

    Raises:
        ClientError: It isn't a JSON object, or a field of it is of the wrong type.
    """
    try:
        spec = json.loads(text)
    except ValueError as error:
        raise ClientError(f"history specs: not valid JSON: {error}") from error
    if not isinstance(spec, dict):
        raise ClientError(f"history specs: a JSON object is wanted, not {text[:40]!r}")
    for name in ("minStep", "maxStep", "samples"):
        if not isinstance(spec.get(name), int | None):
            raise ClientError(f"history specs: {name} must be a whole number, not {spec[name]!r}")
    keys = spec.get("keys") or []
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ClientError(f"history specs: keys must be a list of names, not {keys!r}")
    return spec


def sample_rows(
    connection: sqlite3.Connection, run_id: int, spec: dict[str, Any]
) -> list[dict[str, Any]]:
    """Read the rows of history that hold all the wanted keys, thinned out evenly.

    Args:
        connection: Open for reading.
        run_id: Row of the run.
        spec: `keys` (list of names; a dot reaches into a value), `samples` (at most so many
            rows), `minStep`, `maxStep` (both inclusive), all optional.

    Returns:
        One dict a row with just these keys; whole rows when no keys are named.
    """
    last, first = spec.get("maxStep"), spec.get("minStep") or 0
    end = None if last is None else last + 1
    samples, keys = spec.get("samples") or 500, spec.get("keys") or []
    if not keys:
        return list(map(parse_object, sample_lines(connection, run_id, samples, first, end)))
    lines = (text for _, text in read_history(connection, run_id, end, first))
    picked = thin_out(array("q", _find_rows(lines, keys)), samples)
    rows = map(parse_object, read_places(connection, run_id, end, first, picked))
    return [{key: read_key(row, key) for key in keys} for row in rows]


def sample_lines(
    connection: sqlite3.Connection,
    run_id: int,
    samples: int,
    first: int = 0,
    end: int | None = None,
) -> list[str]:
    """Read at most `samples` history lines with `first <= _step < end`, evenly spread."""
    places = thin_out(range(count_history(connection, run_id, end, first)), samples)
    return read_places(connection, run_id, end, first, places)


def _find_rows(lines: Iterator[str], keys: Sequence[str]) -> Iterator[int]:
    """Tell at which places, from 0, the lines stand that hold all the keys."""
    places = count()
    while texts := list(islice(lines, _PARSED_AT_ONCE)):
        for row, place in zip(parse_objects(texts), places, strict=False):
            if all(read_key(row, key) is not None for key in keys):
                yield place


def thin_out(items: Sequence[Item], count: int) -> list[Item]:
    """Take at most `count` items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    if count <= 1:
        return list(items[:count])
    spread = (len(items) - 1) / (count - 1)
    return [items[round(index * spread)] for index in range(count)]


def read_key(row: dict[str, Any], key: str) -> object:
    """Read a key, or the path that it spells, from a row of history.

    Returns:
        The value; None when it isn't there.
    """
    if key in row:
        return row[key]
    value: object = row
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value
