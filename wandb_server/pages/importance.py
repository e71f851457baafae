"""How much a setting has to do with a metric, told from the runs at hand.

Not a cause: runs that differ in two settings at once can't tell which one mattered.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import StatisticsError, correlation
from typing import Any

_LEAST_RUNS = 3


@dataclass(frozen=True)
class Influence:
    """A setting's hold on the metric.

    `strength` is from 0 to 1: for numbers the size of the rank correlation, for words the
    square root of the share of the variance that lies between them. `direction` is "up" if the
    metric grows with the setting, "down", "none", or "" for words. `chance` is the strength that
    a setting without any hold on the metric stays below in 19 of 20 cases, for so many runs.
    """

    key: str
    strength: float
    direction: str
    runs: int
    chance: float


def rank_influences(
    columns: Mapping[str, Sequence[Any]], targets: Sequence[float | None]
) -> list[Influence]:
    """Measure all settings and put the strongest first.

    Args:
        columns: Values of each setting, one a run; None where a run hasn't got it.
        targets: The metric of the same runs; None where there is none.

    Returns:
        Those settings that at least three runs have, and that differ among these; words only
        if they occur twice on average.
    """
    measured = [_measure(key, values, targets) for key, values in columns.items()]
    found = [influence for influence in measured if influence is not None]
    return sorted(found, key=lambda influence: (-influence.strength, influence.key))


def _measure(key: str, values: Sequence[Any], targets: Sequence[float | None]) -> Influence | None:
    pairs = [
        (value, target)
        for value, target in zip(values, targets, strict=True)
        if value is not None and target is not None
    ]
    different = len({str(value) for value, _ in pairs})
    if len(pairs) < _LEAST_RUNS or different < 2:
        return None
    settings = [value for value, _ in pairs]
    scores = [target for _, target in pairs]
    if all(isinstance(value, int | float) for value in settings):
        signed = _rank_correlation(settings, scores)
        direction = "up" if signed > 0 else "down" if signed < 0 else "none"
        return Influence(key, abs(signed), direction, len(pairs), _chance(len(pairs), 1))
    if different > len(pairs) / 2:
        return None  # words that hardly ever occur twice explain anything
    strength = _correlation_ratio(list(map(str, settings)), scores)
    return Influence(key, strength, "", len(pairs), _chance(len(pairs), different - 1))


def _chance(runs: int, degrees: int) -> float:
    """Give the strength that 19 of 20 settings that don't matter stay below.

    The squared strength times `runs - 1` is about chi-squared distributed; its quantile is
    Wilson and Hilferty's, which is a hundredth too small at the most.
    """
    part = 2 / (9 * degrees)
    quantile = degrees * (1 - part + 1.645 * math.sqrt(part)) ** 3
    return min(math.sqrt(quantile / (runs - 1)), 1.0)


def _rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    try:
        return correlation(_ranks(first), _ranks(second))
    except StatisticsError:  # one of them is the same everywhere
        return 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    """Give each value its rank; equal ones share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + end - 1) / 2
        start = end
    return ranks


def _correlation_ratio(words: Sequence[str], scores: Sequence[float]) -> float:
    mean = sum(scores) / len(scores)
    total = sum((score - mean) ** 2 for score in scores)
    if total == 0:
        return 0.0
    between = 0.0
    for word in set(words):
        own = [score for score, other in zip(scores, words, strict=True) if other == word]
        between += len(own) * (sum(own) / len(own) - mean) ** 2
    return float(min(between / total, 1.0) ** 0.5)
