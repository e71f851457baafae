"""Scores of a model on the test rows, and the tables that tell where it errs."""

import difflib
import math
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import check_scoring, precision_recall_fscore_support
from sklearn.pipeline import Pipeline

ERROR_QUANTILES = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]


class SettingsError(Exception):
    """A parameter asks for something that can't be done."""


class DataError(Exception):
    """The test rows don't fit the model."""


class MetricError(Exception):
    """A metric has no value for this model and these rows."""


class ThresholdError(Exception):
    """A score is below the lowest one accepted."""


def read_metrics(text: str) -> list[str]:
    """Split scorer names at commas.

    Raises:
        SettingsError: There is none, or one isn't a scorer of scikit-learn.
    """
    from sklearn.metrics import get_scorer_names

    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise SettingsError("metrics is empty: name at least one scorer, such as accuracy.")
    known = get_scorer_names()
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known
            raise SettingsError(f"{name!r} is no scorer: did you mean {' or '.join(close)}?")
    return names


def read_thresholds(text: str, metrics: list[str]) -> dict[str, float]:
    """Read the lowest scores accepted, such as "accuracy=0.7,roc_auc_ovo=0.9".

    Args:
        text: Pairs of metric and number, separated by commas; empty sets none.
        metrics: Metrics that are computed, so that only these can have one.

    Raises:
        SettingsError: A pair can't be read, or its metric isn't computed.
    """
    thresholds = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, number = map(str.strip, pair.partition("="))
        if name not in metrics:
            raise SettingsError(
                f"thresholds names {name!r}, which isn't computed: use one of "
                f"{', '.join(metrics)}, or add it to metrics."
            )
        try:
            thresholds[name] = float(number)
        except ValueError as error:
            raise SettingsError(
                f"thresholds sets {name} to {number!r}: write it as {name}=0.9."
            ) from error
        if not math.isfinite(thresholds[name]):
            raise SettingsError(f"thresholds sets {name} to {number}: use a finite number.")
    return thresholds


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


def compute_scores(
    model: Pipeline, table: pd.DataFrame, target: str, metrics: list[str]
) -> tuple[dict[str, float], np.ndarray[Any, Any]]:
    """Score a model on rows that check_table lets pass.

    Args:
        model: The fitted model.
        table: Rows with inputs and target.
        target: Column to predict.
        metrics: Scorer names.

    Returns:
        Scores by metric, and the prediction for each row.

    Raises:
        MetricError: A scorer fails, or its score isn't a finite number.
    """
    rows, estimator = model[:-1].transform(table), model[-1]
    # All at once: scorers share the predictions.
    scorer = check_scoring(estimator, scoring=metrics, raise_exc=False)
    values = scorer(estimator, rows, table[target])
    return {name: read_score(name, values[name]) for name in metrics}, estimator.predict(rows)


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
