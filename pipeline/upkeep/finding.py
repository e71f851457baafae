"""What the doctor finds, and how it is told."""

import textwrap
from dataclasses import dataclass
from enum import Enum

_WIDTH = 100
_NAME = 16  # columns


class Grade(Enum):
    """How much something matters; the value is the color that a terminal shows it in."""

    ok = 32
    warn = 33
    fail = 31


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        grade: `fail` would stop a run, `warn` wouldn't.
        name: What was looked at, in a word or two.
        said: How it is.
        mend: What to do, best a command; empty if nothing need be done.
    """

    grade: Grade
    name: str
    said: str
    mend: str = ""


def ok(name: str, said: str) -> Finding:
    """Return a finding that needs nothing to be done."""
    return Finding(Grade.ok, name, said)


def warn(name: str, said: str, mend: str) -> Finding:
    """Return a finding that wouldn't stop a run."""
    return Finding(Grade.warn, name, said, mend)


def fail(name: str, said: str, mend: str) -> Finding:
    """Return a finding that would stop a run."""
    return Finding(Grade.fail, name, said, mend)


def format_finding(finding: Finding, *, colored: bool) -> str:
    """Return a finding as aligned lines: the grade as a word, the name, how it is, how to mend it.

    Args:
        finding: What was found.
        colored: Whether the grade is to have a color as well.
    """
    word = f"{finding.grade.name:<6}"
    said = _wrap(finding.said)
    mend = [f"-> {finding.mend}"] if finding.mend else []  # one line, to be copied
    first, *rest = [*said, *mend]
    shown = f"\x1b[{finding.grade.value}m{word}\x1b[0m" if colored else word
    indent = " " * (len(word) + _NAME)
    return "\n".join([f"{shown}{finding.name:<{_NAME}}{first}", *(indent + line for line in rest)])


def _wrap(text: str) -> list[str]:
    """Break a text into lines, but never a path or a command word."""
    return [
        line
        for paragraph in text.split("\n")
        for line in textwrap.wrap(
            paragraph,
            _WIDTH - _NAME,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


def conclude(findings: list[Finding]) -> str:
    """Sum findings up in one sentence."""
    count = {grade: [item.grade for item in findings].count(grade) for grade in Grade}
    failures, warnings = count[Grade.fail], count[Grade.warn]
    told = f"{failures} would stop a run" if failures else "Nothing would stop a run"
    if warnings:
        told += f"; {warnings} thing{'s' if warnings > 1 else ''} to know"
    return f"{told}."
