"""A run's history as a Parquet file, made when somebody downloads it.

A row for each logged line, by step; a column for each key, of the type that all its values have.
Memory holds one batch of lines at a time, whatever the length of the history.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from wandb_server.blobs import BlobStore
from wandb_server.integrity import digest_of
from wandb_server.lines import parse_objects, read_history

_BATCH_BYTES = 4 << 20  # text of the lines that are held at a time
_STEP = "_step"

Rows = list[dict[str, Any]]
# The type of each column. None: its values have no type in common, or none that Parquet can
# hold, so that the column holds their JSON text.
_Types = dict[str, pa.DataType | None]


def store_history(
    connection: sqlite3.Connection, run_id: int, end: int | None, blobs: BlobStore
) -> str:
    """Store a run's history as a Parquet file; equal histories make equal files.

    Args:
        connection: Inside a read transaction: the history is read twice.
        run_id: Row of the run, which has history.
        end: Only steps before this one; None takes all.
        blobs: Where the file goes. Nothing refers to it, so `gc` removes it one day.

    Returns:
        The file's digest (hex MD5).

    Raises:
        OSError: The disk is full or can't be written; nothing is stored.
    """
    types = _find_types(_batches(connection, run_id, end))
    with blobs.temporary() as file:
        path = Path(file.name)
        try:
            _write(file, types, _batches(connection, run_id, end))
            file.flush()
            digest = digest_of(path)
            blobs.publish(file, digest)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return digest


def _batches(connection: sqlite3.Connection, run_id: int, end: int | None) -> Iterator[Rows]:
    """Read the history by step; every row has its `_step`."""
    steps: list[int] = []
    texts: list[str] = []
    size = 0
    for step, content in read_history(connection, run_id, end):
        steps.append(step)
        texts.append(content)
        size += len(content)
        if size >= _BATCH_BYTES:
            yield _parse(steps, texts)
            steps, texts, size = [], [], 0
    if steps:
        yield _parse(steps, texts)


def _parse(steps: list[int], texts: list[str]) -> Rows:
    return [{**row, _STEP: step} for step, row in zip(steps, parse_objects(texts), strict=True)]


def _find_types(batches: Iterable[Rows]) -> _Types:
    """Find the columns and what each can hold, in the order in which they are written.

    Nested columns come last: readers that take a column's number for that of its first leaf,
    as some releases of the SDK do, then find all others.
    """
    types: _Types = {_STEP: pa.int64()}
    for rows in batches:
        for key in dict.fromkeys(key for row in rows for key in row):
            found = _type_of([row.get(key) for row in rows])
            types[key] = _merge(types[key], found) if key in types else found
    types = {key: kind if kind and _fits_parquet(kind) else None for key, kind in types.items()}
    return dict(sorted(types.items(), key=lambda item: _is_nested(item[1])))


def _type_of(values: list[Any]) -> pa.DataType | None:
    # Several types, a whole number beyond 64 bits, half of a surrogate pair.
    with suppress(pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return pa.array(values).type
    return None


def _merge(one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    """Give the type that takes the values of both: a wider number, a struct of all fields."""
    if one is None or other is None or one.equals(other):
        return one and other
    with suppress(pa.ArrowTypeError, pa.ArrowInvalid):
        schemas = [pa.schema([("it", kind)]) for kind in (one, other)]
        return pa.unify_schemas(schemas, promote_options="permissive").field("it").type
    return None


def _fits_parquet(kind: pa.DataType) -> bool:
    """Tell whether Parquet has a type: it lacks a dict without any key."""
    if pa.types.is_struct(kind):
        return kind.num_fields > 0 and all(_fits_parquet(field.type) for field in kind)
    return not pa.types.is_list(kind) or _fits_parquet(kind.value_type)


def _is_nested(kind: pa.DataType | None) -> bool:
    return kind is not None and pa.types.is_nested(kind)


def _write(file: BinaryIO, types: _Types, batches: Iterable[Rows]) -> None:
    schema = pa.schema([(key, kind or pa.string()) for key, kind in types.items()])
    with pq.ParquetWriter(file, schema) as writer:
        for rows in batches:
            columns = [_column(rows, key, kind) for key, kind in types.items()]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _column(rows: Rows, key: str, kind: pa.DataType | None) -> pa.Array:
    values = [row.get(key) for row in rows]
    if kind is None:
        texts = [None if value is None else json.dumps(value) for value in values]
        return pa.array(texts, pa.string())
    # Not at once to the type: whole numbers beyond 2**53 become the nearest fractional ones.
    return pa.array(values).cast(kind, safe=False)
