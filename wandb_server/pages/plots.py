"""Charts as places and paths; the templates draw them as SVG.

Drawn here rather than by a script in the browser: plotly's, tried with this server's
Content-Security-Policy, can't set its styles, and weighs 4.8 MB. These need no script to be
seen, and every mark can be a link.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from wandb_server.pages.formats import short_number
from wandb_server.pages.histograms import SHARES, Histogram, quantile
from wandb_server.pages.scales import Scale, Tick, fit

COLOURS = 10  # of the style sheet: series-0, series-1, ...
WIDTH, HEIGHT = 480.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 14.0, 10.0, 30.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A named line: its points by x, the number of its colour, where its name leads.

    `logged` are the points of a smoothed line as they were before, drawn pale behind it.
    """

    label: str
    points: Sequence[Point]
    colour: int = 0
    url: str | None = None
    logged: Sequence[Point] = ()


@dataclass(frozen=True)
class Mark:
    """A line, dot or bar: its geometry, its colour, what it says and where it leads."""

    shape: dict[str, Any]
    colour: int
    text: str
    url: str | None
    is_pale: bool = False


@dataclass(frozen=True)
class Plot:
    """A chart with two axes; `kind` says what its marks are: lines, dots, bars, columns, bands."""

    title: str
    text: str
    x_label: str
    width: float
    height: float
    frame: tuple[float, float, float, float]
    x: Scale
    y: Scale
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marks: list[Mark]
    kind: str = "lines"
    # Names by colour, where marks of several colours stand for something.
    legend: Sequence[tuple[int, str]] = ()


def draw_lines(title: str, x_label: str, series: Sequence[Series]) -> Plot:
    """Draw lines over a common x axis.

    Args:
        title: What the y axis shows.
        x_label: What the x axis shows; `_timestamp` makes it one of times.
        series: At least one point among them.
    """
    # Smoothed points lie between the logged ones: the axes stay the same.
    points = [point for line in series for point in line.logged or line.points]
    x, y = _axes(points, x_label == "_timestamp")
    pale = [replace(line, points=line.logged) for line in series if line.logged]
    marks = [replace(mark, is_pale=True) for mark in _line_marks(x, y, pale)]
    return _plot(title, _say(title, series), x_label, x, y, marks + _line_marks(x, y, series))


def draw_mixed(
    title: str, x_label: str, lines: Sequence[Series], dots: Sequence[Series], *, is_time: bool
) -> Plot:
    """Draw lines and dots on common axes, with a legend if they are of several names.

    Args:
        title: What the y axis shows.
        x_label: What the x axis shows.
        lines: The lines.
        dots: Points that are marked; at least one point among them and those of the lines.
        is_time: The x of the points are seconds since 1970.
    """
    x, y = _axes([point for line in (*lines, *dots) for point in line.points], is_time)
    marks = _line_marks(x, y, lines)
    marks += [
        Mark(
            {"x": x.place(a), "y": y.place(b)},
            series.colour,
            f"{series.label}: {short_number(a)}, {short_number(b)}",
            None,
        )
        for series in dots
        for a, b in series.points
    ]
    names = {series.colour: series.label for series in (*lines, *dots)}
    plot = _plot(title, _say(title, lines or dots), x_label, x, y, marks, "mixed")
    return replace(plot, legend=sorted(names.items()) if len(names) > 1 else ())


def draw_dots(title: str, x_label: str, series: Sequence[Series]) -> Plot:
    """Draw the points of each series as dots, each with a text and a link of its own."""
    points = [point for line in series for point in line.points]
    x = fit((a for a, _ in points), _LEFT, WIDTH - _RIGHT, may_be_log=True)
    y = fit((b for _, b in points), HEIGHT - _BOTTOM, _TOP)
    marks = [
        Mark(
            {"x": x.place(a), "y": y.place(b)},
            line.colour,
            f"{line.label}: {short_number(a)}, {short_number(b)}",
            line.url,
        )
        for line in series
        for a, b in line.points
    ]
    return _plot(
        title, f"{title} over {x_label}: {len(marks)} points.", x_label, x, y, marks, "dots"
    )


