"""Writes a Parquet table several times over: `python enlarge.py <table> <target> <times>`.

Run by an environment with pyarrow. No two copies of a row are equal, so that dropping duplicates
leaves as many times the rows as before.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# From 1 to the next number, by bits.
SMALLEST = {16: 2**-10, 32: 2**-23, 64: 2**-52}


def enlarge(table: pa.Table, times: int) -> pa.Table:
    """Return the rows so many times.

    Raises:
        ValueError: The table has no column of floating-point numbers, which alone are changed.
    """
    if not any(pa.types.is_floating(field.type) for field in table.schema):
        raise ValueError("the table has no column of floating-point numbers to tell copies apart.")
    return pa.concat_tables([nudge(table, number) for number in range(times)])


def nudge(table: pa.Table, number: int) -> pa.Table:
    """Return a table whose floating-point numbers are a little closer to 0, by copy."""
    columns = []
    for field in table.schema:
        column = table[field.name]
        if pa.types.is_floating(field.type):
            # Some bits above the last one: beyond what rounding undoes, below what a rule sees.
            least = 64 * SMALLEST[field.type.bit_width]
            column = pc.multiply(column, pa.scalar(1 - number * least, field.type))
        columns.append(column)
    return pa.table(columns, schema=table.schema)


if __name__ == "__main__":
    source, target, times = sys.argv[1:]
    pq.write_table(enlarge(pq.read_table(Path(source)), int(times)), Path(target))
