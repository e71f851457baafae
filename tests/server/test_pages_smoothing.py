"""Smoothed lines: the formula, its bounds, and what is drawn of it."""

import math
from itertools import pairwise

import pytest

from wandb_server.errors import ClientError
from wandb_server.pages.plots import Point, Series, draw_lines
from wandb_server.pages.smoothing import prepare_lines, read_smoothing, smooth


def by_definition(points: list[Point], smoothing: float, unit: float) -> list[float]:
    """Weigh each point by its distance to the one that is smoothed, without any recurrence."""
    weight = math.sqrt(smoothing)
    means = []
    for end, (here, _) in enumerate(points, start=1):
        weights = [weight ** ((here - x) / unit) for x, _ in points[:end]]
        values = [y for _, y in points[:end]]
        means.append(sum(map(math.prod, zip(weights, values, strict=True))) / sum(weights))
    return means


def test_a_point_is_the_mean_of_those_before_weighted_by_their_distance() -> None:
    points = [(0.0, 5.0), (1.0, 1.0), (1.5, -2.0), (1.5, 7.0), (40.0, 3.0), (41.0, 3.5)]
    found = smooth(points, 0.81, 0.5)
    assert [x for x, _ in found] == [x for x, _ in points]
    assert [y for _, y in found] == pytest.approx(by_definition(points, 0.81, 1.0))


def test_points_at_even_distances_have_the_debiased_moving_average() -> None:
    points = [(float(x), math.sin(x)) for x in range(50)]
    (line,) = prepare_lines([Series("loss", points)], 0.36)
    mean = 0.0
    for count, ((_, y), (_, shown)) in enumerate(zip(points, line.points, strict=True), start=1):
        mean = 0.6 * mean + 0.4 * y
        assert shown == pytest.approx(mean / (1 - 0.6**count))


def test_a_line_of_which_every_tenth_point_is_read_looks_equally_smooth() -> None:
    points = [(float(x), float(x > 5_000)) for x in range(10_001)]
    whole = dict(smooth(points, 0.9, 5.0))
    thin = dict(smooth(points[::10], 0.9, 5.0))
    assert max(abs(whole[x] - thin[x]) for x in thin) < 0.06
    assert whole[5_100] < 0.5 < whole[5_200]


@pytest.mark.parametrize("smoothing", [0.01, 0.5, 0.99, 1.0])
def test_a_smoothed_line_stays_between_the_extremes(smoothing: float) -> None:
    points = [(-1e308, -1e308), (-5.0, 1e308), (0.0, 0.0), (5e-324, 1.0), (1e308, 1e308)]
    (line,) = prepare_lines([Series("loss", points)], smoothing)
    assert all(-1e308 <= y <= 1e308 for _, y in line.points)
    assert len(line.points) == len(points)


def test_a_line_at_one_place_is_its_running_mean() -> None:
    (line,) = prepare_lines([Series("loss", [(3.0, 1.0), (3.0, 2.0), (3.0, 6.0)])], 0.5)
    assert [y for _, y in line.points] == pytest.approx([1.0, 1.5, 3.0])


def test_the_more_smoothing_the_fewer_turns() -> None:
    points = [(float(x), math.sin(x * x)) for x in range(300)]

    def turns(smoothing: float) -> int:
        (line,) = prepare_lines([Series("loss", points)], smoothing)
        steps = [b - a for (_, a), (_, b) in pairwise(line.points)]
        return sum(a * b < 0 for a, b in pairwise(steps))

    assert turns(0) > turns(0.7) > turns(0.99)


def test_logged_points_are_drawn_pale_behind_on_the_same_axes() -> None:
    lines = [Series("a", [(0, 2.0), (1, 1.0), (2, 4.0)], 0), Series("b", [(0, 3.0)], 1)]
    smoothed = draw_lines("loss", "_step", prepare_lines(lines, 0.64))
    logged = draw_lines("loss", "_step", prepare_lines(lines, 0))
    assert [(mark.text, mark.is_pale) for mark in smoothed.marks] == [
        *(("a", True), ("b", True), ("a", False), ("b", False))
    ]
    assert [mark.shape for mark in smoothed.marks[:2]] == [mark.shape for mark in logged.marks]
    assert (smoothed.x, smoothed.y) == (logged.x, logged.y)
    assert smoothed.text == (
        "loss: a from 1 to 4, at last 4, smoothed 2.4918; b from 3 to 3, at last 3, smoothed 3."
    )


def test_without_smoothing_nothing_is_pale() -> None:
    plot = draw_lines("loss", "_step", prepare_lines([Series("a", [(0, 2.0), (1, 1.0)])], 0))
    assert [mark.is_pale for mark in plot.marks] == [False]
    assert prepare_lines([], 0.5) == []


@pytest.mark.parametrize("text", ["x", "-0.1", "1.1", "nan", "inf", "0,5", "1e999"])
def test_smoothing_that_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ClientError, match="a number from 0 to 1"):
        read_smoothing(text)


@pytest.mark.parametrize(("text", "smoothing"), [("", 0), ("0", 0), ("0.6", 0.6), ("1", 1)])
def test_smoothing_is_a_number_from_0_to_1(text: str, smoothing: float) -> None:
    assert read_smoothing(text) == smoothing
