"""What the SDK's tests came to: read from pytest's XML, sorted by known reasons, as a table."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

_REASONS = tomllib.loads((Path(__file__).parent / "reasons.toml").read_text(encoding="utf-8"))
_COLUMNS = (
    "tests",
    "passed",
    "skipped by the suite",
    "can't pass",
    "failed",
    "passed of those that can",
)


@dataclass(frozen=True)
class Result:
    """One test: its name as `file::test[case]`, its outcome and what it said.

    `outcome` is "passed", "failed" or "skipped" (by the suite itself). `excuse` is the known
    reason for which a test that failed can't pass, if there is one.
    """

    name: str
    outcome: str
    message: str
    excuse: str | None = None


def read_results(report: Path, sdk: str) -> list[Result]:
    """Read the results that pytest wrote for a release of the SDK.

    Raises:
        FileNotFoundError: It wrote none: look into the log beside the report.
    """
    # What pytest of our own environment wrote is trusted.
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314
    return [_read_case(case, sdk) for case in cases]


def _read_case(case: ET.Element, sdk: str) -> Result:
    parts = (case.get("classname") or "").split(".")
    module = next((part for part in reversed(parts) if part.startswith("test_")), "")
    name = f"{module}::{case.get('name')}"
    for tag in ("failure", "error"):
        if (found := case.find(tag)) is not None:
            message = f"{found.get('message')}\n{found.text}"
            return Result(name, "failed", message, find_excuse(name, message, sdk))
    return Result(name, "passed" if case.find("skipped") is None else "skipped", "")


def find_excuse(name: str, message: str, sdk: str) -> str | None:
    """Give the known reason for which a test can't pass, by its name or by its message."""
    for reason in _REASONS["reason"]:
        named = any(re.fullmatch(pattern, name) for pattern in reason.get("tests", ()))
        said = any(re.search(pattern, message) for pattern in reason.get("messages", ()))
        if (named or said) and sdk in reason.get("sdks", [sdk]):
            return str(reason["why"])
    return None


def table(results: Mapping[str, Sequence[Result]], sdk: str) -> str:
    """Lay the results out as Markdown: a row a part and one for all, then a row a reason."""
    everything = [item for found in results.values() for item in found]
    lines = [f"| wandb {sdk} | {' | '.join(_COLUMNS)} |", "|---" * (len(_COLUMNS) + 1) + "|"]
    lines += [_row(part, found) for part, found in [*results.items(), ("all", everything)]]
    reasons = Counter(item.excuse for item in everything if item.excuse)
    lines += ["", "| tests that can't pass | why |", "|---|---|"]
    lines += [f"| {count} | {why} |" for why, count in reasons.most_common()]
    return "\n".join(lines)


def _row(part: str, found: Sequence[Result]) -> str:
    outcomes = Counter(item.outcome for item in found)
    excused = sum(item.excuse is not None for item in found)
    failed = outcomes["failed"] - excused
    possible = outcomes["passed"] + failed
    share = f"{outcomes['passed'] / possible:.1%}" if possible else "none can"
    cells = (part, len(found), outcomes["passed"], outcomes["skipped"], excused, failed)
    return f"| {' | '.join(map(str, cells))} | {share} |"


def failures(results: Mapping[str, Sequence[Result]]) -> list[str]:
    """List the failures without a known reason, each with the last line that it said."""
    return [
        f"FAILED {part}/{item.name}: {_last_error(item.message)}"
        for part, found in results.items()
        for item in found
        if item.outcome == "failed" and item.excuse is None
    ]


def _last_error(message: str) -> str:
    errors = [line[1:].strip() for line in message.splitlines() if line.startswith("E ")]
    return next((line for line in reversed(errors) if line), message.splitlines()[0])[:200]
