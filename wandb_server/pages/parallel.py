"""Parallel coordinates: one axis a setting or metric, one line a run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from wandb_server.pages.formats import as_number, cut, short_number
from wandb_server.pages.plots import Mark
from wandb_server.pages.scales import Scale, Tick, fit

_TOP, _BOTTOM = 40.0, 300.0
_WIDTH, _LEAST_GAP, _SIDE = 1000.0, 150.0, 70.0
_SHADES = 9  # of the style sheet: shade-0 for the least of the last axis to shade-8
_WORDS_SHOWN = 12


@dataclass(frozen=True)
class Axis:
    """An axis: its heading, its place from the left and its marks from the top.

    `short` is the part of the heading that stands over it. `scale` says what its ends are; where
    `words` has any, they stand on it evenly.
    """

    heading: str
    short: str
    place: float
    ticks: list[Tick]
    scale: Scale
    words: list[str]


@dataclass(frozen=True)
class Parallel:
    """The whole chart; its axes go from `top` to `bottom`."""

    width: float
    height: float
    top: float
    bottom: float
    axes: list[Axis]
    lines: list[Mark]


@dataclass(frozen=True)
class RunValues:
    """A run's values in the order of the axes; None where it has none."""

    label: str
    url: str
    values: Sequence[Any]


def draw_parallel(headings: Sequence[str], runs: Sequence[RunValues]) -> Parallel:
    """Draw runs as lines over axes; numbers by size, other values in the order of their words.

    The colour of a line goes by its place on the last axis.

    Args:
        headings: Names of the axes, the metric last.
        runs: Those that have all values; others are left out.
    """
    whole = [run for run in runs if all(value is not None for value in run.values)]
    columns = [[run.values[index] for run in whole] for index in range(len(headings))]
    placed = [_place(column) for column in columns]
    places = [column.places for column in placed]
    gap = round(max(_WIDTH / max(len(headings) - 1, 2), _LEAST_GAP))
    axes = [
        Axis(heading, short, _SIDE + index * gap, column.ticks, column.scale, column.words)
        for index, (heading, short, column) in enumerate(
            zip(headings, shorten(headings), placed, strict=True)
        )
    ]
    lines = [
        Mark(
            {"points": " ".join(f"{axis.place},{places[at][row]}" for at, axis in enumerate(axes))},
            round((_BOTTOM - places[-1][row]) / (_BOTTOM - _TOP) * (_SHADES - 1)),
            f"{run.label}: "
            + ", ".join(
                f"{name} {short_number(value)}"
                for name, value in zip(headings, run.values, strict=True)
            ),
            run.url,
        )
        for row, run in enumerate(whole)
    ]
    width = 2 * _SIDE + max(len(headings) - 1, 0) * gap
    return Parallel(width, _BOTTOM + 20, _TOP, _BOTTOM, axes, lines)


def shorten(names: Sequence[str]) -> list[str]:
    """Give of each nested key, such as `forest.max_depth`, as much as no other one ends with."""
    ends = [
        [name, *(name[at + 1 :] for at, letter in enumerate(name) if letter == ".")]
        for name in names
    ]
    counts = Counter(end for own in ends for end in own)
    return [
        next((end for end in reversed(own) if end and counts[end] == 1), own[0]) for own in ends
    ]


def plain(value: Any) -> Any:
    """Give a setting as it can stand on an axis: a finite number, a word, or None."""
    is_plain = value is None or isinstance(value, bool | str) or as_number(value) is not None
    return value if is_plain else str(value)


def _are_numbers(column: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in column)


class _Placed(NamedTuple):
    """A column on its axis; fields as in `Axis`, and where each run's value is."""

    places: list[float]
    ticks: list[Tick]
    scale: Scale
    words: list[str]


def _place(column: Sequence[Any]) -> _Placed:
    if _are_numbers(column):
        scale = fit(column, _BOTTOM, _TOP, may_be_log=True)
        places = [scale.place(value) for value in column]
        return _Placed(places, scale.ticks(5), scale, [])
    words = sorted({short_number(value) for value in column})
    scale = fit(range(len(words)), _BOTTOM, _TOP)
    places = [scale.place(words.index(short_number(value))) for value in column]
    ticks = [Tick(scale.place(index), cut(word, 18)) for index, word in enumerate(words)]
    return _Placed(places, ticks[:_WORDS_SHOWN], scale, words)
