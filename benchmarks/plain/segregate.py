"""Splits a table into a training and a test part, without W&B."""

import numpy as np
import pyarrow as pa
from files import Call, read_table, run_script, write_table
from sklearn.model_selection import train_test_split


def split(table: pa.Table, call: Call) -> tuple[pa.Table, pa.Table]:
    """Split the rows of a table at random."""
    column = call.get("stratify")
    train, test = train_test_split(
        np.arange(table.num_rows),
        test_size=float(call["test_size"]),
        random_state=int(call["random_seed"]),
        stratify=table[column].to_pylist() if column else None,
    )
    return table.take(train), table.take(test)


def main(call: Call) -> None:
    """Read, split, write both parts."""
    parts = split(read_table(call["input_artifact"]), call)
    for part, name in zip(parts, ("train_artifact", "test_artifact"), strict=True):
        write_table(part, call[name])


if __name__ == "__main__":
    run_script(main)
