"""The charts of `wandb.plot`, drawn from the tables that they were logged as.

The SDK logs a table, and into the run's config which of W&B's presets shows it. W&B draws
them from Vega specifications that it keeps; what the presets mean is written here anew.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from wandb_server.pages.formats import as_number, short_number
from wandb_server.pages.histograms import count_values
from wandb_server.pages.logged import sdk_notes
from wandb_server.pages.plots import (
    COLOURS,
    Plot,
    Series,
    draw_bars,
    draw_columns,
    draw_dots,
    draw_lines,
    draw_mixed,
)
from wandb_server.pages.series import thin_extremes

_MOST_LINES, _MOST_BARS, _MOST_CLASSES, _MOST_DOTS = 20, 60, 40, 2_000
_COLOURED = ("color", "colour", "stroke", "series", "group", "class")  # fields that name colours
_SHADES = 9  # of the style sheet: cell-0 for nothing to cell-8 for all of a row
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Preset:
    """What the SDK said of a chart: its title, a preset such as `wandb/line/v0`, columns, words."""

    title: str
    name: str
    fields: Mapping[str, str]
    words: Mapping[str, str]


@dataclass(frozen=True)
class Cell:
    """A number of a matrix or None, and how strongly it is shaded: from 0 to 8."""

    value: float | None
    shade: int


@dataclass(frozen=True)
class Matrix:
    """Numbers in rows and columns; `said` is what its rows, columns and shades mean."""

    kind: ClassVar[str] = "matrix"
    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    said: str


def read_presets(config: str) -> dict[str, Preset]:
    """Read from a run's config which charts it logged.

    Args:
        config: JSON text as stored.

    Returns:
        The presets by the keys under which the tables were logged.
    """
    charts = sdk_notes(config).get("visualize")
    found: dict[str, Preset] = {}
    for key, chart in charts.items() if isinstance(charts, dict) else ():
        panel = chart.get("panel_config") if isinstance(chart, dict) else None
        if isinstance(panel, dict):
            words = _texts(panel.get("stringSettings"))
            preset = Preset(
                words.get("title") or key,
                str(panel.get("panelDefId")),
                _texts(panel.get("fieldSettings")),
                words,
            )
            for name in (f"{key}_table", f"Custom Chart Tables/{key}_table"):
                found[name] = preset
    return found


def _texts(value: object) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {str(name): text for name, text in pairs if isinstance(text, str)}


def draw_preset(
    preset: Preset, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Plot | Matrix | None:
    """Draw a chart of `wandb.plot`.

    Args:
        preset: From `read_presets`.
        columns: Headings of the logged table.
        rows: Its rows.

    Returns:
        The chart; None for a preset that isn't known here, and where the table doesn't fit it.
    """
    draw = _PRESETS.get(preset.name.rpartition("/")[0])
    if draw is None:
        return None
    whole = [dict(zip(columns, row, strict=False)) for row in rows]
    return draw(preset, whole)


def draw_mapped(
    preset: Preset, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Plot | None:
    """Draw the columns that a preset of one's own maps to x and y, and to color if it does.

    How W&B draws them stands in a specification that only its cloud keeps. Lines, where each
    has its points in ascending order of x; else dots.

    Args:
        preset: From `read_presets`.
        columns: Headings of the logged table.
        rows: Its rows.

    Returns:
        The chart; None where the preset maps no two columns of numbers.
    """
    x, y = preset.fields.get("x", ""), preset.fields.get("y", "")
    if x not in columns or y not in columns:
        return None
    by = next((preset.fields[name] for name in _COLOURED if name in preset.fields), None)
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in (dict(zip(columns, row, strict=False)) for row in rows):
        if (a := as_number(row.get(x))) is not None and (b := as_number(row.get(y))) is not None:
            lines.setdefault(short_number(row.get(by)) if by else y, []).append((a, b))
    if not lines or len(lines) > _MOST_LINES:
        return None
    ascending = all(
        a[0] < b[0] for points in lines.values() for a, b in itertools.pairwise(points)
    ) and all(len(points) > 1 for points in lines.values())
    stride = 1 if ascending else math.ceil(sum(map(len, lines.values())) / _MOST_DOTS)
    series = [
        Series(name, thin_extremes(points) if ascending else points[::stride], index % COLOURS)
        for index, (name, points) in enumerate(lines.items())
    ]
    both = (series, []) if ascending else ([], series)
    return draw_mixed(y, x, *both, is_time=False)


def _lines(preset: Preset, rows: Rows) -> Plot | None:
    return _draw_lines(preset, rows, preset.fields.get("stroke"))


def _curves(preset: Preset, rows: Rows) -> Plot | None:
    return _draw_lines(preset, rows, preset.fields.get("class"))


def _line_series(preset: Preset, rows: Rows) -> Plot | None:
    fields = preset.fields
    renamed = replace(
        preset,
        fields={"x": fields.get("step", "step"), "y": fields.get("lineVal", "lineVal")},
        words={**preset.words, "x-axis-title": preset.words.get("xname", "")},
    )
    return _draw_lines(renamed, rows, fields.get("lineKey", "lineKey"))


def _draw_lines(preset: Preset, rows: Rows, by: str | None) -> Plot | None:
    """Draw a line for each value of a column, of which at most 20; their points sorted by x."""
    x, y = preset.fields.get("x", "x"), preset.fields.get("y", "y")
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if (a := as_number(row.get(x))) is not None and (b := as_number(row.get(y))) is not None:
            lines.setdefault(short_number(row.get(by)) if by else y, []).append((a, b))
    series = [
        Series(label, thin_extremes(sorted(points, key=lambda point: point[0])), index % COLOURS)
        for index, (label, points) in enumerate(lines.items())
    ][:_MOST_LINES]
    if not series:
        return None
    y_label = preset.words.get("y-axis-title") or y
    return draw_lines(y_label, preset.words.get("x-axis-title") or x, series)


def _dots(preset: Preset, rows: Rows) -> Plot | None:
    x, y = preset.fields.get("x", "x"), preset.fields.get("y", "y")
    pairs = [(as_number(row.get(x)), as_number(row.get(y))) for row in rows]
    points = [(a, b) for a, b in pairs if a is not None and b is not None]
    stride = math.ceil(len(points) / _MOST_DOTS) or 1
    return draw_dots(y, x, [Series(y, points[::stride])]) if points else None


def _bars(preset: Preset, rows: Rows) -> Plot | None:
    label, value = preset.fields.get("label", "label"), preset.fields.get("value", "value")
    pairs = [(short_number(row.get(label)), as_number(row.get(value))) for row in rows]
    bars = [Series(name, [(size, size)]) for name, size in pairs if size is not None]
    return draw_bars(value, bars[:_MOST_BARS]) if bars else None


def _histogram(preset: Preset, rows: Rows) -> Plot | None:
    column = preset.fields.get("value", "value")
    numbers = [as_number(row.get(column)) for row in rows]
    values = [number for number in numbers if number is not None]
    return draw_columns("count", column, count_values(values)) if values else None


def _matrix(preset: Preset, rows: Rows) -> Matrix | None:
    """Lay counts out by actual and predicted class; shades are shares of a row."""
    actual, predicted, count = (
        preset.fields.get(name, name) for name in ("Actual", "Predicted", "nPredictions")
    )
    counts: dict[tuple[str, str], float] = {}
    names: dict[str, None] = {}
    for row in rows:
        pair = short_number(row.get(actual)), short_number(row.get(predicted))
        counts[pair] = counts.get(pair, 0.0) + (as_number(row.get(count)) or 0.0)
        names |= dict.fromkeys(pair)
    if not counts or len(names) > _MOST_CLASSES:
        return None
    rows_shown = [
        (name, _cells([counts.get((name, other), 0.0) for other in names])) for name in names
    ]
    said = "Rows: the actual class. Columns: the predicted one. The shade is the share of the row."
    return Matrix("Actual by predicted class", list(names), rows_shown, said)


def _cells(counts: Sequence[float]) -> list[Cell]:
    total = sum(max(count, 0.0) for count in counts) or 1.0
    return [Cell(count, round(max(count, 0.0) / total * (_SHADES - 1))) for count in counts]


_PRESETS: dict[str, Callable[[Preset, Rows], Plot | Matrix | None]] = {
    "wandb/line": _lines,
    "wandb/lineseries": _line_series,
    "wandb/area-under-curve": _curves,
    "wandb/scatter": _dots,
    "wandb/bar": _bars,
    "wandb/histogram": _histogram,
    "wandb/confusion_matrix": _matrix,
}
