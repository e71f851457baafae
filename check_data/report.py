"""Writes down the results of the checks, for people and for programs."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from checks import Result

OUTCOMES = ("failed", "warned", "skipped", "passed")


def count_outcomes(results: Iterable[Result]) -> dict[str, int]:
    """Return the number of checks by outcome, zeros included."""
    counts = Counter(result.outcome for result in results)
    return {outcome: counts[outcome] for outcome in OUTCOMES}


def make_rows(results: Iterable[Result]) -> tuple[list[Any], list[Any]]:
    """Return the results as the column names and the rows of a table."""
    columns = [field.name for field in fields(Result)]
    return columns, [[getattr(result, name) for name in columns] for result in results]


def write_json(sample: str, reference: str, results: list[Result]) -> str:
    """Return all results as JSON: sample, reference, counts by outcome, checks."""
    content = {
        "sample": sample,
        "reference": reference,
        "counts": count_outcomes(results),
        "checks": [asdict(result) for result in results],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write_markdown(sample: str, reference: str, results: list[Result]) -> str:
    """Return the results as a page: what needs attention first, each check in a line."""
    counts = count_outcomes(results)
    lines = [
        f"# Checks of {sample}",
        "",
        f"Reference: {reference}",
        "",
        ", ".join(f"{number} {outcome}" for outcome, number in counts.items()),
    ]
    for outcome in OUTCOMES:
        found = [result for result in results if result.outcome == outcome]
        if found:
            lines += ["", f"## {outcome.capitalize()}", ""]
            lines += [f"- {describe(result)}" for result in found]
    return "\n".join(lines) + "\n"


def describe(result: Result) -> str:
    """Return a result as a line: check, column, message."""
    name = f"{result.check} [{result.column}]" if result.column else result.check
    return f"{name}: {result.message}" if result.message else name
