"""Two things are identical, equal within a tolerance, or different, and it is told where."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.reproduce.compare import (
    Level,
    compare_folders,
    compare_metrics,
    compare_numbers,
    compare_tables,
    rename,
)

TOLERANCE = 1e-9
TABLE = pa.table({"n": [1, 2, 3], "x": [0.5, None, float("nan")], "t": ["a", "b", None]})


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        (0.1, 0.1, Level.identical),
        (float("nan"), float("nan"), Level.identical),
        (0.3, 0.1 + 0.2, Level.equal),
        (0.0, 1e-10, Level.equal),
        (1.0, 1.0 + 1e-8, Level.different),
        (1.0, float("nan"), Level.different),
        (float("inf"), float("-inf"), Level.different),
    ],
)
def test_numbers_are_compared_to_the_last_bit(old: float, new: float, level: Level) -> None:
    verdict = compare_numbers(old, new, TOLERANCE)

    assert verdict.level == level
    assert verdict.notes == () if level == Level.identical else f"{old!r} then" in verdict.notes[0]


@pytest.mark.parametrize(
    ("new", "level", "note"),
    [
        (TABLE, Level.identical, None),
        (TABLE.set_column(1, "x", [[0.5 + 1e-12, None, float("nan")]]), Level.equal, "column x"),
        (TABLE.set_column(1, "x", [[0.6, 0.0, float("nan")]]), Level.different, "in 2 of 3 rows"),
        (TABLE.set_column(2, "t", [["a", "B", None]]), Level.different, "row 1: 'b' then, 'B' now"),
        (TABLE.slice(0, 2), Level.different, "rows: 3 then, 2 now"),
        (TABLE.drop_columns(["t"]), Level.different, "column t: string then, missing now"),
        (
            TABLE.set_column(0, "n", pa.array([1, 2, 3], pa.int32())),
            Level.different,
            "column n: int64 then, int32 now",
        ),
    ],
)
def test_tables_are_compared_by_columns_and_rows(
    new: pa.Table, level: Level, note: str | None
) -> None:
    verdict = compare_tables(TABLE, new, TOLERANCE)

    assert verdict.level == level
    assert (note is None) == (verdict.notes == ())
    assert note is None or note in verdict.notes[0]


def test_rows_in_another_order_are_told_as_that() -> None:
    table = TABLE.drop_columns(["x"])

    verdict = compare_tables(table, table.take([2, 0, 1]), TOLERANCE)

    assert verdict.notes == ("rows: the same ones, in another order",)


def make_folder(folder: Path, report: dict[str, Any], page: str, model: bytes) -> Path:
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "page.md").write_text(page)
    (folder / "model").write_bytes(model)
    pq.write_table(TABLE, folder / "table.parquet", compression=page.split()[-1])
    return folder


def test_files_are_equal_if_only_names_of_versions_and_their_writing_differ(
    tmp_path: Path,
) -> None:
    old = make_folder(tmp_path / "old", {"of": "a:v7", "n": [1]}, "Made of a:v7 by zstd", b"1")
    new = make_folder(tmp_path / "new", {"n": [1], "of": "a:v0"}, "Made of a:v0 by snappy", b"1")
    (new / "page.md").write_text("Made of a:v0 by zstd")

    verdict = compare_folders(old, new, {"a:v0": "a:v7"}, TOLERANCE)

    assert verdict.level == Level.equal
    names = {note.partition(": ")[0] for note in verdict.notes}
    assert names == {"report.json", "page.md", "table.parquet"}


def test_files_that_differ_are_named_with_the_place(tmp_path: Path) -> None:
    old = make_folder(tmp_path / "old", {"a": {"b": [1, 2]}}, "one\ntwo zstd", b"1")
    new = make_folder(tmp_path / "new", {"a": {"b": [1, 5]}}, "one\n2 zstd", b"22")
    (new / "more.txt").write_text("more")
    (new / "table.parquet").unlink()

    verdict = compare_folders(old, new, {}, TOLERANCE)

    assert verdict.level == Level.different
    assert verdict.notes == (
        "model: 1 bytes then, 2 other ones now",
        "more.txt: made only now",
        "page.md: line 2: 'two zstd' then, '2 zstd' now",
        "report.json: a: b: 1: 2 then, 5 now, difference 3",
        "table.parquet: made only then",
    )


def test_a_version_is_renamed_as_a_whole() -> None:
    renamed = {"a:v1": "a:v2", "a:v2": "a:v3"}

    assert rename("a:v1, a:v2, a:v10, ba:v1", renamed) == "a:v2, a:v3, a:v10, ba:v1"


def test_metrics_are_the_numbers_of_a_summary_but_for_what_production_decides() -> None:
    old = {"val/f1": 0.5, "rows": 3, "output/m": "v3", "promotion/difference": 0.1, "ok": True}
    new = {"val/f1": 0.5, "more": 1, "output/m": "v0", "promotion/difference": 0.2, "ok": True}

    verdicts = compare_metrics(old, new, TOLERANCE)

    levels = {name: verdict.level for name, verdict in verdicts.items()}
    assert levels == {
        "val/f1": Level.identical,
        "rows": Level.different,
        "more": Level.different,
    }
