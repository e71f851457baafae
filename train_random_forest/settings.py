"""What the step is told to do: the data set, the model's arguments, the metrics."""

import difflib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TASKS = ("classification", "regression")
# The last three come along in the same part of config.yaml, and reach the step as parameters.
MODEL_SETTINGS = ("random_forest", "tfidf", "validation_size", "stratify", "export_artifact")
TFIDF_ARGUMENTS = ("max_features", "binary", "stop_words")


class SettingsError(Exception):
    """A parameter or a configuration file asks for something that can't be done."""


@dataclass(frozen=True)
class Dataset:
    """What to predict from which columns."""

    task: str
    target: str
    numerical: list[str]
    categorical: list[str]
    text: list[str]

    @property
    def features(self) -> list[str]:
        """Names of all input columns, numerical ones first, each kind in its given order."""
        return [*self.numerical, *self.categorical, *self.text]


@dataclass(frozen=True)
class ModelConfig:
    """Arguments of the forest and of the TfidfVectorizer that each text column gets."""

    random_forest: dict[str, Any]
    tfidf: dict[str, Any]


def read_dataset(path: Path) -> Dataset:
    """Read task, target and features from a data set's YAML; other keys are not for this step.

    Raises:
        SettingsError: The file isn't readable YAML, or what it says doesn't fit together.
    """
    content = read_yaml(path)
    features = content.get("features") or {}
    check_names("kind of features", features, ("numerical", "categorical", "text"))
    dataset = Dataset(
        task=str(content.get("task")),
        target=str(content.get("target") or ""),
        numerical=features.get("numerical") or [],
        categorical=features.get("categorical") or [],
        text=features.get("text") or [],
    )
    if dataset.task not in TASKS:
        raise SettingsError(f"task is {dataset.task!r} in {path}: use one of {', '.join(TASKS)}.")
    if not dataset.target:
        raise SettingsError(f"{path} names no target: say which column to predict.")
    if not dataset.features:
        raise SettingsError(f"{path} lists no features: list the columns to learn from.")
    named = [*dataset.features, dataset.target]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise SettingsError(
            f"{path} lists {', '.join(twice)} twice among features and target: a column has one "
            "use only."
        )
    return dataset


def read_model_config(path: Path, task: str) -> ModelConfig:
    """Read the arguments of the forest and of TfidfVectorizer.

    Args:
        path: YAML with the keys random_forest and tfidf.
        task: classification or regression; a regressor has no class_weight, which must be null.

    Raises:
        SettingsError: A key isn't an argument; the message holds those that are close to it.
    """
    content = read_yaml(path)
    check_names("model setting", content, MODEL_SETTINGS)
    forest = dict(content.get("random_forest") or {})
    tfidf = dict(content.get("tfidf") or {})
    if task == "regression" and forest.pop("class_weight", None) is not None:
        raise SettingsError(
            "random_forest.class_weight is for classification only: set it to null for a "
            "regression."
        )
    arguments = list(inspect.signature(forest_class(task)).parameters)
    check_names("argument of random_forest", forest, arguments)
    check_names("argument of tfidf", tfidf, TFIDF_ARGUMENTS)
    return ModelConfig(forest, tfidf)


def forest_class(task: str) -> Any:
    """Return the class of forests for a task."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return RandomForestClassifier if task == "classification" else RandomForestRegressor


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


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        SettingsError: It can't be read, or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "" if path.is_absolute() else " A relative path starts in the step's own folder."
        raise SettingsError(f"{path} can't be read: {error.strerror}.{hint}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} isn't valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} holds no settings: it must map names to values.")
    return content


def check_names(kind: str, names: Iterable[Any], allowed: Iterable[str]) -> None:
    """Refuse a name that isn't allowed.

    Raises:
        SettingsError: Names the first such name and what was probably meant.
    """
    known = list(allowed)
    for name in map(str, names):
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            raise SettingsError(
                f"{name!r} is no {kind}: "
                + (f"did you mean {' or '.join(close)}?" if close else f"use {', '.join(known)}.")
            )
