"""Figures of plotly, drawn from what the SDK logs of them."""

import json
import struct
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from wandb_server.pages.custom_charts import Matrix
from wandb_server.pages.plotly_figures import draw_figure
from wandb_server.pages.plots import Plot


def packed(code: str, values: list[float], **more: str) -> dict[str, str]:
    """Spell numbers as plotly 6 and later do."""
    content = struct.pack(f"<{len(values)}{ {'f8': 'd', 'i1': 'b'}[code] }", *values)
    return {"dtype": code, "bdata": b64encode(content).decode(), **more}


def drawn(folder: Path, traces: Any, **layout: Any) -> Plot | Matrix | None:
    path = folder / "figure.plotly.json"
    path.write_text(json.dumps({"data": traces, "layout": layout}))
    return draw_figure(path)


def test_lines_and_dots_have_the_figure_s_title_axes_and_names(tmp_path: Path) -> None:
    traces = [
        {"type": "scattergl", "mode": "markers", "name": "seen", "x": packed("f8", [0, 1, 2]),
         "y": packed("i1", [5, 7, 6])},
        {"type": "scatter", "mode": "lines", "name": "fitted", "x": [0, 2], "y": [5.5, None]},
    ]  # fmt: skip
    titles = {"title": {"text": "Fit"}, "xaxis": {"title": {"text": "hours"}}}
    plot = drawn(tmp_path, traces, **titles)
    assert isinstance(plot, Plot)
    assert (plot.title, plot.x_label) == ("Fit", "hours")
    assert plot.legend == [(0, "seen"), (1, "fitted")]
    assert [mark.text for mark in plot.marks] == [
        *("fitted", "seen: 0, 5", "seen: 1, 7", "seen: 2, 6")
    ]


def test_points_over_dates_stand_at_their_times(tmp_path: Path) -> None:
    days = ["2024-01-01", "2024-07-01T12:00:00", "2026-01-01"]
    plot = drawn(tmp_path, [{"x": days, "y": [1, 2, 3], "mode": "lines"}])
    assert isinstance(plot, Plot)
    assert plot.x.is_time
    assert all(tick.text.startswith("202") for tick in plot.x_ticks)


def test_bars_of_several_traces_stand_together_by_place(tmp_path: Path) -> None:
    traces = [
        {"type": "bar", "name": "2025", "x": ["a", "b"], "y": [1, 2]},
        {"type": "bar", "name": "2026", "x": ["a", "b"], "y": [3, 4]},
    ]
    plot = drawn(tmp_path, traces)
    assert isinstance(plot, Plot)
    said = ["a · 2025: 1", "a · 2026: 3", "b · 2025: 2", "b · 2026: 4"]
    assert [mark.text for mark in plot.marks] == said
    assert [mark.colour for mark in plot.marks] == [0, 1, 0, 1]


def test_histograms_are_counted_here(tmp_path: Path) -> None:
    plot = drawn(tmp_path, [{"type": "histogram", "x": [1, 2, 2, 3]}])
    assert isinstance(plot, Plot)
    assert plot.text.startswith("count: 4 values from 1 to 3")


def test_heat_maps_are_shaded_from_the_least_to_the_greatest(tmp_path: Path) -> None:
    z = packed("f8", [0, 1, 2, 4], shape="2, 2")
    found = drawn(tmp_path, [{"type": "heatmap", "z": z, "x": ["p", "q"]}])
    assert isinstance(found, Matrix)
    assert (found.columns, found.said) == (["p", "q"], "The shade goes from 0 to 4.")
    cells = {name: [(cell.value, cell.shade) for cell in row] for name, row in found.rows}
    assert cells == {"0": [(0, 0), (1, 2)], "1": [(2, 4), (4, 8)]}


@pytest.mark.parametrize(
    "traces",
    [
        [{"type": "surface", "z": [[1]]}],
        [{"type": "scatter", "x": ["red", "blue"], "y": [1, 2]}],
        [{"type": "scatter", "y": [1]}, {"type": "bar", "y": [1]}],
        [{"type": "scatter", "y": [1]}, {"type": "scatter", "y": [1], "yaxis": "y2"}],
        [{"type": "scatter", "y": [1]}, {"type": "scatter", "x": ["2024-01-01"], "y": [1]}],
        [{"type": "scatter", "y": {"dtype": "f8", "bdata": "damaged"}}],
        [{"type": "heatmap", "z": [[1, 2], [3]]}],
        [{"type": "histogram", "x": ["a", "b"]}],
        [{"type": "scatter", "x": {"dtype": "O"}, "y": "text"}],
        [{"type": "bar", "x": 3, "y": None}],
        ["text"],
        "text",
        [],
    ],
)
def test_what_can_t_be_drawn_faithfully_is_left_to_plotly(tmp_path: Path, traces: Any) -> None:
    assert drawn(tmp_path, traces) is None


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"data": {}}', "[" * 100_000])
def test_a_file_that_is_no_figure_is_passed_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "figure.plotly.json"
    path.write_text(content)
    assert draw_figure(path) is None
    assert draw_figure(tmp_path / "gone.plotly.json") is None
