"""The tables of an export: their columns, how they are written, and how they are read."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from wandb_server.server_error import ServerError

FORMAT = 1  # goes up with each change that an older program can't read
INDEX = "index.json"
Rows = list[dict[str, Any]]
Add = Callable[[str, Rows], None]

_TEXT, _NUMBER, _WHOLE, _TEXTS = pa.string(), pa.float64(), pa.int64(), pa.list_(pa.string())
_RUN_TEXTS = [
    "name",
    "display_name",
    "state",
    "group_name",
    "job_type",
    "notes",
    "description",
    "host",
    "program",
    "commit_hash",
    "repo",
    "sweep_name",
    "created_at",
    "updated_at",
    "heartbeat_at",
]
# `value` is the number that a cell holds, or null; `json` is all of it, whatever it is.
SCHEMAS: dict[str, pa.Schema] = {
    "runs": pa.schema(
        [*((name, _TEXT) for name in _RUN_TEXTS), ("exitcode", _WHOLE), ("tags", _TEXTS)]
    ),
    "config": pa.schema([("run", _TEXT), ("key", _TEXT), ("value", _NUMBER), ("json", _TEXT)]),
    "summary": pa.schema([("run", _TEXT), ("key", _TEXT), ("value", _NUMBER), ("json", _TEXT)]),
    "history": pa.schema(
        [
            *(("run", _TEXT), ("writer", _TEXT), ("line", _WHOLE), ("step", _WHOLE)),
            *(("key", _TEXT), ("value", _NUMBER), ("json", _TEXT)),
        ]
    ),
    # Console lines ("output") and system metrics ("events"), as they came.
    "lines": pa.schema(
        [
            *(("run", _TEXT), ("stream", _TEXT), ("writer", _TEXT)),
            *(("line", _WHOLE), ("content", _TEXT)),
        ]
    ),
    "files": pa.schema(
        [*((name, _TEXT) for name in ("run", "name", "digest", "updated_at")), ("size", _WHOLE)]
    ),
    "collections": pa.schema(
        [
            *((name, _TEXT) for name in ("name", "type", "description", "created_at")),
            *(("updated_at", _TEXT), ("next_version", _WHOLE), ("tags", _TEXTS)),
        ]
    ),
    # `row` is the number by which references and `manifest` (JSON) know a version.
    "versions": pa.schema(
        [
            *(("row", _WHOLE), ("collection", _TEXT), ("version", _WHOLE), ("run", _TEXT)),
            *((name, _TEXT) for name in ("digest", "digest_algorithm", "description", "metadata")),
            *((name, _TEXT) for name in ("commit_hash", "created_at", "updated_at", "manifest")),
            *((name, _WHOLE) for name in ("ttl_seconds", "history_step", "size", "file_count")),
            *((name, _TEXTS) for name in ("aliases", "tags", "clients")),
        ]
    ),
    "lineage": pa.schema(
        [("run", _TEXT), ("row", _WHOLE), ("used", pa.bool_()), ("used_as", _TEXT)]
    ),
}


@contextmanager
def writing(folder: Path) -> Iterator[Add]:
    """Open all tables of a folder; gives what adds rows to one of them by its name."""
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(pq.ParquetWriter(folder / f"{name}.parquet", schema))
            for name, schema in SCHEMAS.items()
        }

        def add(name: str, rows: Rows) -> None:
            if rows:
                writers[name].write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[name]))

        yield add


def read_rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Go through the rows of a table, in the order in which they were written.

    Raises:
        ServerError: The table is missing, damaged, or lacks a column.
    """
    path = folder / f"{name}.parquet"
    try:
        with pq.ParquetFile(path) as file:
            lacking = set(SCHEMAS[name].names) - set(file.schema_arrow.names)
            if lacking:
                raise ServerError(f"{path} lacks the columns {', '.join(sorted(lacking))}")
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ServerError(f"{path}: {error}") from error


def cell(value: object) -> dict[str, Any]:
    """Give the columns `value` and `json` of a value."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"value": float(value) if is_number else None, "json": json.dumps(value)}  # type: ignore[arg-type]


def read_index(folder: Path) -> dict[str, Any]:
    """Read what an export says about itself.

    Raises:
        ServerError: It isn't there, or isn't a whole export, or is one of a newer program.
    """
    if not folder.is_dir():
        raise ServerError(f"there is no folder {folder}")
    try:
        index = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError) as error:
        raise ServerError(f"{folder} is no whole export: {error}") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise ServerError(
            f"{folder / INDEX} isn't of format {FORMAT}: use the program that made it"
        )
    return index
