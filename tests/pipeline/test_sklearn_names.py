"""The names that the pipeline knows of scikit-learn are those that scikit-learn has."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import get_scorer, get_scorer_names

from pipeline.schema import Task
from pipeline.sklearn_names import (
    CRITERIA,
    OF_A_TRUE_CLASS,
    OF_CLASSES,
    OF_LABELS,
    OF_NUMBERS,
    SCORERS,
    TEXTS,
)

ROWS = np.arange(24).reshape(-1, 1) % 6
CLASSES = (np.array(["a", "b"] * 12), np.array(["a", "b", "c"] * 8))
ZERO_AND_ONE = np.array([0, 1] * 12)
NUMBERS = np.linspace(0.5, 1.5, 24)


@cache
def forest(task: Task, classes: int = 0) -> Any:
    if task == Task.regression:
        return RandomForestRegressor(2, random_state=0).fit(ROWS, NUMBERS)
    target = CLASSES[classes - 2] if classes else ZERO_AND_ONE
    return RandomForestClassifier(2, random_state=0).fit(ROWS, target)


def scores(metric: str, model: Any, target: Any) -> bool:
    """Tell whether scikit-learn gives a number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as that a score has no value
        try:
            return bool(np.isfinite(get_scorer(metric)(model, ROWS, target)))
        except (AttributeError, ValueError):  # it has no probabilities; no such target
            return False


def scores_texts(metric: str) -> bool:
    return any(
        scores(metric, forest(Task.classification, len(set(texts))), texts) for texts in CLASSES
    )


def test_scorers_are_those_that_scikit_learn_has() -> None:
    assert sorted(SCORERS) == get_scorer_names()


@pytest.mark.parametrize("metric", SCORERS)
def test_a_scorer_judges_what_it_is_listed_for(metric: str) -> None:
    kind = get_scorer(metric)._score_func.__module__
    # To scikit-learn, each number would be a cluster of its own.
    judges_numbers = "cluster" not in kind and scores(metric, forest(Task.regression), NUMBERS)
    judges_zero_and_one = scores(metric, forest(Task.classification), ZERO_AND_ONE)

    assert scores_texts(metric) == (metric in OF_CLASSES)
    assert judges_numbers == (metric in OF_NUMBERS)
    assert not (judges_zero_and_one and metric in OF_LABELS)
    assert judges_zero_and_one or metric not in OF_A_TRUE_CLASS


def test_texts_are_those_that_arguments_may_be() -> None:
    owners = {"random_forest": RandomForestClassifier, "tfidf": TfidfVectorizer}
    for key, texts in TEXTS.items():
        owner, _, argument = key.partition(".")
        assert options(owners[owner]._parameter_constraints[argument]) == set(texts)


def options(constraints: list[Any]) -> set[str]:
    return {name for one in constraints if hasattr(one, "options") for name in one.options}


@pytest.mark.parametrize("task", Task)
def test_criteria_are_those_that_a_forest_takes(task: Task) -> None:
    assert options(forest(task)._parameter_constraints["criterion"]) == set(CRITERIA[task])
