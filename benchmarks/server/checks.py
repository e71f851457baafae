"""Whether the server holds what was logged: the SDK doesn't fail where it lost some of it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.place import BenchmarkError
from wandb_server import paths

_INCOMPLETE = """SELECT run.name, run.state, count(number) AS lines,
    coalesce(max(step), -1) AS step
    FROM run LEFT JOIN run_line ON run_id = run.id AND stream = 'history'
    GROUP BY run.id HAVING state != 'finished' OR lines != step + 1"""


def check_runs(data: Path) -> None:
    """Raise BenchmarkError if a run isn't finished or lacks a line of its history."""
    with closing(sqlite3.connect(data / paths.DATABASE)) as connection:
        found = connection.execute(_INCOMPLETE).fetchall()
    if found:
        raise BenchmarkError(f"{len(found)} runs aren't whole, such as {found[0]}.")
