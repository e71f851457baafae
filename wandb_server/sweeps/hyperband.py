"""Hyperband: which runs are so far behind the others that they needn't go on."""

import itertools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wandb_server.errors import ClientError
from wandb_server.sweeps.parameters import is_number

_KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")
# Later ones are further away than any run logs.
_LARGEST_BAND = 10**9


@dataclass(frozen=True)
class Hyperband:
    """When runs are compared, and how.

    Attributes:
        bands: How often a run has logged the metric when it is compared, rising, from 1.
        keep: Share of the runs that may go on at each of them, in (0, 1).
        strict: Whether the value at the band counts, or the best one so far.
    """

    bands: tuple[int, ...]
    keep: float
    strict: bool

    def band_of(self, count: int) -> int | None:
        """Give the last band that a run with so many values has reached; None before the first."""
        return max((band for band in self.bands if band <= count), default=None)

    def should_stop(self, values: Sequence[float], rivals: Sequence[float]) -> bool:
        """Tell whether a run is to be stopped.

        Args:
            values: What it has logged so far, less being better.
            rivals: What each run that got so far, itself included, logged at its band.
        """
        band = self.band_of(len(values))
        if band is None or not rivals:
            return False
        threshold = sorted(rivals)[int(self.keep * len(rivals))]
        return (values[band - 1] if self.strict else min(values)) > threshold


def read_hyperband(fields: object) -> Hyperband | None:
    """Read `early_terminate` of a configuration.

    Args:
        fields: A dict as users write it: `{type: hyperband, min_iter: 3}`, or with `max_iter`
            and `s` instead; `eta` (3) and `strict` (false) are optional. None for none.

    Raises:
        ClientError: It can't be followed as it is written.
    """
    if fields is None:
        return None
    if not isinstance(fields, dict) or fields.get("type") != "hyperband":
        raise ClientError(f"sweep config: early_terminate must have type: hyperband: {fields!r}")
    if unknown := sorted(fields.keys() - set(_KEYS)):
        raise ClientError(
            f"sweep config: early_terminate has no {unknown[0]!r}; it has {', '.join(_KEYS)}"
        )
    eta = _number(fields, "eta", 3)
    if eta <= 1:
        raise ClientError(f"sweep config: early_terminate.eta must be above 1, not {eta!r}")
    strict = fields.get("strict", False)
    if not isinstance(strict, bool):
        raise ClientError(f"sweep config: early_terminate.strict: true or false, not {strict!r}")
    return Hyperband(_bands(fields, eta), 1 / eta, strict)


def _bands(fields: dict[str, Any], eta: float) -> tuple[int, ...]:
    if "max_iter" in fields and "s" in fields:
        last, count = _number(fields, "max_iter"), int(_number(fields, "s"))
        parts = itertools.repeat(eta, min(count, 64))
        found = list(map(int, itertools.accumulate(parts, operator.truediv, initial=last)))[1:]
    elif "min_iter" in fields:
        first = _number(fields, "min_iter")
        # eta may be just above 1: bands that fall on one number are one band.
        powers = math.ceil(math.log(_LARGEST_BAND, eta)) if first >= 1 else 0
        found = [int(first * eta**power) for power in range(min(powers, 100))]
    else:
        raise ClientError("sweep config: early_terminate needs min_iter, or max_iter and s")
    bands = tuple(sorted({band for band in found if band >= 1}))
    if not bands:
        raise ClientError(
            "sweep config: early_terminate compares runs at no time: take a larger min_iter, "
            "max_iter or s, or a smaller eta"
        )
    return bands


def _number(fields: dict[str, Any], key: str, default: float | None = None) -> float:
    value = fields.get(key, default)
    if not is_number(value) or not 0 <= value <= _LARGEST_BAND:
        raise ClientError(
            f"sweep config: early_terminate.{key} must be a number above 0, not {value!r}"
        )
    return value
