"""Histograms: those that the SDK logged, and those made here of a table's numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from wandb_server.pages.formats import as_number
from wandb_server.pages.scales import round_step

_MOST_BINS = 64  # drawn; more are joined
_BINS_MADE = 20
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles that say how a histogram changes


@dataclass(frozen=True)
class Histogram:
    """How many values lie between each edge and the next one; edges ascend."""

    edges: Sequence[float]
    counts: Sequence[float]


def read_histogram(value: Mapping[str, Any]) -> Histogram | None:
    """Read a histogram as the SDK logs it; None if it isn't one, or is empty."""
    counts = value.get("values")
    if value.get("_type") != "histogram" or not isinstance(counts, list):
        return None
    edges = _edges(value, len(counts))
    numbers = [*edges, *counts]
    if not numbers or any(as_number(number) is None for number in numbers):
        return None
    is_fitting = len(edges) == len(counts) + 1 and sum(counts) > 0 and min(counts) >= 0
    if not is_fitting or any(low > high for low, high in pairwise(edges)):
        return None
    return _join(Histogram(edges, counts))


def _edges(value: Mapping[str, Any], count: int) -> list[Any]:
    packed = value.get("packedBins")
    if isinstance(packed, dict):
        low, size = as_number(packed.get("min")), as_number(packed.get("size"))
        if low is not None and size is not None:
            return [low + index * size for index in range(count + 1)]
    bins = value.get("bins")
    return bins if isinstance(bins, list) else []


def _join(found: Histogram) -> Histogram:
    """Join neighbours where there are more bins than can be told apart."""
    size = math.ceil(len(found.counts) / _MOST_BINS)
    starts = range(0, len(found.counts), size)
    return Histogram(
        [*(found.edges[start] for start in starts), found.edges[-1]],
        [sum(found.counts[start : start + size]) for start in starts],
    )


def count_values(values: Sequence[float]) -> Histogram:
    """Make a histogram of numbers with round edges.

    Args:
        values: At least one, all finite.
    """
    low, high = min(values), max(values)
    spread = high / _BINS_MADE - low / _BINS_MADE  # the difference itself may be too large
    step = round_step(spread) if spread > max(abs(high) * 1e-12, 1e-290) else abs(high) or 1.0
    first = math.floor(low / step)
    last = max(math.floor(high / step), first)
    counts = [0.0] * (last - first + 1)
    for value in values:
        counts[math.floor(value / step) - first] += 1
    return Histogram([index * step for index in range(first, last + 2)], counts)


def quantile(found: Histogram, share: float) -> float:
    """Give the value below which a share of the values lies, if bins are filled evenly."""
    wanted = share * sum(found.counts)
    for (low, high), count in zip(pairwise(found.edges), found.counts, strict=True):
        if count and wanted <= count:
            return low + (high - low) * wanted / count
        wanted -= count
    return found.edges[-1]
