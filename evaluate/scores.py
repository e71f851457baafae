"""Scores of a model on the test rows, and the tables that tell where it errs."""

from typing import Any

import numpy as np
import pandas as pd
from comparison import Evaluation
from replay import Replay
from resampling import resample
from settings import Settings
from sklearn.metrics import check_scoring, precision_recall_fscore_support
from sklearn.pipeline import Pipeline

ERROR_QUANTILES = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]


class DataError(Exception):
    """The test rows don't fit the model."""


class MetricError(Exception):
    """A metric has no value for this model and these rows."""


class ThresholdError(Exception):
    """A score is below the lowest one accepted."""


def check_table(table: pd.DataFrame, model: Pipeline, target: str) -> None:
    """Check that the rows have the columns, and only the classes, that a model knows.

    Args:
        table: Rows with inputs and target.
        model: The fitted model.
        target: Column to predict.

    Raises:
        DataError: Names what is missing or unknown.
    """
    if missing := [name for name in [*model.feature_names_in_, target] if name not in table]:
        raise DataError(
            f"the test table lacks {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns))}."
        )
    if table.empty:
        raise DataError("the test table has no rows.")
    if nulls := int(table[target].isna().sum()):
        raise DataError(f"target {target} is null in {nulls} of {len(table)} test rows.")
    known = getattr(model, "classes_", None)
    if known is None:
        return
    if unknown := sorted(map(str, set(table[target]) - set(known.tolist()))):
        raise DataError(
            f"the test table has classes that the model doesn't know: {', '.join(unknown)}; it "
            f"knows {', '.join(map(str, known))}. Train it on a split of the same table."
        )


def evaluate_model(model: Pipeline, table: pd.DataFrame, settings: Settings) -> Evaluation:
    """Score a model on rows that check_table lets pass.

    Args:
        model: The fitted model.
        table: Rows with inputs and target.
        settings: Target, metrics, and the draws for the intervals.

    Raises:
        MetricError: A scorer fails, or its score isn't a finite number.
    """
    replay = Replay(model[-1], model[:-1].transform(table))
    actual, metrics = table[settings.target].to_numpy(), settings.metrics
    scorer = check_scoring(model[-1], scoring=list(metrics), raise_exc=False)
    values = scorer(replay, np.arange(len(table)), actual)
    return Evaluation(
        scores={name: read_score(name, values[name]) for name in metrics},
        predicted=replay.predicted,
        resampled=(
            resample(replay, actual, metrics, settings.resamples, settings.random_seed)
            if settings.resamples
            else None
        ),
    )


def read_score(metric: str, value: Any) -> float:
    """Turn what a scorer gave into a number.

    Args:
        metric: Name of the scorer.
        value: A number, or the traceback of a scorer that failed.

    Raises:
        MetricError: The scorer failed, or its score isn't a finite number.
    """
    trouble = value.strip().splitlines()[-1] if isinstance(value, str) else f"it is {value}"
    if isinstance(value, str) or not np.isfinite(value):
        raise MetricError(
            f"{metric} can't score this model on these rows ({trouble}): use a metric that suits "
            "the target, or stratify the split so that each class is in it."
        )
    return float(value)


def check_thresholds(scores: dict[str, float], thresholds: dict[str, float]) -> None:
    """Check that no score is below its threshold.

    Raises:
        ThresholdError: Names each score that is, with both numbers.
    """
    low = [
        f"{name} is {scores[name]:.4f}, below {least}"
        for name, least in thresholds.items()
        if scores[name] < least
    ]
    if low:
        raise ThresholdError(
            f"test/{'; test/'.join(low)}. Nothing was promoted: improve the model, or lower "
            "the threshold."
        )


def tabulate_classes(actual: Any, predicted: Any, classes: Any) -> pd.DataFrame:
    """Tabulate precision, recall, F1 and number of test rows (support) by class.

    Args:
        actual: Class of each row.
        predicted: Predicted class of each row.
        classes: Classes to list; one without rows or predictions gets zeros.
    """
    precision, recall, f1, support = precision_recall_fscore_support(
        actual, predicted, labels=classes, zero_division=0
    )
    return pd.DataFrame(
        {
            "class": list(map(str, classes)),
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "support": support,
        }
    )


def tabulate_errors(actual: Any, predicted: Any) -> pd.DataFrame:
    """Tabulate quantiles of the errors (predicted - actual) and of their absolute values.

    Args:
        actual: Number of each row.
        predicted: Predicted number of each row.
    """
    errors = np.asarray(predicted, dtype=float) - np.asarray(actual, dtype=float)
    return pd.DataFrame(
        {
            "quantile": ERROR_QUANTILES,
            "error": np.quantile(errors, ERROR_QUANTILES),
            "absolute_error": np.quantile(np.abs(errors), ERROR_QUANTILES),
        }
    )
