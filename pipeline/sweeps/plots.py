"""The plots of a sweep."""

import io
import re
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from pipeline.sweeps.ranking import Sweep, value_of, varying
from pipeline.sweeps.scales import Scale, make_scale

# Light for the worst, dark for the best: this much of the palette shows on white.
_COLOURS = ListedColormap(mpl.colormaps["viridis_r"](np.linspace(0.1, 1, 64)))
_INK, _QUIET = "#1f2937", "#9ca3af"


def draw_parallel_coordinates(sweep: Sweep) -> Figure:
    """Draw one line a trial across one axis a parameter, to its score on the last axis.

    The best trial's line is thick and on top. In the SVG, lines have the id `trial-<number>`.

    Args:
        sweep: At least one of its trials has a score.
    """
    trials, names = sweep.scored, varying(sweep.trials)
    scores = [trial.score or 0.0 for trial in trials]
    scales = [make_scale([value_of(trial, key) for trial in trials]) for key in names]
    last, titles = make_scale(scores), [*names.values(), sweep.metric]
    figure = Figure(figsize=(max(6.5, 2.0 * len(titles)), 4.6), dpi=110, layout="constrained")
    axes = figure.add_subplot(xlim=(-0.15, len(titles) - 0.55), ylim=(-0.05, 1.12))
    axes.set_axis_off()
    palette = _COLOURS if sweep.maximize else _COLOURS.reversed()
    shades = ScalarMappable(Normalize(min(scores), max(scores)), palette)
    colours = shades.to_rgba(np.asarray(scores))
    for trial, score, colour in zip(trials, scores, colours, strict=True):
        given = [value_of(trial, key) for key in names]
        heights = [scale.heights[value] for scale, value in zip(scales, given, strict=True)]
        is_best = trial is sweep.best
        (line,) = axes.plot(
            range(len(titles)),
            [*heights, last.heights[score]],
            color=colour,
            linewidth=3.5 if is_best else 1.5,
            zorder=3 if is_best else 2,
        )
        line.set_gid(f"trial-{trial.number}")
    for position, (title, scale) in enumerate(zip(titles, [*scales, last], strict=True)):
        _draw_axis(axes, position, title, scale)
    return figure


def _draw_axis(axes: Axes, position: int, title: str, scale: Scale) -> None:
    axes.plot([position, position], [0, 1], color=_INK, linewidth=1, zorder=4)
    axes.text(position, 1.07, title, ha="center", color=_INK, fontsize=10, fontweight="bold")
    for height, text in scale.ticks:
        axes.plot([position - 0.02, position], [height, height], color=_INK, linewidth=1, zorder=4)
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1}
        axes.text(
            position + 0.03, height, text, va="center", color=_INK, fontsize=8, bbox=box, zorder=5
        )


def draw_importances(importances: dict[str, float], caption: str) -> Figure:
    """Draw one bar a parameter, in the order given, from top to bottom.

    Args:
        importances: Shares by name.
        caption: How they were measured.
    """
    figure = Figure(figsize=(6.5, 1.4 + 0.4 * len(importances)), dpi=110, layout="constrained")
    axes = figure.add_subplot(xlim=(0, 1.12 * max(importances.values())))
    bars = axes.barh(list(importances), list(importances.values()), color="#31688e", height=0.6)
    axes.bar_label(bars, fmt="{:.0%}", padding=4, color=_INK)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.tick_params(left=False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xlabel(caption, color=_QUIET, fontsize=8)
    return figure


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    file = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(file)
    return file.getvalue()


def to_svg(figure: Figure) -> str:
    """Return a figure as an `<svg>` element that asks for nothing from elsewhere."""
    file = io.StringIO()
    # Texts as texts, and ids that are the same each time.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sweep"}):
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(file, metadata={"Date": None})
    text = file.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
