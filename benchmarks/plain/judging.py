"""Scores of a model, and a picture of its errors: what training and evaluation both do."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from figures import draw_confusion, draw_predictions
from forest import score
from matplotlib.image import imsave
from predictions import Predictions
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import Pipeline

Values = np.ndarray[Any, Any]


def judge(
    pipeline: Pipeline, table: pd.DataFrame, target: str, metrics: list[str], picture: Path
) -> tuple[dict[str, float], Predictions]:
    """Score a model on rows, and draw where it errs; return the scores and what it predicted."""
    scores, predictions = score(pipeline, table, target, metrics)
    picture.parent.mkdir(exist_ok=True)
    imsave(picture, draw_errors(table[target].to_numpy(), predictions))
    return scores, predictions


def draw_errors(actual: Values, predictions: Predictions) -> Values:
    """Draw the confusion matrix; of a regression, predicted over actual values."""
    classes = predictions.classes_
    if classes is None:
        return draw_predictions(actual, predictions.values)
    counts = confusion_matrix(actual, predictions.values, labels=classes)
    return draw_confusion(list(map(str, classes)), counts)
