"""Which trial of a sweep is best, which are as good as it, and which of those is simplest."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.sweeps.trial import Trial


@dataclass(frozen=True)
class Sweep:
    """All trials of a sweep that have ended.

    Attributes:
        name: Name of the experiment.
        metric: Scorer that the trials are judged by, on the validation split.
        maximize: Whether more of it is better.
        simpler: Keys of the config that tell which of two models is simpler, weightiest first:
            the one with less, or, for a key with a minus in front, with more of it.
        is_comparable: Whether the scores can be compared: all trials have the same data and metric.
        trials: In their order.
        options: Those that its command had beside the overrides.
    """

    name: str
    metric: str
    maximize: bool
    simpler: Sequence[str]
    is_comparable: bool
    trials: Sequence[Trial]
    options: Sequence[str] = ()

    @property
    def scored(self) -> list[Trial]:
        """Trials with a score: the best first, of equal ones the simplest first."""
        found = [trial for trial in self.trials if trial.score is not None]
        if not self.is_comparable:
            return found
        return sorted(found, key=lambda one: (-self._gain(one), self.complexity(one), one.number))

    @property
    def failed(self) -> list[Trial]:
        """Trials that failed, in their order."""
        return [trial for trial in self.trials if trial.error]

    @property
    def best(self) -> Trial | None:
        """The best trial; None if no trial has a score, or they can't be compared."""
        return self.scored[0] if self.scored and self.is_comparable else None

    def _gain(self, trial: Trial) -> float:
        score = trial.score if trial.score is not None else math.nan
        return score if self.maximize else -score

    def complexity(self, trial: Trial) -> tuple[float, ...]:
        """Return what orders models by how simple they are; null counts as unlimited."""
        return tuple(_amount(trial.config, key) for key in self.simpler)

    def near_best(self) -> list[Trial]:
        """Return the trials within one standard error of the best one, which is the first.

        Breiman et al., Classification and Regression Trees (1984), section 3.4.3: differences below
        the standard error of the best estimate say little, so the simplest of these may be chosen.
        """
        best = self.best
        if best is None or best.notes.standard_error is None:
            return []
        limit = self._gain(best) - best.notes.standard_error
        return [trial for trial in self.scored if self._gain(trial) >= limit]

    def simplest_near_best(self) -> Trial | None:
        """Return the simplest trial within one standard error of the best, if it is simpler."""
        near = self.near_best()
        if not near:
            return None
        simplest = min(near, key=self.complexity)
        return simplest if self.complexity(simplest) < self.complexity(near[0]) else None


def _amount(config: dict[str, Any], key: str) -> float:
    value: Any = config
    for part in key.removeprefix("-").split("."):
        value = value[part]
    amount = math.inf if value is None else float(value)
    return -amount if key.startswith("-") else amount


def varying(trials: Sequence[Trial]) -> dict[str, str]:
    """Return the keys in which trials differ, each with the shortest name that tells it apart.

    Args:
        trials: Of one sweep.
    """
    keys = list(dict.fromkeys(key for trial in trials for key in trial.overrides))
    differing = [key for key in keys if len({trial.overrides.get(key) for trial in trials}) > 1]
    return {key: _shorten(key, differing) for key in differing}


def _shorten(key: str, keys: Sequence[str]) -> str:
    """Return the end of a key that no other key ends with.

    >>> _shorten("tfidf.max_features", ["tfidf.max_features", "forest.max_features"])
    'tfidf.max_features'
    >>> _shorten("a.tfidf.max_features", ["a.tfidf.max_features", "a.max_depth"])
    'max_features'
    """
    parts = key.split(".")
    for start in range(len(parts) - 1, -1, -1):
        end = ".".join(parts[start:])
        if sum(f".{other}".endswith(f".{end}") for other in keys) == 1:
            return end
    return key


def parse_value(text: str) -> float | str:
    """Return an override's value as a number, or else as the text that it is.

    >>> parse_value("3"), parse_value("1e-4"), parse_value("sqrt"), parse_value("true")
    (3, 0.0001, 'sqrt', 'true')
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else text


def alias_of(name: str) -> str:
    """Return the alias of a sweep's best version: no two names of sweeps give the same.

    Args:
        name: Name of the experiment. W&B allows neither slashes nor colons in an alias.

    >>> alias_of("depths"), alias_of("a/b: 5 %")
    ('best-depths', 'best-a%2Fb%3A 5 %25')
    """
    for character in "%/\\:":
        name = name.replace(character, f"%{ord(character):02X}")
    return f"best-{name}"


def value_of(trial: Trial, key: str) -> float | str:
    """Return what a trial's override says, as a number if it is one."""
    return parse_value(trial.overrides.get(key, ""))


def is_magnitude(values: Sequence[float]) -> bool:
    """Tell whether numbers span magnitudes, so that their logarithms are what counts."""
    return min(values) > 0 and max(values) / min(values) >= 100
