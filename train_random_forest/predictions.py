"""What a model says of some rows, kept, so that all that asks for it asks the forest once."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags

Values = np.ndarray[Any, Any]


class Predictions(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Predictions in the shape of a model, for scorers: they ask for rows by their numbers."""

    def __init__(
        self, classes: Values | None, probabilities: Values | None, values: Values
    ) -> None:
        """Take what a model said.

        Args:
            classes: Names of the classes; None for a regression.
            probabilities: One row a row, one column a class; None for a regression.
            values: The prediction for each row.
        """
        self.classes, self.probabilities, self.values = classes, probabilities, values

    @property
    def classes_(self) -> Any:
        """Names of the classes; None for a regression."""
        return self.classes

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor" if self.classes is None else "classifier"
        return tags

    def predict(self, rows: Any = slice(None)) -> Values:
        """Return the predictions for some rows."""
        values: Values = self.values[rows]
        return values

    def predict_proba(self, rows: Any = slice(None)) -> Any:
        """Return the probabilities of the classes for some rows."""
        if self.probabilities is None:
            raise AttributeError("a regression has no probabilities")
        return self.probabilities[rows]


def predict(forest: Any, rows: Any) -> Predictions:
    """Ask a fitted forest once for all that it says of some rows.

    Args:
        forest: A classifier or a regressor.
        rows: As it takes them.
    """
    if not hasattr(forest, "classes_"):
        return Predictions(None, None, forest.predict(rows))
    probabilities = forest.predict_proba(rows)
    # As the forest itself chooses.
    values = forest.classes_[np.argmax(probabilities, axis=1)]
    return Predictions(forest.classes_, probabilities, values)
