"""Drops duplicate rows and rows without a target, without W&B."""

import pyarrow as pa
import pyarrow.compute as pc
from files import Call, read_table, run_script, write_table


def clean(table: pa.Table, target: str) -> pa.Table:
    """Return the first of each set of equal rows, if its target isn't null, in their order."""
    numbered = table.append_column("number of row", pa.arange(0, table.num_rows))
    groups = numbered.group_by(table.column_names).aggregate([("number of row", "min")])
    unique = table.take(groups["number of row_min"].combine_chunks().sort())
    return unique.filter(pc.is_valid(unique[target]))


def main(call: Call) -> None:
    """Read, drop rows, write."""
    table = clean(read_table(call["input_artifact"]), call["target"])
    write_table(table, call["output_artifact"])


if __name__ == "__main__":
    run_script(main)
