"""How far scores may be off by the choice of the test rows: bootstrap intervals.

The test rows are drawn again, with replacement, as many as there are. Each draw gives a score, and
the interval holds the middle share of the scores: the percentile interval of Efron and Tibshirani,
An Introduction to the Bootstrap (1993), chapter 13. The rows of a class are drawn among themselves
(the stratified bootstrap), so that no draw lacks a class; for numbers all rows are drawn alike. Two
models are compared on the same draws (the paired bootstrap): rows that are hard for both don't
count. This measures the chance in the choice of test rows, not that of training: another seed there
makes another model.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from families import F1_BY_CLASS, Confusion, Errors, Ranks
from replay import Replay
from sklearn.metrics import get_scorer

Values = np.ndarray[Any, Any]

# Numbers in a batch of draws: 8 MB of them.
BATCH = 1_000_000


class Interval(NamedTuple):
    """Where a score lies, with the confidence that was asked for."""

    low: float
    high: float


@dataclass(frozen=True)
class Resampled:
    """Scores of a model on the draws.

    Attributes:
        scores: Score by metric, shape (draws,).
        f1: F1 by class, shape (classes, draws); None for a regression.
    """

    scores: dict[str, Values]
    f1: Values | None


class AnyScorer:
    """Calls a scorer for each draw, which takes its time."""

    def __init__(self, replay: Replay, actual: Values, order: Values) -> None:
        """Take the model, what its rows hold, and the numbers of the rows that are counted."""
        self._replay, self._actual, self._order = replay, actual, order

    def score(self, names: Iterable[str], counts: Values) -> dict[str, Values]:
        """Return scores, shape (draws,) each."""
        drawn = [np.repeat(self._order, times) for times in counts.T.astype(int)]
        return {
            name: np.array(
                [get_scorer(name)(self._replay, rows, self._actual[rows]) for rows in drawn]
            )
            for name in names
        }


Family = Confusion | Ranks | Errors | AnyScorer


def resample(
    replay: Replay, actual: Values, metrics: Sequence[str], draws: int, seed: int
) -> Resampled:
    """Score a model on draws of the test rows; other models get the same draws.

    Args:
        replay: The model and the rows.
        actual: What the rows hold, shape (rows,): classes that the model knows, or numbers.
        metrics: Scorer names, each with a value for the rows as they are.
        draws: How many, at least 1.
        seed: Of the draws.
    """
    order, sizes = stratify(actual, getattr(replay, "classes_", None))
    families = prepare_families(replay, actual, order, metrics)
    batches: dict[str, list[Values]] = {}
    for counts in draw_counts(sizes, draws, seed):
        for family, names in families:
            for name, scores in family.score(names, counts).items():
                batches.setdefault(name, []).append(scores)
    scores_by_name = {name: np.concatenate(parts, axis=-1) for name, parts in batches.items()}
    f1 = scores_by_name.pop(F1_BY_CLASS, None)
    return Resampled({name: scores_by_name[name] for name in metrics}, f1)


def stratify(actual: Values, classes: Values | None) -> tuple[Values, list[int]]:
    """Return the rows' numbers class by class, and how many each class has; classes may be None."""
    if classes is None:
        return np.arange(len(actual)), [len(actual)]
    codes = encode(actual, classes)
    return np.argsort(codes, kind="stable"), np.bincount(codes, minlength=len(classes)).tolist()


def encode(values: Values, classes: Values) -> Values:
    """Return the position of each value in the classes, which are sorted, as scikit-learn's are."""
    return np.searchsorted(classes, values)


def prepare_families(
    replay: Replay, actual: Values, order: Values, metrics: Sequence[str]
) -> list[tuple[Family, list[str]]]:
    """Return what computes the scores, with the names of those that it computes.

    Args:
        replay: The model and the rows.
        actual: What the rows hold.
        order: Numbers of the rows in the order in which draws count them.
        metrics: Scorer names.
    """
    classes = getattr(replay, "classes_", None)
    families: list[tuple[Family, list[str]]] = []
    if classes is None:
        errors = Errors(actual[order].astype(float), replay.predict(order).astype(float))
        families.append((errors, [name for name in metrics if name in Errors.NAMES]))
    else:
        codes = encode(actual[order], classes)
        confusion = Confusion(codes, encode(replay.predict(order), classes), len(classes))
        names = [name for name in metrics if name in Confusion.NAMES]
        families.append((confusion, [*names, F1_BY_CLASS]))
        if names := [name for name in metrics if name in Ranks.NAMES]:
            families.append((Ranks(codes, replay.predict_proba(order)), names))
    known = {name for _, names in families for name in names}
    if names := [name for name in metrics if name not in known]:
        families.append((AnyScorer(replay, actual, order), names))
    return families


def draw_counts(sizes: Sequence[int], draws: int, seed: int) -> Iterator[Values]:
    """Draw rows within each class, in batches of draws.

    Args:
        sizes: Rows of each class; the rows stand class by class.
        draws: How many.
        seed: Of the draws.

    Yields:
        How often each row is drawn, shape (rows, draws of the batch), as float64.
    """
    generator = np.random.default_rng(seed)
    batch = max(1, BATCH // sum(sizes))
    for start in range(0, draws, batch):
        width = min(batch, draws - start)
        columns = np.arange(width)
        parts = [
            np.bincount(
                (generator.integers(size, size=(size, width)) * width + columns).ravel(),
                minlength=size * width,
            ).reshape(size, width)
            for size in sizes
            if size
        ]
        yield np.concatenate(parts).astype(float)


def find_interval(values: Values, confidence: float) -> Interval | None:
    """Return the percentile interval; None if a draw had no score, or there were no draws."""
    if not len(values) or not np.isfinite(values).all():
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))
