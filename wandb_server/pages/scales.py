"""Axes: from values to places on a drawing, with round numbers marked on them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from wandb_server.pages.formats import short_number

_DAY = 86_400
_YEAR = 365 * _DAY
_LOG_FROM = 100.0  # the greatest value by the least one
_LEAST_SPAN = 1e-290  # below it, numbers lose their digits
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place in the drawing's units, and what stands beside it."""

    place: float
    text: str


@dataclass(frozen=True)
class Scale:
    """Maps `low` to `start` and `high` to `end`, and all between in proportion.

    On a logarithmic scale, equal ways are equal factors.
    """

    low: float
    high: float
    start: float
    end: float
    is_time: bool = False
    is_log: bool = False

    def place(self, value: float) -> float:
        """Give the place of a value, to a tenth of a unit; one beyond an end is put there."""
        if self.is_log:
            way, whole = (
                math.log(value) - math.log(self.low),
                math.log(self.high) - math.log(self.low),
            )
            share = way / whole
        else:
            share = (value - self.low) / (self.high - self.low)
        share = min(max(share, 0.0), 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, count: int) -> list[Tick]:
        """Mark about `count` round values."""
        if self.is_log:
            values = _powers(self.low, self.high, count)
        else:
            values = _round_values(self.low, self.high, count, is_time=self.is_time)
        return [Tick(self.place(value), self._text(value)) for value in values]

    def _text(self, value: float) -> str:
        if not self.is_time:
            return short_number(float(value))
        moment = datetime.fromtimestamp(value, UTC).astimezone()
        span = self.high - self.low
        form = "%H:%M:%S" if span < 600 else "%H:%M" if span < _DAY else "%m-%d %H:%M"
        form = "%Y-%m-%d" if span > _YEAR else form
        return moment.strftime(form)


def fit(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    is_time: bool = False,
    may_be_log: bool = False,
) -> Scale:
    """Make a scale that holds all values; a single one is put into the middle.

    Args:
        values: Finite numbers, or none: then from 0 to 1.
        start: Place of the least value.
        end: Place of the greatest value.
        is_time: The values are seconds since 1970.
        may_be_log: Make it logarithmic if all values are positive and some a hundred times others.
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
    is_log = may_be_log and low > _LEAST_SPAN and high / low >= _LOG_FROM
    return Scale(low, high, start, end, is_time, is_log)


def _round_values(low: float, high: float, count: int, *, is_time: bool) -> list[float]:
    step = _time_step((high - low) / count) if is_time else round_step((high - low) / count)
    first = math.ceil(low / step)
    last = math.floor(high / step)
    return [index * step for index in range(first, min(last, first + 4 * count) + 1)]


def _powers(low: float, high: float, count: int) -> list[float]:
    """List powers of ten between two positive numbers, which are a hundred times apart or more."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    stride = math.ceil((last - first + 1) / (2 * count))
    return [float(f"1e{power}") for power in range(first, last + 1, stride)]


def round_step(least: float) -> float:
    """Give the least of 1, 2, 5, 10, 20, ... (or 0.5, 0.2, ...) that is no less than this."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999)


def _time_step(least: float) -> float:
    return next((step for step in _TIME_STEPS if step >= least), math.ceil(least / _DAY) * _DAY)
