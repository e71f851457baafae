"""Axes: from values to places on a drawing, with round numbers marked on them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from wandb_server.pages.formats import short_number

_DAY = 86_400
_LEAST_SPAN = 1e-290  # below it, numbers lose their digits
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place in the drawing's units, and what stands beside it."""

    place: float
    text: str


@dataclass(frozen=True)
class Scale:
    """Maps `low` to `start` and `high` to `end`, and all between in proportion."""

    low: float
    high: float
    start: float
    end: float
    is_time: bool = False

    def place(self, value: float) -> float:
        """Give the place of a value, to a tenth of a unit; one beyond an end is put there."""
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, count: int) -> list[Tick]:
        """Mark about `count` round values."""
        return [
            Tick(self.place(value), self._text(value))
            for value in _round_values(self.low, self.high, count, is_time=self.is_time)
        ]

    def _text(self, value: float) -> str:
        if not self.is_time:
            return short_number(float(value))
        moment = datetime.fromtimestamp(value, UTC).astimezone()
        span = self.high - self.low
        form = "%H:%M:%S" if span < 600 else "%H:%M" if span < _DAY else "%m-%d %H:%M"
        return moment.strftime(form)


def fit(values: Iterable[float], start: float, end: float, *, is_time: bool = False) -> Scale:
    """Make a scale that holds all values; a single one is put into the middle.

    Args:
        values: Finite numbers, or none: then from 0 to 1.
        start: Place of the least value.
        end: Place of the greatest value.
        is_time: The values are seconds since 1970.
    """
    low, high = 0.0, 1.0
    found = list(values)
    if found:
        low, high = min(found), max(found)
    if math.isinf(high - low):
        low, high = low / 4, high / 4  # else their difference is no number; ends are cut off
    if high - low <= max(abs(high) * 1e-12, _LEAST_SPAN):
        margin = abs(high) * 0.1 or 1.0
        low, high = low - margin, high + margin
    return Scale(low, high, start, end, is_time)


def _round_values(low: float, high: float, count: int, *, is_time: bool) -> list[float]:
    step = _time_step((high - low) / count) if is_time else round_step((high - low) / count)
    first = math.ceil(low / step)
    last = math.floor(high / step)
    return [index * step for index in range(first, min(last, first + 4 * count) + 1)]


def round_step(least: float) -> float:
    """Give the least of 1, 2, 5, 10, 20, ... (or 0.5, 0.2, ...) that is no less than this."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999)


def _time_step(least: float) -> float:
    return next((step for step in _TIME_STEPS if step >= least), math.ceil(least / _DAY) * _DAY)
