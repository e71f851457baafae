"""Smoothed lines: the time-weighted exponential moving average that is W&B's default.

The formula is the one that W&B's documentation gives for it ("Smooth line plots", "Time weighted
exponential moving average"): each point's weight decays with its distance on the x axis, not with
the number of points between, so that lines of different density, and one of which only every
tenth point is read, look equally smooth. The sum of the weights, by which it is divided, keeps
the beginning from being drawn towards zero.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from wandb_server.errors import ClientError
from wandb_server.pages.plots import Point, Series
from wandb_server.pages.series import thin_extremes

# How many units wide the x axis is, W&B doesn't say (VIEWPORT_SCALE). Here as many as the longest
# line has steps, at most these: so the slider has its effect on ten points and on ten thousand.
_MOST_UNITS = 1_000
_HEAVIEST = 0.999  # of the weights per unit


def read_smoothing(text: str) -> float:
    """Read how much lines are to be smoothed, as W&B's slider says it.

    Args:
        text: A number from 0 to 1, or "" for none.

    Returns:
        0 for lines as they were logged; the nearer to 1, the smoother.

    Raises:
        ClientError: It is anything else.
    """
    try:
        smoothing = float(text or 0)
    except ValueError:
        smoothing = math.nan
    if not 0 <= smoothing <= 1:  # as NaN isn't
        raise ClientError(f"smoothing {text[:20]!r}: a number from 0 to 1 is wanted")
    return smoothing


def prepare_lines(lines: Sequence[Series], smoothing: float) -> list[Series]:
    """Make the lines of one chart ready to be drawn: thinned out, and smoothed before if wanted.

    Args:
        lines: With all of their points in order of x, at least one each.
        smoothing: From `read_smoothing`.
    """
    if not smoothing:
        return [replace(line, points=thin_extremes(line.points)) for line in lines]
    places = [line.points[at][0] / 2 for line in lines for at in (0, -1)]  # halves never overflow
    units = min(max((len(line.points) - 1 for line in lines), default=0), _MOST_UNITS)
    half_unit = (max(places) - min(places)) / units if units else 0.0
    return [
        replace(
            line,
            points=thin_extremes(smooth(line.points, smoothing, half_unit)),
            logged=thin_extremes(line.points),
        )
        for line in lines
    ]


def smooth(points: Sequence[Point], smoothing: float, half_unit: float) -> list[Point]:
    """Smooth a line.

    Args:
        points: In order of x, all finite.
        smoothing: Above 0, at most 1.
        half_unit: Half of the way on the x axis at which weights decay once; 0 lets none decay.

    Returns:
        As many points at the same places: the weighted means of those up to there.
    """
    per_unit = min(math.sqrt(smoothing), _HEAVIEST)
    smoothed: list[Point] = []
    before, mean, weights = 0.0, 0.0, 0.0
    for x, y in points:
        units = (x / 2 - before) / half_unit if half_unit and smoothed else 0.0
        weights = weights * per_unit**units + 1.0
        # The mean of all weighted points, without their sum, which may be no finite number.
        mean = mean * (1 - 1 / weights) + y / weights
        before = x / 2
        smoothed.append((x, mean))
    return smoothed
