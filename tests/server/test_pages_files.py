"""Previews of files, and what is said of two versions of one."""

import json
from pathlib import Path

import pandas as pd
import pytest

from wandb_server.pages.previews import Shape, preview, table_shape
from wandb_server.pages.version_changes import compare_values

FRAME = pd.DataFrame({"title": ["a", "b"] * 40, "tempo": range(80)})


def write(folder: Path, content: bytes) -> Path:
    path = folder / "blob"  # stored files have no ending: the name says what they are
    path.write_bytes(content)
    return path


def test_a_parquet_head_has_types_and_says_what_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    FRAME.to_parquet(path)
    found = preview(path, "songs.parquet")
    assert found.kind == "table"
    assert [column.split(" (")[1] for column in found.columns][1] == "int64)"
    assert list(found.rows[1]) == ["b", 1]
    assert len(found.rows) == 50
    assert found.note == "80 rows, 2 columns. The first 50 are shown."
    assert table_shape(path, "songs.parquet") == Shape(["title", "tempo"], 80)


def test_a_csv_is_a_table_and_its_rows_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, b'name,text\na,"x\ny"\nb,\n')
    found = preview(path, "songs.CSV")
    assert (found.kind, found.note) == ("table", "2 rows, 2 columns.")
    assert found.rows == [["a", "x\ny"], ["b", ""]]
    assert table_shape(path, "songs.csv") == Shape(["name", "text"], 2)


def test_a_logged_table_is_a_table(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"columns": ["a"], "data": [[1], [None]]}).encode())
    found = preview(path, "media/table/x.table.json")
    assert (found.columns, found.rows) == (["a"], [[1], [None]])
    assert table_shape(path, "x.table.json") == Shape(["a"], 2)


def test_json_is_laid_out_and_text_is_cut(tmp_path: Path) -> None:
    assert preview(write(tmp_path, b'{"a":[1]}'), "x.json").text == '{\n  "a": [\n    1\n  ]\n}'
    found = preview(write(tmp_path, "é".encode() * 200_000), "notes.md")
    assert (found.kind, found.note) == ("text", "Only its beginning is shown.")
    assert len(found.text) == 40_000


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.parquet", b"PAR1 but no more", "can't be read as parquet"),
        ("x.parquet", b"", "can't be read as parquet"),
        ("x.json", b"{", "can't be read as json"),
        ("x.json", b"[" * 100_000, "can't be read as json"),
        ("x.table.json", b'{"columns": 3}', "it has no columns and data"),
        ("x.table.json", b'{"columns": ["a"], "data": [1]}', "it has no columns and data"),
        ("x.csv", b"a\x00b", "it isn't text"),
        ("model.bin", b"\x80\x81\x82", "it isn't text"),
        ("x.csv", b"", "It is empty."),
    ],
)
def test_a_damaged_file_is_told_and_not_a_fault(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = write(tmp_path, content)
    found = preview(path, name)
    assert found.kind == "none"
    assert reason in found.note
    if name != "x.csv":
        assert table_shape(path, name) is None


def test_a_file_that_is_gone_from_the_disk_is_told(tmp_path: Path) -> None:
    for name in ("x.csv", "x.parquet", "x.json", "x.txt"):
        found = preview(tmp_path / "gone", name)
        assert "wandb_server check" in found.note
        assert table_shape(tmp_path / "gone", name) is None


def test_images_and_web_pages_are_left_to_the_browser(tmp_path: Path) -> None:
    path = write(tmp_path, b"<script>")
    assert preview(path, "a.PNG").kind == "image"
    assert preview(path, "card.html").kind == "html"


def test_differing_values_are_listed_with_both_sides() -> None:
    before = {"rows": 1, "same": [1], "gone": "x"}
    after = {"rows": 2, "same": [1], "new": None}
    assert compare_values(before, after) == [("gone", "x", None), ("rows", 1, 2)]
