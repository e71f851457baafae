"""What came out for a model: where it errs, who won, and where all of it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from comparison import Evaluation
from origin import Ancestor, Commit
from promotion import Decision
from scores import tabulate_classes, tabulate_errors
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import Pipeline

Values = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Subject:
    """What the card is about.

    Attributes:
        project: W&B project.
        model: name:vN of the model.
        test_data: name:vN of the test rows.
        metadata: Metadata of the model's version.
        ancestors: What model and test rows come from, and themselves, the oldest first.
        commit: State of the code that evaluated.
    """

    project: str
    model: str
    test_data: str
    metadata: dict[str, Any]
    ancestors: Sequence[Ancestor]
    commit: Commit


@dataclass(frozen=True)
class Findings:
    """Where a model errs.

    Attributes:
        details: Table by class, or of the errors' quantiles.
        picture: Pixels of the confusion matrix, or of predicted over actual values.
        counts: Rows by actual and predicted class; None for a regression.
    """

    details: pd.DataFrame
    picture: Values
    counts: Values | None = None


@dataclass(frozen=True)
class Results:
    """What came out."""

    evaluation: Evaluation
    findings: Findings
    decision: Decision


def find_errors(actual: Values, predicted: Values, model: Pipeline) -> Findings:
    """Find out where a model errs.

    Args:
        actual: What the rows hold.
        predicted: What the model says.
        model: Knows its classes; a regression has none.
    """
    from figures import draw_confusion, draw_predictions

    if not hasattr(model, "classes_"):
        return Findings(tabulate_errors(actual, predicted), draw_predictions(actual, predicted))
    classes = model.classes_
    counts = confusion_matrix(actual, predicted, labels=classes)
    details = tabulate_classes(actual, predicted, classes)
    return Findings(details, draw_confusion(list(details["class"]), counts), counts)
