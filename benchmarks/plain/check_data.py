"""Checks a table against the rules of its data set, without W&B."""

from pathlib import Path

import pyarrow as pa
from checks import Inputs, run_checks
from files import Call, read_table, run_script
from report import write_json, write_markdown
from rules import read_dataset

NO_REFERENCE = "nothing to compare with"


def check(table: pa.Table, call: Call) -> None:
    """Check a table as check_data does that has nothing to compare with, and write the report.

    Raises:
        ValueError: A check failed.
    """
    rules, ks_alpha = read_dataset(Path(call["dataset"])), float(call["ks_alpha"])
    results = run_checks(Inputs(table, None, NO_REFERENCE, rules, ks_alpha, False))
    folder = Path(call["report_artifact"])
    folder.mkdir(exist_ok=True)
    for name, write in {"report.json": write_json, "report.md": write_markdown}.items():
        (folder / name).write_text(write(call["sample_artifact"], NO_REFERENCE, results))
    if failed := [result for result in results if result.outcome == "failed"]:
        raise ValueError(f"these checks failed: {failed}")


def main(call: Call) -> None:
    """Read and check."""
    check(read_table(call["sample_artifact"]), call)


if __name__ == "__main__":
    run_script(main)
