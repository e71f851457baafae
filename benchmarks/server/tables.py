"""The tables of what was measured, and the aims that it is held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.report import format_table
from benchmarks.server.loads import Share
from benchmarks.server.races import RUN, Seconds
from benchmarks.server.trackers import OFFLINE, SERVER, TRACKIO
from benchmarks.server.transfers import COPY, COPY_SYNC, UPLOAD

Rounds = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Aim:
    """What a figure should be.

    Attributes:
        text: What is measured.
        figure: What was measured.
        limit: What it is held against.
        unit: What both are counted in.
        least: Whether the limit is the least that it should be, rather than the most.
    """

    text: str
    figure: float
    limit: float
    unit: str
    least: bool = False


def tabulate_races(seconds: Seconds) -> str:
    """Tabulate who took how long: medians, and medians of the ratios within rounds."""
    rows = []
    for work, taken in seconds.items():
        times = [
            f"{median(taken[label]):.2f}" if label in taken else "-"
            for label in (SERVER, OFFLINE, TRACKIO)
        ]
        ratios = [
            f"{ratio(taken, SERVER, label):.2f}" if label in taken else "-"
            for label in (OFFLINE, TRACKIO)
        ]
        rows.append((work, *times, *ratios))
    header = ("seconds", SERVER, OFFLINE, TRACKIO, "server / offline", "server / trackio")
    return format_table(header, rows)


def tabulate_transfers(seconds: Rounds, megabytes: int) -> str:
    """Tabulate the speed of each kind of transfer, and its share of cp's."""
    rows = [
        (
            kind,
            f"{median(megabytes / each for each in taken):.0f}",
            f"{100 * ratio(seconds, COPY, kind):.0f}%",
            f"{100 * ratio(seconds, COPY_SYNC, kind):.0f}%",
        )
        for kind, taken in seconds.items()
    ]
    return format_table((f"{megabytes} MB", "MB/s", f"of {COPY}", f"of {COPY_SYNC}"), rows)


def tabulate_step(share: Share) -> str:
    """Tabulate what the server had to do with a step."""
    rows = [
        ("the step, without its imports", f"{share.step:.0f}"),
        (f"in which at least one of its {share.count} requests was open", f"{share.requests:.0f}"),
        ("processor time of the server", f"{share.processor:.0f}"),
    ]
    return format_table(("one step of a pipeline", "ms"), rows)


def tabulate_others(rows: Sequence[tuple[str, str]]) -> str:
    """Tabulate what has a row and a figure."""
    return format_table(("the server by itself", ""), rows)


def tabulate_aims(aims: Sequence[Aim]) -> str:
    """Tabulate the aims and whether they hold."""
    rows = []
    for aim in aims:
        holds = aim.figure >= aim.limit if aim.least else aim.figure <= aim.limit
        limit = f"{'at least' if aim.least else 'at most'} {aim.limit:g} {aim.unit}".strip()
        rows.append((aim.text, f"{aim.figure:.2f}", limit, "holds" if holds else "missed"))
    return format_table(("aim", "measured", "limit", ""), rows)


def run_aims(seconds: Seconds) -> list[Aim]:
    """A run should be no slower than offline mode, plus a tenth."""
    taken = seconds[RUN]
    return [Aim("a run / the same in offline mode", ratio(taken, SERVER, OFFLINE), 1.1, "times")]


def transfer_aims(seconds: Rounds) -> list[Aim]:
    """An upload should reach most of the speed of a copy that is on the disk, too."""
    return [Aim("upload / cp, then sync", ratio(seconds, COPY_SYNC, UPLOAD), 0.6, "times", True)]


def ratio(taken: Rounds, one: str, other: str) -> float:
    """Return the median of the ratios of one to the other within rounds."""
    return median(a / b for a, b in zip(taken[one], taken[other], strict=True))
