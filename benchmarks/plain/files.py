"""What the plain scripts are told, and the tables that they pass on.

A script takes the arguments of the step of its name. Where these name artifacts, it reads and
writes files of these names in the folder that it runs in.
"""

import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# Values by name: the arguments of a step.
Call = dict[str, str]


def run_script(work: Callable[[Call], None]) -> None:
    """Do a script's work as it is told, and end as the steps do."""
    try:
        work(read_call(sys.argv[1:]))
    finally:
        gc.freeze()  # or Python looks for garbage in all the libraries before it ends


def read_call(words: Sequence[str]) -> Call:
    """Return arguments by name: ["--target", "genre"] gives {"target": "genre"}."""
    names = [word.removeprefix("--") for word in words[::2]]
    return dict(zip(names, words[1::2], strict=True))


def read_table(name: str) -> pa.Table:
    """Read a Parquet file."""
    with pq.ParquetFile(name) as file:
        return file.read()


def write_table(table: pa.Table, name: str) -> None:
    """Write a Parquet file, compressed as the steps compress theirs."""
    pq.write_table(table, Path(name), compression="zstd")
