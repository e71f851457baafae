"""What a run logged besides numbers: images, tables, web pages, histograms, by key and step."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wandb_server.history import read_key, thin_out
from wandb_server.lines import list_steps_with, parse_object, read_rows_at
from wandb_server.runs import Run

# What the SDK writes into a line of history wherever a value is more than a number.
_MARK = '"_type"'
_LOOKED_BACK = 60  # steps before the wanted one that are searched for a key's last value
_SPREAD = 60  # steps that are read to show how something changed

Value = Mapping[str, Any]  # as the SDK writes it: `_type`, and what belongs to that


class Logged(NamedTuple):
    """A run's values that aren't plain numbers, by key in order.

    `values` are those at the wanted step, each the newest until then; `steps` are all at
    which there is one, if any key has several; `course` are values of evenly spread steps.
    """

    values: dict[str, Value]
    steps: Sequence[int]
    course: Sequence[tuple[int, dict[str, Value]]]


def read_logged(connection: sqlite3.Connection, run: Run, step: int | None) -> Logged:
    """Read what a run logged besides numbers.

    Args:
        connection: Open for reading.
        run: Whose.
        step: The wanted one; None for the last value of each key.
    """
    about = parse_object(run.history_keys).get("keys", {})
    last = {
        key: known["previousValue"]
        for key, known in sorted(about.items())
        if isinstance(known.get("previousValue"), dict) and "_type" in known["previousValue"]
    }
    if not any(_count(about[key]) > 1 for key in last):
        return Logged(last, [], [])
    steps = list_steps_with(connection, run.id, _MARK)
    course = _read(connection, run.id, thin_out(steps, _SPREAD), last)
    if step is None:
        return Logged(last, steps, course)
    before = [other for other in steps if other <= step][-_LOOKED_BACK:]
    found: dict[str, Value] = {}
    for _, values in _read(connection, run.id, before, last):
        found |= values
    return Logged({key: found[key] for key in last if key in found}, steps, course)


def sdk_notes(config: str) -> dict[str, Any]:
    """Read what the SDK noted for itself in a run's config, which is JSON text as stored."""
    told = parse_object(config).get("_wandb")
    inner = told.get("value", told) if isinstance(told, dict) else None
    return inner if isinstance(inner, dict) else {}


def _count(known: Mapping[str, Any]) -> int:
    return sum(int(count["count"]) for count in known["typeCounts"])


def _read(
    connection: sqlite3.Connection, run_id: int, steps: Sequence[int], keys: Mapping[str, Value]
) -> list[tuple[int, dict[str, Value]]]:
    rows = read_rows_at(connection, run_id, steps)
    return [(step, _pick(row, keys)) for step, row in rows]


def _pick(row: dict[str, Any], keys: Mapping[str, Value]) -> dict[str, Value]:
    values = {key: read_key(row, key) for key in keys}
    return {
        key: value for key, value in values.items() if isinstance(value, dict) and "_type" in value
    }


def paths_of(value: Value) -> list[tuple[str, str]]:
    """List the run's files that a value stands for, each with its caption or "".

    The SDK writes `{path, caption}` for one, `{filenames, captions}` for several images, and a
    list of such dicts for several of anything else. With `objects`, which are such dicts, stand
    names that lack their folder.
    """
    if isinstance(value.get("path"), str):
        return [(value["path"], str(value.get("caption") or ""))]
    names = value.get("filenames")
    if isinstance(names, list) and not isinstance(value.get("objects"), list):
        captions = value.get("captions")
        captions = captions if isinstance(captions, list) else []
        padded = [*captions, *[""] * len(names)]
        return [(str(name), str(text or "")) for name, text in zip(names, padded, strict=False)]
    lists = [item for item in value.values() if isinstance(item, list)]
    return [
        (str(part["path"]), str(part.get("caption") or ""))
        for item in lists
        for part in item
        if isinstance(part, dict) and "path" in part
    ]