def draw_bars(title: str, values: Sequence[Series]) -> Plot:
    """Draw one bar a series, from 0 to the y of its first point, below each other.

    The numbers stand beside them: from 0 on, those of good models look alike.
    """
    row = 22.0
    height = _TOP + row * len(values) + _BOTTOM
    left, right = 150.0, WIDTH - _RIGHT - 56.0
    x = fit([0.0, *(line.points[0][1] for line in values)], left, right)
    y = Scale(0, max(len(values), 1), _TOP, height - _BOTTOM)
    marks = []
    for index, line in enumerate(values):
        value = short_number(line.points[0][1])
        ends = sorted((x.place(0), x.place(line.points[0][1])))
        shape = {
            "x": ends[0],
            "y": y.place(index) + 3,
            "width": max(ends[1] - ends[0], 1),
            "height": row - 6,
            "label": line.label,
            "value": value,
        }
        marks.append(Mark(shape, line.colour, f"{line.label}: {value}", line.url))
    text = f"{title}: {len(values)} bars."
    frame = (left, _TOP, right, height - _BOTTOM)
    return Plot(title, text, "", WIDTH, height, frame, x, y, x.ticks(4), [], marks, "bars")


def draw_columns(title: str, x_label: str, found: Histogram) -> Plot:
    """Draw a histogram as columns that stand side by side."""
    x = fit(found.edges, _LEFT, WIDTH - _RIGHT)
    y = fit([0.0, *found.counts], HEIGHT - _BOTTOM, _TOP)
    floor = y.place(0)
    marks = []
    for (low, high), count in zip(pairwise(found.edges), found.counts, strict=True):
        left, top = x.place(low), y.place(count)
        width = max(round(x.place(high) - left - 0.6, 1), 0.4)
        shape = {"x": left, "y": top, "width": width, "height": round(floor - top, 1)}
        if count:
            text = f"{short_number(low)} to {short_number(high)}: {short_number(count)}"
            marks.append(Mark(shape, 0, text, None))
    total = short_number(sum(found.counts))
    ends = " to ".join(short_number(found.edges[at]) for at in (0, -1))
    text = f"{title}: {total} values from {ends}."
    return _plot(title, text, x_label, x, y, marks, "columns")


def draw_bands(title: str, course: Sequence[tuple[float, Histogram]]) -> Plot:
    """Draw how a histogram changed: its median, and bands that hold 50 and 90 % of the values.

    Args:
        title: What the histograms are of.
        course: At least one histogram, each with its step, in order.
    """
    rows = [(step, [quantile(found, share) for share in SHARES]) for step, found in course]
    x, y = _axes([(step, value) for step, values in rows for value in values], is_time=False)
    lines = [
        [f"{x.place(step)},{y.place(values[index])}" for step, values in rows]
        for index in range(len(SHARES))
    ]
    shapes = [
        (" ".join(lines[0] + lines[4][::-1]), "90 % of the values"),
        (" ".join(lines[1] + lines[3][::-1]), "50 % of the values"),
        (" ".join(lines[2]), "median"),
    ]
    marks = [Mark({"points": points}, 0, text, None) for points, text in shapes]
    first, last = (short_number(rows[at][1][2]) for at in (0, -1))
    text = f"{title} over {len(rows)} steps: the median goes from {first} to {last}."
    return _plot(title, text, "_step", x, y, marks, "bands")


def _axes(points: Sequence[Point], is_time: bool) -> tuple[Scale, Scale]:
    x = fit((a for a, _ in points), _LEFT, WIDTH - _RIGHT, is_time=is_time)
    y = fit((b for _, b in points), HEIGHT - _BOTTOM, _TOP)
    return x, y


def _line_marks(x: Scale, y: Scale, series: Sequence[Series]) -> list[Mark]:
    marks = []
    for line in series:
        places = [(x.place(a), y.place(b)) for a, b in line.points]
        shape: dict[str, Any] = {"points": " ".join(f"{a},{b}" for a, b in places)}
        if len(places) == 1:
            shape |= {"x": places[0][0], "y": places[0][1]}  # a line of one point isn't seen
        marks.append(Mark(shape, line.colour, line.label, line.url))
    return marks


def _plot(
    title: str,
    text: str,
    x_label: str,
    x: Scale,
    y: Scale,
    marks: list[Mark],
    kind: str = "lines",
) -> Plot:
    frame = (_LEFT, _TOP, WIDTH - _RIGHT, HEIGHT - _BOTTOM)
    ticks = x.ticks(5), y.ticks(5)
    return Plot(title, text, x_label, WIDTH, HEIGHT, frame, x, y, *ticks, marks, kind)


def _say(title: str, series: Sequence[Series]) -> str:
    """Say in words what the lines show, for who doesn't see them."""
    said = []
    for line in series:
        if line.points:
            values = [b for _, b in line.logged or line.points]
            low, high, last = map(short_number, (min(values), max(values), values[-1]))
            smoothed = f", smoothed {short_number(line.points[-1][1])}" if line.logged else ""
            said.append(f"{line.label} from {low} to {high}, at last {last}{smoothed}")
    return f"{title}: {'; '.join(said)}."
