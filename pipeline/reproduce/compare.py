"""Compares what was made again with what was made then: tables, files, metrics."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_TEXTS = {".md", ".html", ".txt", ".yaml", ".yml"}
_VERSION = re.compile(r"[\w.\-]+:v\d+")
_SHOWN = 5  # differences of one thing that are told by name


class Level(IntEnum):
    """How much two things are the same; the larger, the less."""

    identical = 0
    equal = 1
    different = 2


@dataclass(frozen=True)
class Verdict:
    """What came of a comparison.

    Attributes:
        level: How much the two are the same.
        notes: Where they differ; empty if they are identical.
    """

    level: Level
    notes: tuple[str, ...] = ()


IDENTICAL = Verdict(Level.identical)


def combine(verdicts: Mapping[str, Verdict]) -> Verdict:
    """Return one verdict for several things, with the name of the thing before each note."""
    level = max((verdict.level for verdict in verdicts.values()), default=Level.identical)
    notes = [f"{name}: {note}" for name, verdict in verdicts.items() for note in verdict.notes]
    return Verdict(level, tuple(notes))


def compare_numbers(old: float, new: float, tolerance: float) -> Verdict:
    """Compare two numbers; two NaN are the same.

    Args:
        old: The number then.
        new: The number now.
        tolerance: Largest relative difference, and absolute one near 0, that counts as equal.
    """
    if old == new or (math.isnan(old) and math.isnan(new)):
        return IDENTICAL
    close = math.isclose(old, new, rel_tol=tolerance, abs_tol=tolerance)
    note = f"{old!r} then, {new!r} now, difference {new - old:.3g}"
    return Verdict(Level.equal if close else Level.different, (note,))


def compare_values(old: Any, new: Any, tolerance: float) -> Verdict:
    """Compare values as JSON has them: numbers within a tolerance, all else exactly."""
    match old, new:
        case dict(), dict():
            return combine(
                {
                    str(key): compare_values(old.get(key), new.get(key), tolerance)
                    for key in {**old, **new}
                }
            )
        case list(), list() if len(old) == len(new):
            pairs = enumerate(zip(old, new, strict=True))
            return combine({str(n): compare_values(*pair, tolerance) for n, pair in pairs})
        case (int() | float(), int() | float()) if bool not in (type(old), type(new)):
            return compare_numbers(old, new, tolerance)
    same = type(old) is type(new) and old == new
    return IDENTICAL if same else Verdict(Level.different, (f"{old!r} then, {new!r} now",))


def compare_folders(old: Path, new: Path, renamed: Mapping[str, str], tolerance: float) -> Verdict:
    """Compare two folders file by file.

    Args:
        old: What was made then.
        new: What was made now.
        renamed: Names of versions then, by their names now: texts mention them.
        tolerance: See `compare_numbers`.
    """
    sides = [{path.relative_to(side).as_posix() for path in _files(side)} for side in (old, new)]
    verdicts = {}
    for name in sorted(sides[0] | sides[1]):
        if name not in sides[0] & sides[1]:
            only = "made only then" if name in sides[0] else "made only now"
            verdicts[name] = Verdict(Level.different, (only,))
        else:
            verdicts[name] = compare_files(old / name, new / name, renamed, tolerance)
    return combine(verdicts)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def compare_files(old: Path, new: Path, renamed: Mapping[str, str], tolerance: float) -> Verdict:
    """Compare two files: tables by their rows, JSON by its values, texts by their lines."""
    if old.read_bytes() == new.read_bytes():
        return IDENTICAL
    if old.suffix == ".parquet":
        found = compare_tables(pq.read_table(old), pq.read_table(new), tolerance)
    elif old.suffix == ".json" or old.suffix in _TEXTS:
        text = new.read_text(encoding="utf-8")
        text = rename(text, renamed)
        found = _compare_texts(old.read_text(encoding="utf-8"), text, old.suffix, tolerance)
    else:
        sizes = [path.stat().st_size for path in (old, new)]
        return Verdict(Level.different, (f"{sizes[0]:,} bytes then, {sizes[1]:,} other ones now",))
    # The bytes differ, so this is equal at best.
    notes = found.notes or ("written differently, with equal content",)
    return Verdict(max(found.level, Level.equal), notes)


def rename(text: str, renamed: Mapping[str, str]) -> str:
    """Replace the names of versions in a text.

    >>> rename("a:v1 is from b:v10", {"a:v1": "a:v2", "b:v1": "b:v5"})
    'a:v2 is from b:v10'
    """
    return _VERSION.sub(lambda found: renamed.get(found[0], found[0]), text)


def _compare_texts(old: str, new: str, suffix: str, tolerance: float) -> Verdict:
    if suffix == ".json":
        return _shorten(compare_values(json.loads(old), json.loads(new), tolerance))
    lines = [old.split("\n"), new.split("\n")]
    notes = [
        f"line {number}: {then.strip()[:80]!r} then, {now.strip()[:80]!r} now"
        for number, (then, now) in enumerate(zip(*lines, strict=False), 1)
        if then != now
    ]
    if len(lines[0]) != len(lines[1]):
        notes.append(f"{len(lines[0]):,} lines then, {len(lines[1]):,} now")
    return _shorten(Verdict(Level.different if notes else Level.identical, tuple(notes)))


def _shorten(verdict: Verdict) -> Verdict:
    if len(verdict.notes) <= _SHOWN:
        return verdict
    more = f"and {len(verdict.notes) - _SHOWN:,} more differences"
    return Verdict(verdict.level, (*verdict.notes[:_SHOWN], more))


def compare_tables(old: pa.Table, new: pa.Table, tolerance: float) -> Verdict:
    """Compare two tables: columns, number of rows, then the values row by row.

    Args:
        old: The table then.
        new: The table now.
        tolerance: See `compare_numbers`; it holds for columns of floats.
    """
    verdicts = {}
    for name in {**dict.fromkeys(old.column_names), **dict.fromkeys(new.column_names)}:
        types = [
            str(side.schema.field(name).type) if name in side.column_names else "missing"
            for side in (old, new)
        ]
        if types[0] != types[1]:
            note = f"{types[0]} then, {types[1]} now"
            verdicts[f"column {name}"] = Verdict(Level.different, (note,))
    if old.num_rows != new.num_rows:
        note = f"{old.num_rows:,} then, {new.num_rows:,} now"
        verdicts["rows"] = Verdict(Level.different, (note,))
    elif not verdicts and _is_reordered(old, new):
        verdicts["rows"] = Verdict(Level.different, ("the same ones, in another order",))
    elif not verdicts:
        for name in old.column_names:
            verdicts[f"column {name}"] = _compare_columns(old[name], new[name], tolerance)
    return _shorten(combine(verdicts))


def _is_reordered(old: pa.Table, new: pa.Table) -> bool:
    """Tell whether two tables with the same columns hold the same rows in another order."""
    if old.equals(new) or any(pa.types.is_nested(kind) for kind in old.schema.types):
        return False
    order = [(name, "ascending") for name in old.column_names]
    return bool(old.sort_by(order).equals(new.sort_by(order)))


def _compare_columns(
    old: "pa.ChunkedArray[Any]", new: "pa.ChunkedArray[Any]", tolerance: float
) -> Verdict:
    if old.equals(new):
        return IDENTICAL
    pairs = list(enumerate(zip(old.to_pylist(), new.to_pylist(), strict=True)))
    found = {row: compare_values(*pair, tolerance) for row, pair in pairs}
    differing = {row: verdict for row, verdict in found.items() if verdict.level}
    if not differing:
        return IDENTICAL
    worst = max(verdict.level for verdict in differing.values())
    row, first = next(item for item in differing.items() if item[1].level == worst)
    words = "within the tolerance in" if worst == Level.equal else "other values in"
    note = f"{words} {len(differing):,} of {len(found):,} rows, the first is row {row}"
    return Verdict(worst, (f"{note}: {first.notes[0]}",))


def compare_metrics(
    old: Mapping[str, Any], new: Mapping[str, Any], tolerance: float
) -> dict[str, Verdict]:
    """Compare the numbers of two summaries, each by its name.

    Args:
        old: Summary of the run then.
        new: Summary of the run now.
        tolerance: See `compare_numbers`.
    """
    verdicts = {}
    for name in {**old, **new}:
        values = old.get(name), new.get(name)
        # What a promotion came to depends on what was in production.
        if name.startswith("promotion/") or not any(map(_is_number, values)):
            continue
        verdicts[name] = compare_values(*values, tolerance)
    return verdicts


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
