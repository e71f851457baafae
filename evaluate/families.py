"""Scores of many draws of the same rows at once, for the scorers that allow it.

`counts` is how often each row is in each draw, shape (rows, draws), floats. A score is what
scikit-learn's scorer of that name gives for the rows of a draw; a test compares them.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

Values = np.ndarray[Any, Any]

F1_BY_CLASS = "f1 by class"


class Confusion:
    """Scores that follow from which class was taken for which."""

    NAMES = frozenset(
        {
            "accuracy",
            "balanced_accuracy",
            *(f"precision_{how}" for how in ("macro", "micro", "weighted")),
            *(f"recall_{how}" for how in ("macro", "micro", "weighted")),
            *(f"f1_{how}" for how in ("macro", "micro", "weighted")),
        }
    )

    def __init__(self, actual: Values, predicted: Values, classes: int) -> None:
        """Take the classes of the rows, numbered from 0, shape (rows,) each."""
        self._actual = indicate(actual, classes)
        self._predicted = indicate(predicted, classes)
        self._right = indicate(np.where(actual == predicted, actual, -1), classes)

    def score(self, names: Iterable[str], counts: Values) -> dict[str, Values]:
        """Return scores, shape (draws,) each; F1_BY_CLASS has shape (classes, draws)."""
        tally = self._right @ counts, self._actual @ counts, self._predicted @ counts
        return {name: self._score(name, *tally) for name in names}

    def _score(self, name: str, right: Values, actual: Values, predicted: Values) -> Values:
        by_class = {
            "precision": divide(right, predicted),
            "recall": divide(right, actual),
            "f1": divide(2 * right, actual + predicted),
        }
        kind, _, how = name.partition("_")
        if name == F1_BY_CLASS:
            return by_class["f1"]
        if name == "accuracy" or how == "micro":
            return divide(add_up(right), add_up(actual))
        if name == "balanced_accuracy":
            return average(by_class["recall"], actual > 0)
        # As in scikit-learn, a class that neither occurs nor is predicted has no part in it.
        return average(by_class[kind], actual if how == "weighted" else actual + predicted > 0)


class Ranks:
    """Areas under ROC curves, for two classes and for more, one against one or against the rest.

    One against one is the M measure of Hand and Till, A simple generalisation of the area under
    the ROC curve for multiple class classification problems, Machine Learning 45 (2001).
    """

    NAMES = frozenset(
        {
            "roc_auc",
            "roc_auc_ovo",
            "roc_auc_ovo_weighted",
            "roc_auc_ovr",
            "roc_auc_ovr_weighted",
        }
    )

    def __init__(self, actual: Values, probabilities: Values) -> None:
        """Take the classes of the rows, numbered from 0, and the probabilities.

        Args:
            actual: Shape (rows,); each class occurs.
            probabilities: Shape (rows, classes).
        """
        self._actual = actual
        self._classes = probabilities.shape[1]
        self._members = indicate(actual, self._classes)
        columns = range(self._classes) if self._classes > 2 else [1]
        self._columns = [self._compare(number, probabilities[:, number]) for number in columns]

    def _compare(self, number: int, chances: Values) -> tuple[Values, Any]:
        """Return a class's rows by rising probability, and which others each of them beats.

        The second is sparse, shape (rows of the class + 1, rows). The weights of the others, added
        up along it as far as a row of the class, are what that row beats; ties count by half.
        """
        own = np.flatnonzero(self._actual == number)
        own = own[np.argsort(chances[own], kind="stable")]
        others = np.flatnonzero(self._actual != number)
        places = [
            np.searchsorted(chances[own], chances[others], side) for side in ("left", "right")
        ]
        beaten = csr_array(
            (np.full(2 * len(others), 0.5), (np.concatenate(places), np.tile(others, 2))),
            shape=(len(own) + 1, len(self._actual)),
        )
        return own, beaten

    def score(self, names: Iterable[str], counts: Values) -> dict[str, Values]:
        """Return scores, shape (draws,) each."""
        return {name: self._score(name, counts) for name in names}

    def _score(self, name: str, counts: Values) -> Values:
        sizes: Values = self._members @ counts
        areas: Values
        if self._classes == 2:
            areas = self._add_beaten(counts, counts)[0] / (sizes[0] * sizes[1])
            return areas
        rows = add_up(sizes)
        if name.startswith("roc_auc_ovr"):
            areas = self._add_beaten(counts, counts) / (sizes * (rows - sizes))
            return average(areas, sizes if name == "roc_auc_ovr_weighted" else np.ones_like(sizes))
        # By class, the sum of its areas against each other class.
        areas = self._add_beaten(counts, counts / sizes[self._actual]) / sizes
        others = self._classes - 1
        if name == "roc_auc_ovo":
            areas = add_up(areas) / (self._classes * others)
            return areas
        # A pair of classes counts as much as the two have rows.
        areas = add_up(sizes * areas + self._add_beaten(counts, counts) / sizes)
        areas = areas / (2 * others * rows)
        return areas

    def _add_beaten(self, counts: Values, weights: Values) -> Values:
        """Return, by class and draw, the weights of the other rows that the class's rows beat."""
        sums = []
        for own, beaten in self._columns:
            reached = np.cumsum((beaten @ weights)[:-1], axis=0)
            sums.append(np.einsum("rd,rd->d", counts[own], reached))
        return np.array(sums)


class Errors:
    """Scores that follow from sums over the errors of numbers."""

    NAMES = frozenset(
        {
            "neg_mean_absolute_error",
            "neg_mean_squared_error",
            "neg_root_mean_squared_error",
            "r2",
        }
    )

    def __init__(self, actual: Values, predicted: Values) -> None:
        """Take the numbers of the rows, shape (rows,) each."""
        # Around 0, so that squares keep their digits.
        self._actual = actual - actual.mean()
        self._errors = actual - predicted

    def score(self, names: Iterable[str], counts: Values) -> dict[str, Values]:
        """Return scores, shape (draws,) each; not finite where there is no value."""
        return {name: self._score(name, counts) for name in names}

    def _score(self, name: str, counts: Values) -> Values:
        rows = add_up(counts)
        if name == "neg_mean_absolute_error":
            return -(add(np.abs(self._errors), counts) / rows)
        squares = add(self._errors**2, counts)
        if name == "neg_mean_squared_error":
            return -(squares / rows)
        if name == "neg_root_mean_squared_error":
            return -np.sqrt(squares / rows)
        spread = add(self._actual**2, counts) - add(self._actual, counts) ** 2 / rows
        with np.errstate(divide="ignore", invalid="ignore"):
            return 1 - squares / spread


def indicate(groups: Values, number: int) -> Any:
    """Return a sparse matrix that adds up rows by group, shape (number, rows); -1 is no group."""
    rows = np.flatnonzero(groups >= 0)
    return csr_array((np.ones(len(rows)), (groups[rows], rows)), shape=(number, len(groups)))


def add(values: Values, counts: Values) -> Values:
    """Return the sum of the rows' values in each draw, shape (draws,)."""
    sums: Values = np.einsum("r,rd->d", values, counts)
    return sums


def add_up(values: Values) -> Values:
    """Return the sums over the classes, shape (draws,)."""
    sums: Values = values.sum(axis=0)
    return sums


def divide(values: Values, by: Values) -> Values:
    """Divide, with 0 where the divisor is 0."""
    shape = np.broadcast_shapes(values.shape, by.shape)
    return np.divide(values, by, out=np.zeros(shape), where=by != 0)


def average(values: Values, weights: Values) -> Values:
    """Return the weighted means over the classes, shape (draws,)."""
    return divide(add_up(values * weights), add_up(weights))
