"""Looks into files: text, tables, JSON, images, and web pages that can do nothing."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb_server.pages.formats import cut
from wandb_server.pages.visits import is_image

_LOST = "The stored file is gone. `python -m wandb_server check` says what else is."
_HEAD = 256 * 1024  # bytes read of a text
_LARGEST_JSON = 4 << 20  # bytes; a larger one is shown as text
_LARGEST_COUNTED = 64 << 20  # bytes of a CSV whose rows are counted
_TEXT_SHOWN = 40_000  # characters
_ROWS_SHOWN = 50
_COLUMNS_SHOWN = 60


# Columns and rows.
Table = tuple[list[str], list[list[Any]]]


@dataclass(frozen=True)
class Preview:
    """What is shown of a file.

    `kind` is image, html, table, text or none. `note` says what is left out, or why there is
    nothing. `rows` holds plain values; `columns` are headings.
    """

    kind: str
    note: str = ""
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Shape:
    """A table's columns in order, and its number of rows."""

    columns: list[str]
    rows: int


def preview(path: Path, name: str) -> Preview:
    """Look into a file.

    Args:
        path: Where its content lies.
        name: Its name, whose ending says what it is.

    Raises:
        OSError: It can't be read.
    """
    if is_image(name):
        return Preview("image")
    ending = _ending(name)
    if ending in {"html", "htm"}:
        return Preview("html")
    readers = {"parquet": _parquet, "csv": _csv, "tsv": _csv, "json": _json}
    try:
        return readers[ending](path, name) if ending in readers else _text(path)
    except _UnreadableError as error:
        return Preview("none", f"It can't be read as {ending}: {error}")
    except FileNotFoundError:
        return Preview("none", _LOST)


def table_shape(path: Path, name: str) -> Shape | None:
    """Count a table's rows and name its columns; None for what can't be counted as one."""
    ending = _ending(name)
    try:
        if ending == "parquet":
            table = _open_parquet(path)
            return Shape(list(table.schema_arrow.names), table.metadata.num_rows)
        if ending in {"csv", "tsv"} and path.stat().st_size <= _LARGEST_COUNTED:
            with path.open(encoding="utf-8", errors="replace", newline="") as file:
                reader = csv.reader(file, delimiter=_delimiter(name))
                return Shape(next(reader, []), sum(1 for _ in reader))
        if name.endswith(".table.json") and path.stat().st_size <= _LARGEST_JSON:
            columns, rows = _load_table(path)
            return Shape(columns, len(rows))
    except (_UnreadableError, csv.Error, FileNotFoundError):
        return None
    return None


def read_table(path: Path) -> Table | None:
    """Read a table as `wandb.Table` writes it; None if it isn't one, is too large, or is gone."""
    try:
        return _load_table(path) if path.stat().st_size <= _LARGEST_JSON else None
    except (_UnreadableError, FileNotFoundError):
        return None


class _UnreadableError(Exception):
    """The content isn't what the name says."""


def _ending(name: str) -> str:
    return name.lower().rpartition(".")[2]


def _delimiter(name: str) -> str:
    return "\t" if name.lower().endswith(".tsv") else ","


def _text(path: Path) -> Preview:
    text, is_whole = _read_head(path)
    shown = cut(text, _TEXT_SHOWN)
    note = "" if is_whole and shown == text else "Only its beginning is shown."
    return Preview("text", note, shown)


def _read_head(path: Path) -> tuple[str, bool]:
    with path.open("rb") as file:
        head = file.read(_HEAD + 1)
    if b"\x00" in head:
        raise _UnreadableError("it isn't text")
    is_whole = len(head) <= _HEAD
    try:
        text = head[:_HEAD].decode("utf-8", errors="strict" if is_whole else "ignore")
    except UnicodeDecodeError as error:
        raise _UnreadableError("it isn't text") from error
    return text, is_whole


def _csv(path: Path, name: str) -> Preview:
    text, is_whole = _read_head(path)
    if not is_whole:
        text = text.rpartition("\n")[0]
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=_delimiter(name)))
    except csv.Error as error:
        raise _UnreadableError(str(error)) from error
    if not lines:
        return Preview("none", "It is empty.")
    return _table(lines[0], lines[1:], len(lines) - 1 if is_whole else None)


def _json(path: Path, name: str) -> Preview:
    if path.stat().st_size > _LARGEST_JSON:
        return _text(path)
    if name.endswith(".table.json"):
        columns, rows = _load_table(path)
        return _table(columns, rows, len(rows))
    text = json.dumps(_load_json(path), indent=2, ensure_ascii=False)
    note = "" if len(text) <= _TEXT_SHOWN else "Only its beginning is shown."
    return Preview("text", note, cut(text, _TEXT_SHOWN))


def _load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _UnreadableError(str(error)) from error


def _load_table(path: Path) -> Table:
    """Read a table as `wandb.Table` writes it."""
    fields = _load_json(path)
    is_table = (
        isinstance(fields, dict)
        and isinstance(fields.get("columns"), list)
        and isinstance(fields.get("data"), list)
        and all(isinstance(row, list) for row in fields["data"])
    )
    if not is_table:
        raise _UnreadableError("it has no columns and data")
    return list(map(str, fields["columns"])), fields["data"]


def _parquet(path: Path, _name: str) -> Preview:
    import pyarrow as pa

    table = _open_parquet(path)
    total = table.metadata.num_rows
    names = table.schema_arrow.names[:_COLUMNS_SHOWN]
    types = [str(table.schema_arrow.field(index).type) for index in range(len(names))]
    try:
        batch = next(table.iter_batches(_ROWS_SHOWN, columns=names), None)
        rows = [] if batch is None else [list(row.values()) for row in batch.to_pylist()]
    except (pa.ArrowException, ValueError) as error:
        raise _UnreadableError(str(error)) from error
    headings = [f"{name} ({kind})" for name, kind in zip(names, types, strict=True)]
    note = f"{total} rows, {len(table.schema_arrow.names)} columns. {_left_out(len(rows), total)}"
    return Preview("table", note.strip(), columns=headings, rows=rows)


def _open_parquet(path: Path) -> Any:
    # Only who looks at a Parquet file pays for these: 0.1 s and some 60 MB.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise _UnreadableError(str(error)) from error


def _table(columns: Sequence[Any], rows: Sequence[Sequence[Any]], total: int | None) -> Preview:
    shown = [list(row)[:_COLUMNS_SHOWN] for row in rows[:_ROWS_SHOWN]]
    count = "More rows than can be counted here" if total is None else f"{total} rows"
    note = f"{count}, {len(columns)} columns. {_left_out(len(shown), total)}"
    return Preview(
        "table", note.strip(), columns=list(map(str, columns))[:_COLUMNS_SHOWN], rows=shown
    )


def _left_out(shown: int, total: int | None) -> str:
    return "" if shown == total else f"The first {shown} are shown."
