"""Axes of the parallel coordinates: where values lie, from 0 to 1, and which of them are named."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.sweeps.ranking import is_magnitude

# Ticks closer than this would be written over each other.
_GAP = 0.05
_FEW, _PARTS = 9, 4


@dataclass(frozen=True)
class Scale:
    """One axis.

    Attributes:
        heights: Where each value lies.
        ticks: Heights and the texts beside them, from the lowest to the highest.
    """

    heights: dict[float | str, float]
    ticks: list[tuple[float, str]]


def make_scale(values: Sequence[float | str]) -> Scale:
    """Return the axis of the values that occur; if one is a word, they stand at equal distances.

    >>> make_scale([3, 5, 4]).heights
    {3: 0.0, 4: 0.5, 5: 1.0}
    >>> make_scale(["sqrt", 1, "log2"]).ticks
    [(0.0, '1'), (0.5, 'log2'), (1.0, 'sqrt')]
    """
    numbers = sorted({value for value in values if not isinstance(value, str)})
    words = sorted({value for value in values if isinstance(value, str)})
    if words or len(numbers) == 1:
        different: list[float | str] = [*numbers, *words]
        if len(different) == 1:
            return _name_all({different[0]: 0.5})
        steps = len(different) - 1
        return _name_all({value: at / steps for at, value in enumerate(different)})
    change = math.log if is_magnitude(numbers) else float
    low, size = change(numbers[0]), change(numbers[-1]) - change(numbers[0])
    heights: dict[float | str, float] = {one: (change(one) - low) / size for one in numbers}
    is_roomy = all(after - before >= _GAP for before, after in pairwise(heights.values()))
    if len(numbers) <= _FEW and is_roomy:
        return _name_all(heights)
    back = math.exp if change is math.log else float
    even = [part / _PARTS for part in range(_PARTS + 1)]
    return Scale(heights, [(part, _name(back(low + part * size))) for part in even])


def _name_all(heights: dict[float | str, float]) -> Scale:
    return Scale(heights, [(height, _name(value)) for value, height in heights.items()])


def _name(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
