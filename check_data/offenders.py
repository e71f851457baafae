"""Says which rows break a rule."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

SHOWN = 5


def refuse(mask: pa.ChunkedArray, values: pa.ChunkedArray | None, problem: str) -> None:
    """Fail the check if a row offends, and say how many do and which are the first.

    Args:
        mask: Boolean, true where a row offends; null counts as false.
        values: Value of each row, to be shown in the message; None shows none.
        problem: What is wrong with the offending rows.
    """
    rows = pc.indices_nonzero(mask.combine_chunks())
    if len(rows):
        first = [
            f"row {row}" if values is None else f"row {row}: {values[row].as_py()!r}"
            for row in rows[:SHOWN].to_pylist()
        ]
        more = ", ..." if len(rows) > SHOWN else ""
        pytest.fail(
            f"{problem} in {len(rows):,} of {len(mask):,} rows ({', '.join(first)}{more})",
            pytrace=False,
        )


def is_missing(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return true where there is no value: null, or NaN."""
    return pc.is_null(values, nan_is_null=True)


def is_repeated(table: pa.Table) -> pa.ChunkedArray:
    """Return true for each row that equals one before it."""
    keys = [
        # Arrow groups by plain values only.
        pa.chunked_array([pa.array(map(repr, column.to_pylist()), pa.string())])
        if pa.types.is_nested(column.type)
        else column
        for column in table.columns
    ]
    names = [str(position) for position in range(len(keys))]
    rows = pa.chunked_array([pa.arange(0, table.num_rows)])
    groups = pa.table([*keys, rows], names=[*names, "row"]).group_by(names)
    first = groups.aggregate([("row", "min")])["row_min"]
    return pc.invert(pc.is_in(rows, value_set=first))
