"""Figures of plotly, drawn here from the description that the SDK logs.

plotly's own script weighs 4.8 MB, its package 39 MB: more than this server and all that it
needs. So the common kinds of figures are drawn as the charts of these pages are, without a
script; of any other kind the page says so, and how its own script can be logged beside it.
"""

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from wandb_server.pages.custom_charts import Cell, Matrix
from wandb_server.pages.formats import as_number, short_number
from wandb_server.pages.histograms import count_values
from wandb_server.pages.plots import (
    COLOURS,
    Plot,
    Point,
    Series,
    draw_bars,
    draw_columns,
    draw_mixed,
)
from wandb_server.pages.series import thin_extremes
from wandb_server.pages.stored_json import load_json

_LARGEST = 8 << 20  # bytes
_MOST_TRACES, _MOST_BARS, _MOST_CELLS, _MOST_DOTS = 20, 60, 40, 2_000
_SHADES = 8  # of the style sheet: from cell-0 to cell-8
_FEW = 20  # so many points are marked on a line, unless its mode says otherwise
# How plotly writes arrays of numbers: little-endian, in base64.
_TYPES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "f4": "f", "f8": "d"}

Trace = Mapping[str, Any]


def draw_figure(path: Path) -> Plot | Matrix | None:
    """Draw a figure.

    Args:
        path: Its file, as `run.log` of a figure makes it.

    Returns:
        The chart, titled as the figure is; None for a kind that isn't drawn here, and for a file
        that is gone, too large, or no figure.
    """
    fields = load_json(path, _LARGEST)
    traces = fields.get("data") if isinstance(fields, dict) else None
    if not isinstance(traces, list) or not all(isinstance(trace, dict) for trace in traces):
        return None
    kinds = {str(trace.get("type", "scatter")).removesuffix("gl") for trace in traces}
    # Further axes are those of other panels, or of another scale at the right.
    places = {(trace.get("xaxis", "x"), trace.get("yaxis", "y")) for trace in traces}
    if len(kinds) != 1 or len(places) != 1 or len(traces) > _MOST_TRACES:
        return None
    draw = _KINDS.get(kinds.pop())
    layout = fields.get("layout")
    return draw(traces, layout if isinstance(layout, dict) else {}) if draw else None


def _draw_scatter(traces: Sequence[Trace], layout: Trace) -> Plot | None:
    lines, dots = [], []
    is_time = False
    for index, trace in enumerate(traces):
        y = _numbers(trace.get("y"))
        x, are_times = _places(trace.get("x", list(range(len(y)))))
        both = zip(x, y, strict=False)
        points = [(a, b) for a, b in both if a is not None and b is not None]
        if ("y" in trace and not points) or (index and are_times != is_time):
            return None  # its places are words, or can't be compared
        is_time = are_times
        default = "lines+markers" if len(points) < _FEW else "lines"
        mode = str(trace.get("mode", default))
        label = str(trace.get("name") or f"trace {index}")
        if "lines" in mode:
            lines.append(Series(label, thin_extremes(points), index % COLOURS))
        if "markers" in mode:
            dots.append(Series(label, _thin(points), index % COLOURS))
    if not any(series.points for series in (*lines, *dots)):
        return None
    plot = draw_mixed(_axis(layout, "y"), _axis(layout, "x"), lines, dots, is_time=is_time)
    return _titled(plot, layout)


def _draw_bars(traces: Sequence[Trace], layout: Trace) -> Plot | None:
    """Draw bars below each other; those of several traces for one place stand together."""
    rows: dict[str, list[Series]] = {}
    for index, trace in enumerate(traces):
        is_level = trace.get("orientation") == "h"
        labels, values = (trace.get("y"), trace.get("x")) if is_level else _labelled(trace)
        name = f" · {trace['name']}" if len(traces) > 1 and trace.get("name") else ""
        for label, value in zip(_values(labels), _numbers(values), strict=False):
            if value is not None:
                text = short_number(label)
                bar = Series(text + name, [(value, value)], index % COLOURS)
                rows.setdefault(text, []).append(bar)
    bars = list(chain.from_iterable(rows.values()))
    if not bars or len(bars) > _MOST_BARS:
        return None
    return _titled(draw_bars(_axis(layout, "y"), bars), layout)


