"""How far a score may be off by the chance of which rows validate the model."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from predictions import Predictions
from sklearn.metrics import get_scorer

RESAMPLES = 50
_ONE_TO_ONE = ("roc_auc_ovo", "roc_auc_ovo_weighted")
_ONE_TO_REST = ("roc_auc", "roc_auc_ovr", "roc_auc_ovr_weighted")

Values = np.ndarray[Any, Any]


def measure_standard_error(
    predictions: Predictions, actual: Values, metric: str, seed: int
) -> float | None:
    """Estimate the standard error of a score.

    Areas under ROC curves have a formula: DeLong, DeLong and Clarke-Pearson (1988), whose variance
    is that of what each row contributes. Other scores are bootstrapped: RESAMPLES times, from
    within each class, so that all classes stay present.

    Args:
        predictions: For the rows.
        actual: What is right, one value a row.
        metric: Name of a scorer, which scored these rows before.
        seed: Of the bootstrap.

    Returns:
        The standard error; None if some resamples have no score.
    """
    if metric in _ONE_TO_ONE or metric in _ONE_TO_REST:
        return _delong(predictions, actual, metric)
    scorer, source = get_scorer(metric), np.random.default_rng(seed)
    strata = _strata(predictions, actual)
    scores = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([source.choice(stratum, len(stratum)) for stratum in strata])
        scores.append(scorer(predictions, rows, actual[rows]))
    error = float(np.std(scores, ddof=1))
    return error if np.isfinite(error) else None


def _strata(predictions: Predictions, actual: Values) -> list[Values]:
    if predictions.classes_ is None:
        return [np.arange(len(actual))]
    return [np.flatnonzero(actual == name) for name in np.unique(actual)]


def _delong(predictions: Predictions, actual: Values, metric: str) -> float:
    contributions = np.zeros(len(actual))
    contrasts = list(_contrasts(predictions, actual, metric))
    total = sum(weight for *_, weight in contrasts)
    for scores, positive, negative, weight in contrasts:
        share = weight / total
        above = _share_below(scores[negative], scores[positive])
        below = 1 - _share_below(scores[positive], scores[negative])
        contributions[positive] += share * (above - above.mean()) / len(positive)
        contributions[negative] += share * (below - below.mean()) / len(negative)
    return float(np.sqrt(np.sum(contributions**2)))


def _contrasts(
    predictions: Predictions, actual: Values, metric: str
) -> Iterator[tuple[Values, Values, Values, float]]:
    """Yield scores, rows that should be high, rows that should be low, and the weight of these."""
    names, by_size = predictions.classes_, metric.endswith("_weighted")
    for column, name in enumerate(names):
        scores, positive = predictions.predict_proba()[:, column], np.flatnonzero(actual == name)
        if metric in _ONE_TO_REST:
            negative = np.flatnonzero(actual != name)
            yield scores, positive, negative, len(positive) if by_size else 1
            continue
        for other in names[names != name]:
            negative = np.flatnonzero(actual == other)
            yield scores, positive, negative, len(positive) + len(negative) if by_size else 1


def _share_below(others: Values, values: Values) -> Values:
    """Return for each value which share of the others is below it; equal ones count half."""
    ordered = np.sort(others)
    counts = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    shares: Values = counts / (2 * len(ordered))
    return shares
