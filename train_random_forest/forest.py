"""The pipeline from raw rows to predictions: building, fitting, scoring, importances."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from predictions import Predictions, predict
from rows import DataError
from settings import Dataset, ModelConfig, SettingsError, forest_class
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler

# Codes for categories that weren't there in training, and for missing ones.
UNSEEN_CODE = -1
MISSING_CODE = -2


class MetricError(Exception):
    """A metric has no value for this model and these rows."""


def build_pipeline(table: pd.DataFrame, dataset: Dataset, config: ModelConfig) -> Pipeline:
    """Build the unfitted pipeline from raw rows to predictions.

    All parts are stock scikit-learn, numpy and pandas, so it loads without this repository.
    Nulls of any kind (None, NaN, pandas.NA) may stand in any input column, also in all its rows.

    Args:
        table: Rows to learn from; says whether a categorical column holds numbers or strings.
        dataset: Names of the columns.
        config: Arguments of the forest and of TfidfVectorizer.
    """
    codes = [name for name in dataset.categorical if is_numeric_dtype(table[name])]
    words = [name for name in dataset.categorical if name not in codes]
    parts = [
        ("numerical", numerical_steps(len(dataset.numerical)), dataset.numerical),
        ("categorical_numbers", categorical_steps("Float64", len(codes)), codes),
        ("categorical_strings", categorical_steps("str", len(words)), words),
    ]
    # Names of columns may hold what a step's name can't, so these are numbered.
    for position, name in enumerate(dataset.text):
        parts.append((f"text_{position}", text_steps(config.tfidf), [name]))
    features = ColumnTransformer([part for part in parts if part[2]])
    forest = forest_class(dataset.task)(**config.random_forest)
    return Pipeline([("features", features), ("forest", forest)])


def unify_steps(dtype: str, width: int) -> list[tuple[str, FunctionTransformer]]:
    """Make the steps that turn columns of any type into one array with NaN for every null.

    pandas reads all kinds of nulls alike, but only in one dimension: hence there and back.

    Args:
        dtype: Float64 or str.
        width: Number of columns.
    """
    return [
        ("flatten", FunctionTransformer(np.ravel)),
        ("unify", FunctionTransformer(pd.Series, kw_args={"dtype": dtype})),
        ("restore", FunctionTransformer(np.reshape, kw_args={"shape": (-1, width)})),
    ]


def numerical_steps(width: int) -> Pipeline:
    """Make the steps for columns of numbers: median for nulls, then scaling."""
    return Pipeline(
        [
            *unify_steps("Float64", width),
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", StandardScaler()),
        ]
    )


def categorical_steps(dtype: str, width: int) -> Pipeline:
    """Make the steps for categories: a code each, one for unseen and one for missing ones."""
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=UNSEEN_CODE,
        encoded_missing_value=MISSING_CODE,
    )
    return Pipeline([*unify_steps(dtype, width), ("encode", encoder)])


def text_steps(tfidf: dict[str, Any]) -> Pipeline:
    """Make the steps for one column of text: nulls count as empty, then TF-IDF."""
    return Pipeline(
        [
            *unify_steps("str", 1),
            ("impute", SimpleImputer(strategy="constant", fill_value="", keep_empty_features=True)),
            ("flatten_text", FunctionTransformer(np.ravel)),
            ("vectorise", TfidfVectorizer(**tfidf)),
        ]
    )


def check_words(table: pd.DataFrame, dataset: Dataset, tfidf: dict[str, Any]) -> None:
    """Check that each text column holds a word that TfidfVectorizer would count.

    Raises:
        DataError: Names a column that doesn't.
    """
    find_words = TfidfVectorizer(**tfidf).build_analyzer()
    for name in dataset.text:
        if not any(find_words(text) for text in table[name].dropna()):
            raise DataError(
                f"feature {name} holds no words to learn from (stop words and single letters "
                "don't count): take it out of the features."
            )


def fit(table: pd.DataFrame, dataset: Dataset, config: ModelConfig) -> Pipeline:
    """Fit a pipeline; its forest predicts on one core from then on.

    Threads add up the trees' votes in the order in which they end, so that scores differ in the
    last digit from run to run. One core gives the same bits each time, and small requests sooner.

    Args:
        table: Rows to learn from, as check_table lets them pass.
        dataset: Names of the columns.
        config: Arguments of the forest and of TfidfVectorizer.

    Raises:
        DataError: A text column holds no word to learn from.
        SettingsError: The forest or TfidfVectorizer refuses an argument.
    """
    pipeline = build_pipeline(table, dataset, config)
    try:
        check_words(table, dataset, config.tfidf)
        pipeline.fit(table[dataset.features], table[dataset.target])
    except ValueError as error:
        raise SettingsError(f"scikit-learn can't fit the model as asked: {error}") from error
    return pipeline.set_params(forest__n_jobs=1)


def score(
    pipeline: Pipeline, table: pd.DataFrame, target: str, metrics: list[str]
) -> tuple[dict[str, float], Predictions]:
    """Score a fitted pipeline on rows.

    Args:
        pipeline: The fitted model.
        table: Rows with inputs and target.
        target: Column to predict.
        metrics: Scorer names.

    Returns:
        Scores by metric, and what was predicted for the rows.

    Raises:
        MetricError: A scorer fails, or its score isn't a finite number.
    """
    predictions = predict(pipeline[-1], pipeline[:-1].transform(table))
    scorer = check_scoring(scoring=metrics, raise_exc=False)
    values = scorer(predictions, np.arange(len(table)), table[target])
    return {name: read_score(name, values[name]) for name in metrics}, predictions


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


def measure_importances(pipeline: Pipeline) -> dict[str, float]:
    """Measure how much each input column adds to the forest's splits; they sum to 1.

    Returns:
        Share by column, highest first; a text column's terms are summed.
    """
    features = pipeline["features"]
    shares = pipeline["forest"].feature_importances_
    result: dict[str, float] = {}
    for name, _, columns in features.transformers_:
        part = shares[features.output_indices_[name]]
        if name.startswith("text_"):
            result[columns[0]] = float(part.sum())
        elif name != "remainder":
            result |= dict(zip(columns, map(float, part), strict=True))
    return dict(sorted(result.items(), key=lambda item: -item[1]))