def _labelled(trace: Trace) -> tuple[Any, Any]:
    return trace.get("x", list(range(len(_values(trace.get("y")))))), trace.get("y")


def _draw_histogram(traces: Sequence[Trace], layout: Trace) -> Plot | None:
    values = [number for number in _numbers(traces[0].get("x")) if number is not None]
    # Weighted ones, and several over each other, are told apart by what isn't drawn here.
    if len(traces) > 1 or not values or "y" in traces[0]:
        return None
    return _titled(draw_columns("count", _axis(layout, "x"), count_values(values)), layout)


def _draw_heatmap(traces: Sequence[Trace], layout: Trace) -> Matrix | None:
    rows = [_numbers(row) for row in _values(traces[0].get("z"))]
    width = max(map(len, rows), default=0)
    if len(traces) > 1 or not width or max(width, len(rows)) > _MOST_CELLS:
        return None
    numbers = [value for row in rows for value in row if value is not None]
    if not numbers or any(len(row) != width for row in rows):
        return None
    low, span = min(numbers), max(numbers) - min(numbers)
    columns, names = (
        [short_number(name) for name in _values(trace_names)] or list(map(str, range(count)))
        for trace_names, count in ((traces[0].get("x"), width), (traces[0].get("y"), len(rows)))
    )
    cells = [
        (name, [_cell(value, low, span) for value in row])
        for name, row in zip(names, rows, strict=False)
    ]
    said = f"The shade goes from {short_number(low)} to {short_number(low + span)}."
    return Matrix(_title(layout) or "heat map", columns[:width], cells, said)


def _cell(value: float | None, low: float, span: float) -> Cell:
    share = 0.0 if value is None or not span else (value - low) / span
    return Cell(value, round(share * _SHADES))


_KINDS = {
    "scatter": _draw_scatter,
    "bar": _draw_bars,
    "histogram": _draw_histogram,
    "heatmap": _draw_heatmap,
}


def _titled(plot: Plot, layout: Trace) -> Plot:
    return replace(plot, title=_title(layout) or plot.title)


def _title(layout: Trace) -> str:
    return _text(layout.get("title"))


def _axis(layout: Trace, letter: str) -> str:
    axis = layout.get(f"{letter}axis")
    return _text(axis.get("title")) if isinstance(axis, dict) and "title" in axis else letter


def _text(title: object) -> str:
    text = title.get("text") if isinstance(title, dict) else title
    return text if isinstance(text, str) else ""


def _thin(points: Sequence[Point]) -> Sequence[Point]:
    return points[:: math.ceil(len(points) / _MOST_DOTS) or 1]


def _places(value: object) -> tuple[list[float | None], bool]:
    """Read places on an axis: numbers, or times, which the second result tells."""
    values = _values(value)
    if not any(isinstance(item, str) for item in values):
        return _numbers(values), False
    try:
        return [datetime.fromisoformat(str(item)).timestamp() for item in values], True
    except (ValueError, OverflowError):
        return [], False  # words: they have no place between each other


def _numbers(value: object) -> list[float | None]:
    return [as_number(item) for item in _values(value)]


def _values(value: object) -> list[Any]:
    """Read an array in either spelling; rows of rows where it has a shape."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or value.get("dtype") not in _TYPES:
        return []
    found = array(_TYPES[value["dtype"]])
    try:
        found.frombytes(base64.b64decode(str(value.get("bdata")), validate=True))
    except (ValueError, binascii.Error):
        return []  # damaged
    if sys.byteorder == "big":
        found.byteswap()
    shape = [int(part) for part in str(value.get("shape", "")).split(",") if part.strip().isdigit()]
    if len(shape) != 2 or not shape[1]:
        return found.tolist()
    return [found[at : at + shape[1]].tolist() for at in range(0, len(found), shape[1])]
