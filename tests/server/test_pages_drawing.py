"""Drawings of the pages: axes, thinned lines, graphs from left to right, influences."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import pytest

from benchmarks.filling import Size, fill
from wandb_server.artifact.lookups import find_membership
from wandb_server.database import Database
from wandb_server.lines import HISTORY, store_lines
from wandb_server.pages.addresses import with_query
from wandb_server.pages.importance import rank_influences
from wandb_server.pages.layout import NODE_HEIGHT, NODE_WIDTH, arrange
from wandb_server.pages.lineage_graph import read_lineage
from wandb_server.pages.parallel import RunValues, draw_parallel, shorten
from wandb_server.pages.plots import Series, draw_bars, draw_lines
from wandb_server.pages.rendering import Renderer
from wandb_server.pages.scales import fit
from wandb_server.pages.series import defined_axes, numeric_keys, read_metrics, thin_extremes
from wandb_server.pages.terminal import read_spans
from wandb_server.runs import create_run, find_run


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([-3, 12], ["0", "5", "10"]),
        ([], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    ],
)
def test_axes_are_marked_at_round_values(values: list[float], texts: list[str]) -> None:
    assert [tick.text for tick in fit(values, 0, 100).ticks(5)] == texts


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0003, 0.02], ["0.005", "0.01", "0.015", "0.02"]),  # not a hundred times
        ([0.0002, 0.02], ["0.001", "0.01"]),
        ([1, 100], ["1", "10", "100"]),
        ([0, 1000], ["0", "200", "400", "600", "800", "1000"]),
        ([1e-250, 1e250], ["1e-250", "1e-199"]),
    ],
)
def test_settings_of_several_magnitudes_have_a_logarithmic_axis(
    values: list[float], texts: list[str]
) -> None:
    scale = fit(values, 0, 100, may_be_log=True)
    assert [tick.text for tick in scale.ticks(5)][: len(texts)] == texts
    assert [scale.place(value) for value in values] == [0, 100]


@pytest.mark.parametrize(
    "values", [[1e9, 1.0001e9], [0.1, 0.1], [0.0, 5e-324], [-1e308, 1e308], [-5.0], [1, 1e300]]
)
def test_any_finite_numbers_have_an_axis(values: list[float]) -> None:
    scale = fit(values, 0, 100)
    assert 1 <= len(scale.ticks(5)) <= 21
    assert all(0 <= scale.place(value) <= 100 for value in values)


def test_a_line_of_many_points_keeps_its_ends_and_extremes() -> None:
    points = [(float(x), math.sin(x / 500)) for x in range(10_000)]
    points[4321] = (4321.0, 99.0)
    points[7000] = (7000.0, -99.0)
    thin = thin_extremes(points)
    assert len(thin) <= 300
    assert (thin[0], thin[-1]) == (points[0], points[-1])
    assert {(4321.0, 99.0), (7000.0, -99.0)} <= set(thin)
    assert thin == sorted(thin)
    assert thin_extremes(points[:300]) == points[:300]


def test_lines_are_said_in_words() -> None:
    plot = draw_lines("loss", "_step", [Series("a", [(0, 2.0), (1, 1.0)]), Series("b", [(0, 3.0)])])
    assert plot.text == "loss: a from 1 to 2, at last 1; b from 3 to 3, at last 3."
    assert len(plot.marks) == 2


def test_bars_start_at_zero_and_negative_ones_end_there() -> None:
    plot = draw_bars("gain", [Series("up", [(2, 2)]), Series("down", [(-1, -1)])])
    up, down = (mark.shape for mark in plot.marks)
    assert up["x"] == pytest.approx(down["x"] + down["width"], abs=0.2)
    assert up["width"] == pytest.approx(2 * down["width"], abs=0.5)


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["forest.max_depth", "tfidf.min_df", "val/f1"], ["max_depth", "min_df", "val/f1"]),
        (["a.forest.size", "a.words.size"], ["forest.size", "words.size"]),
        (["size", "forest.size", "end."], ["size", "forest.size", "end."]),
    ],
)
def test_an_axis_is_named_by_the_end_of_its_key_that_no_other_one_has(
    names: list[str], short: list[str]
) -> None:
    assert shorten(names) == short


def test_parallel_coordinates_leave_out_runs_that_lack_a_value() -> None:
    runs = [
        RunValues("a", "/a", [1, "gini", 0.5]),
        RunValues("b", "/b", [3, "entropy", 0.9]),
        RunValues("c", "/c", [None, "gini", 0.1]),
    ]
    chart = draw_parallel(["depth", "kind", "score"], runs)
    assert [line.url for line in chart.lines] == ["/a", "/b"]
    assert [line.colour for line in chart.lines] == [0, 8]
    assert chart.lines[1].text == "b: depth 3, kind entropy, score 0.9"
    assert [tick.text for tick in chart.axes[1].ticks] == ["entropy", "gini"]


def test_the_strongest_influence_comes_first_with_its_direction() -> None:
    rng = random.Random(0)
    depth = list(range(40))
    columns: dict[str, Sequence[object]] = {
        "noise": [rng.random() for _ in depth],
        "depth": depth,
        "kind": ["a" if value < 20 else "b" for value in depth],
        "name": [f"run-{value}" for value in depth],
        "same": [1] * 40,
        "rare": [None] * 38 + [1, 2],
    }
    found = rank_influences(columns, [-float(value) for value in depth])
    assert [item.key for item in found] == ["depth", "kind", "noise"]
    assert (found[0].strength, found[0].direction) == (pytest.approx(1), "down")
    assert found[1].strength == pytest.approx(0.866, abs=0.001)
    assert found[2].strength < 0.4


def test_a_constant_metric_is_influenced_by_nothing() -> None:
    (only,) = rank_influences({"depth": [1, 2, 3, 4]}, [1.0] * 4)
    assert (only.strength, only.direction) == (0.0, "none")


def test_graphs_run_from_left_to_right_without_overlaps() -> None:
    edges = [("raw", "clean"), ("clean", "split"), ("raw", "split"), ("split", "model")]
    layout = arrange(["model", "split", "clean", "raw"], edges)
    lefts = [layout.places[name][0] for name in ("raw", "clean", "split", "model")]
    assert lefts == sorted(set(lefts))
    assert len(layout.paths) == 4


def test_a_circle_is_drawn_too() -> None:
    layout = arrange(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a")])
    assert len(layout.places) == 3
    assert len(layout.paths) == 3


def test_a_node_alone_has_a_place() -> None:
    assert arrange(["only"], []).places == {"only": (12.0, 20.0)}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Database:
    folder = tmp_path_factory.mktemp("many")
    fill(folder, Size(runs=200, with_history=1, steps=1_000, versions=160))
    return Database(folder / "wandb.sqlite3")


def test_a_large_lineage_is_found_whole_and_its_nodes_do_not_overlap(many: Database) -> None:
    with many.read() as connection:
        member = find_membership(connection, 1, "data:v0")
        assert member is not None
        graph = read_lineage(connection, member.artifact_id)
    assert (len(graph.nodes), len(graph.edges), graph.is_cut) == (302, 301, False)
    layout = arrange(graph.nodes, graph.edges)
    places = sorted(layout.places.values())
    for (x, y), (other_x, other_y) in pairwise(places):
        assert other_x >= x + NODE_WIDTH or other_y >= y + NODE_HEIGHT


def test_a_leaf_of_a_large_lineage_shows_its_own_branch_only(many: Database) -> None:
    with many.read() as connection:
        member = find_membership(connection, 1, "level2:v7")
        assert member is not None
        graph = read_lineage(connection, member.artifact_id)
    assert len(graph.nodes) == 8  # four versions, the runs that made them


def test_history_is_read_over_any_axis_and_thinned_by_lines(many: Database) -> None:
    with many.read() as connection:
        run = find_run(connection, 1, "run00199")
        assert run is not None
        axes = {"val/loss": "_step", "val/f1": "_runtime", "nothing": "_step"}
        whole = read_metrics(connection, run.id, HISTORY, axes)
        thin = read_metrics(connection, run.id, HISTORY, axes, most_lines=100)
    assert "val/loss" in numeric_keys(run)
    assert "_step" not in numeric_keys(run)
    assert len(whole["val/loss"].points) == 1_000
    assert whole["val/f1"].points[-1][0] == 99.9
    assert whole["nothing"].points == []
    assert len(thin["val/loss"].points) == 100
    assert defined_axes(run, ["val/loss"]) == {"val/loss": "_step"}


def test_broken_lines_of_a_history_are_passed_over(many: Database) -> None:
    lines = ['{"loss": 3, "_step": 0}', "{", "[1]", '{"loss": NaN}', '{"a": {"b": 7}, "_step": 9}']
    with many.write() as connection:
        run = create_run(connection, 1, "broken", "finished")
        store_lines(connection, run.id, HISTORY, 0, lines)
    with many.read() as connection:
        axes = {"loss": "_step", "a.b": "_step"}
        found = read_metrics(connection, run.id, HISTORY, axes)
    assert (found["loss"].points, found["loss"].skipped) == ([(0.0, 3.0)], 1)
    assert found["a.b"].points == [(9.0, 7.0)]


@pytest.mark.parametrize(
    ("line", "spans"),
    [
        ("\x1b[1;31mred\x1b[0m plain", [("red", "ink-1 bold"), (" plain", "")]),
        ("\x1b[92mgood\x1b[39m on", [("good", "ink-2"), (" on", "")]),
        (" 10%\r 55%\r100%\n", [("100%", "")]),
        ("\x1b]8;;http://example.org\x07link\x1b]8;;\x07", [("link", "")]),
        ("a\tb\x00\x9b31m", [("a\tb31m", "")]),
        ("\x1b[38;5;196mmany\x1b[2Kcolours", [("manycolours", "")]),
        ("\x1b[99999999999mx", [("x", "")]),
        ("\x1b[4m_\x1b[24mx", [("_", "underline"), ("x", "")]),
        ("", []),
    ],
)
def test_console_lines_keep_colours_and_nothing_else_of_a_terminal(
    line: str, spans: list[tuple[str, str]]
) -> None:
    assert read_spans(line) == spans


def test_half_a_character_is_shown_as_a_question_mark() -> None:
    page = Renderer().page("missing.html", heading="half \ud800", reason="")
    assert b"<h1>half ?</h1>" in page.body
    assert with_query("/x", [("column", "config.\ud800")]) == "/x?column=config.%3F"


def test_a_line_of_endless_colours_is_shown_in_bounded_pieces() -> None:
    spans = read_spans("\x1b[31mx" * 5_000)
    assert len(spans) <= 201
    assert sum(span.text.count("x") for span in spans) == 5_000
