"""A model's answers to the test rows, given once and then looked up."""

from functools import cached_property
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if

Values = np.ndarray[Any, Any]


def has(method: str) -> Any:
    """Make a check whether the model behind a replay has a method."""
    return lambda replay: hasattr(replay.estimator, method)


class Replay:
    """Stands for a fitted estimator and the rows that it is asked about.

    Scorers of scikit-learn take it for the estimator; as rows they hand it the rows' numbers. So
    scoring other draws of the same rows costs no further prediction.
    """

    def __init__(self, estimator: Any, rows: Any) -> None:
        """Take an estimator and the rows, as its `predict` takes them."""
        self.estimator = estimator
        self._rows = rows

    def __sklearn_tags__(self) -> Any:
        return self.estimator.__sklearn_tags__()

    @property
    def classes_(self) -> Values:
        """Classes of a classifier, shape (classes,); a regressor has none (AttributeError)."""
        classes: Values = self.estimator.classes_
        return classes

    @cached_property
    def predicted(self) -> Values:
        """Prediction for each row, shape (rows,)."""
        return np.asarray(self.estimator.predict(self._rows))

    @cached_property
    def probabilities(self) -> Values:
        """Probability of each class for each row, shape (rows, classes)."""
        return np.asarray(self.estimator.predict_proba(self._rows))

    @cached_property
    def _decisions(self) -> Values:
        return np.asarray(self.estimator.decision_function(self._rows))

    def predict(self, numbers: Values) -> Values:
        """Return the predictions for the rows of these numbers."""
        return self.predicted[numbers]

    @available_if(has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, numbers: Values) -> Values:
        """Return the probabilities for the rows of these numbers."""
        return self.probabilities[numbers]

    @available_if(has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, numbers: Values) -> Values:
        """Return the decision values for the rows of these numbers."""
        return self._decisions[numbers]
