"""What runs log besides numbers: the charts of `wandb.plot`, histograms, files of media."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from wandb_server.pages.custom_charts import (
    Matrix,
    Preset,
    draw_mapped,
    draw_preset,
    read_presets,
)
from wandb_server.pages.histograms import Histogram, count_values, quantile, read_histogram
from wandb_server.pages.logged import paths_of
from wandb_server.pages.plots import Plot, draw_bands, draw_columns


def preset(name: str, words: dict[str, str] | None = None, **fields: str) -> Preset:
    return Preset("title", f"wandb/{name}", fields, words or {})


def drawn(told: Preset, columns: list[str], rows: Sequence[list[Any]]) -> Plot:
    plot = draw_preset(told, columns, rows)
    assert isinstance(plot, Plot)
    return plot


def test_lines_are_told_apart_by_a_column_and_sorted_by_x() -> None:
    told = preset("line/v0", x="step", y="value", stroke="name")
    rows: list[list[Any]] = [
        [2, 1.0, "a"],
        [1, 3.0, "a"],
        [1, 5.0, "b"],
        [9, None, "b"],
        ["x", 1, "c"],
    ]
    plot = drawn(told, ["step", "value", "name"], rows)
    assert plot.text == "value: a from 1 to 3, at last 1; b from 5 to 5, at last 5."
    assert (plot.kind, plot.x_label) == ("lines", "step")


def test_roc_curves_have_the_words_that_the_sdk_gave_their_axes() -> None:
    words = {"x-axis-title": "False positive rate", "y-axis-title": "True positive rate"}
    told = preset("area-under-curve/v0", words, x="fpr", y="tpr", **{"class": "class"})
    plot = drawn(told, ["class", "fpr", "tpr"], [["dnb", 0, 0], ["dnb", 1, 1]])
    assert (plot.title, plot.x_label) == ("True positive rate", "False positive rate")
    assert [mark.text for mark in plot.marks] == ["dnb"]


@pytest.mark.parametrize(
    ("told", "kind", "text"),
    [
        (preset("scatter/v0", x="x", y="y"), "dots", "y over x: 3 points."),
        (preset("bar/v0", label="name", value="y"), "bars", "y: 3 bars."),
        (preset("histogram/v0", value="y"), "columns", "count: 3 values from 1 to 4.2."),
        (
            preset("lineseries/v0", {"xname": "time"}, step="x", lineKey="name", lineVal="y"),
            "lines",
            "y: a from 1 to 1, at last 1; b from 2 to 4, at last 4.",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Preset) else None,
)
def test_each_preset_is_drawn_of_its_columns(told: Preset, kind: str, text: str) -> None:
    plot = drawn(told, ["x", "y", "name"], [[0, 1, "a"], [1, 2, "b"], [2, 4, "b"]])
    assert (plot.kind, plot.text) == (kind, text)
    assert all(mark.url is None for mark in plot.marks)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([[0, 1, "a"], [1, 2, "a"], [0, 5, "b"], [1, 6, "b"]], "y: a from 1 to 2"),
        ([[1, 1, "a"], [0, 2, "a"], [0, 5, "b"]], "y: a from 1 to 2"),
    ],
)
def test_columns_that_a_preset_of_one_s_own_maps_are_drawn(
    rows: list[list[Any]], text: str
) -> None:
    told = Preset("title", "me/own/v0", {"x": "x", "y": "y", "color": "name"}, {})
    plot = draw_mapped(told, ["x", "y", "name"], rows)
    assert plot is not None
    assert plot.text.startswith(text)
    are_lines = ["points" in mark.shape for mark in plot.marks]
    assert are_lines == ([True, True] if len(rows) == 4 else [False] * 3)
    assert plot.legend == [(0, "a"), (1, "b")]
    assert draw_mapped(Preset("title", "me/own/v0", {"x": "x"}, {}), ["x", "y"], rows) is None


def test_a_confusion_matrix_is_shaded_by_the_share_of_its_row() -> None:
    fields = {name: name for name in ("Actual", "Predicted", "nPredictions")}
    rows = [["a", "a", 3], ["a", "b", 1], ["b", "a", 0], ["b", "b", 50]]
    found = draw_preset(preset("confusion_matrix/v1", {}, **fields), list(fields), rows)
    assert isinstance(found, Matrix)
    assert found.columns == ["a", "b"]
    cells = {name: [(cell.value, cell.shade) for cell in row] for name, row in found.rows}
    assert cells == {"a": [(3, 6), (1, 2)], "b": [(0, 0), (50, 8)]}


@pytest.mark.parametrize(
    ("name", "columns", "rows"),
    [
        ("line/v0", ["x", "y"], []),
        ("line/v0", ["a", "b"], [[1, 2]]),
        ("scatter/v0", ["x", "y"], [["one", "two"], [True, False], [float("nan"), 10**400]]),
        ("bar/v0", ["label", "value"], [["a", None]]),
        ("histogram/v0", ["value"], [["a"]]),
        ("confusion_matrix/v1", ["Actual"], []),
        ("confusion_matrix/v1", ["Actual", "Predicted"], [[n, n] for n in range(99)]),
        ("unheard-of/v0", ["x", "y"], [[1, 2]]),
    ],
)
def test_a_table_that_does_not_fit_its_preset_stays_a_table(
    name: str, columns: list[str], rows: list[list[Any]]
) -> None:
    assert draw_preset(preset(name), columns, rows) is None


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        '{"_wandb": 3}',
        '{"_wandb": {"value": {"visualize": {"a": {"panel_config": 1}}}}}',
    ],
)
def test_a_config_without_charts_has_none(config: str) -> None:
    assert read_presets(config) == {}


def test_a_chart_s_table_has_one_of_two_names() -> None:
    panel = {"panelDefId": "wandb/bar/v0", "fieldSettings": {"label": "a", "stroke": None}}
    config = {"_wandb": {"value": {"visualize": {"bars": {"panel_config": panel}}}}}
    found = read_presets(json.dumps(config))
    assert set(found) == {"bars_table", "Custom Chart Tables/bars_table"}
    assert found["bars_table"] == Preset("bars", "wandb/bar/v0", {"label": "a"}, {})


def test_a_logged_histogram_is_read_in_both_spellings() -> None:
    packed = {"packedBins": {"min": 0, "size": 0.5, "count": 2}}
    for edges in ({"bins": [0, 0.5, 1.0]}, packed):
        found = read_histogram({"_type": "histogram", "values": [1, 3], **edges})
        assert found == Histogram([0, 0.5, 1.0], [1, 3])


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"_type": "image-file", "path": "x.png"},
        {"_type": "histogram", "values": [1]},
        {"_type": "histogram", "values": [1], "bins": [0]},
        {"_type": "histogram", "values": [0], "bins": [0, 1]},
        {"_type": "histogram", "values": [-1, 5], "bins": [0, 1, 2]},
        {"_type": "histogram", "values": [1, 5], "bins": [0, 2, 1]},
        {"_type": "histogram", "values": ["NaN"], "bins": [0, 1]},
        {"_type": "histogram", "values": [1], "bins": [0, 10**400]},
        {"_type": "histogram", "values": [], "bins": []},
    ],
)
def test_what_is_no_histogram_is_passed_over(value: dict[str, Any]) -> None:
    assert read_histogram(value) is None


def test_many_bins_are_joined_and_no_value_is_lost() -> None:
    value = {"_type": "histogram", "values": [1] * 500, "bins": list(range(501))}
    found = read_histogram(value)
    assert found is not None
    assert (len(found.counts), sum(found.counts)) == (63, 500)
    assert (found.edges[0], found.edges[-1]) == (0, 500)


@pytest.mark.parametrize("values", [[1.0], [0.1, 0.3], [-1e308, 1e308], [5e-324, 0.0], [-3, 17]])
def test_any_numbers_are_counted_between_ascending_edges(values: list[float]) -> None:
    found = count_values(values)
    assert sum(found.counts) == len(values)
    assert 1 <= len(found.counts) <= 50
    assert all(low < high for low, high in zip(found.edges, found.edges[1:], strict=False))
    assert found.edges[0] <= min(values) <= max(values) <= found.edges[-1]
    assert draw_columns("count", "x", found).marks


def test_quantiles_lie_within_the_bins_that_hold_them() -> None:
    found = Histogram([0, 1, 2, 10], [2, 0, 2])
    assert [quantile(found, share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)] == [0, 0.5, 1, 6, 10]


def test_bands_say_how_the_median_moved() -> None:
    course = [(0.0, Histogram([0, 2], [4])), (5.0, Histogram([4, 6], [1]))]
    plot = draw_bands("weights", course)
    assert plot.text == "weights over 2 steps: the median goes from 1 to 5."
    assert len(plot.marks) == 3


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({"_type": "image-file", "path": "a.png", "caption": "one"}, [("a.png", "one")]),
        (
            {"_type": "images/separated", "filenames": ["a", "b"], "captions": ["one"]},
            [("a", "one"), ("b", "")],
        ),
        ({"_type": "html", "html": [{"path": "a.html"}, 3]}, [("a.html", "")]),
        ({"_type": "histogram", "bins": [1]}, []),
    ],
)
def test_the_files_of_a_logged_value_are_found(
    value: dict[str, Any], paths: list[tuple[str, str]]
) -> None:
    assert paths_of(value) == paths
