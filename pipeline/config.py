"""Ranges and allowed values of the config: what its types can't say."""

from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from pipeline.errors import ConfigError, did_you_mean
from pipeline.names import check_names
from pipeline.schema import ColumnRule, ColumnType, Config, Dataset, Evaluate, Main, Promote
from pipeline.sklearn_names import SCORERS
from pipeline.tasks import check_task

STEPS = (
    "download",
    "preprocess",
    "check_data",
    "segregate",
    "train_random_forest",
    "evaluate",
)

# Types of the values that a column of a type may be limited to.
_VALUES: dict[ColumnType, tuple[type, ...]] = {
    ColumnType.float: (float, int),
    ColumnType.integer: (int,),
    ColumnType.string: (str,),
    ColumnType.boolean: (bool,),
}


def parse_steps(execute_steps: Any) -> tuple[str, ...]:
    """Return the steps to execute, in pipeline order.

    Args:
        execute_steps: "all", a list of names, or names separated by commas.

    Raises:
        ConfigError: A name is not a step's.
    """
    if execute_steps == "all":
        return STEPS
    names = _parse_names("main.execute_steps", execute_steps)
    if not names:
        raise ConfigError(
            f"main.execute_steps is empty: name at least one step of {', '.join(STEPS)}."
        )
    return names


def parse_forced(force_steps: Any) -> tuple[str, ...]:
    """Return the steps to run though nothing has changed, in pipeline order.

    Args:
        force_steps: A list of names, which may be empty, or names separated by commas.

    Raises:
        ConfigError: A name is not a step's.
    """
    return _parse_names("main.force_steps", force_steps)


def _parse_names(key: str, names: Any) -> tuple[str, ...]:
    names = _split(key, names, f"of {', '.join(STEPS)}")
    for name in names:
        if name not in STEPS:
            raise ConfigError(
                f"{key}: there is no step {name!r}."
                f"{did_you_mean(str(name), list(STEPS))} The steps are {', '.join(STEPS)}."
            )
    return tuple(name for name in STEPS if name in names)


def _split(key: str, names: Any, kind: str) -> list[Any]:
    """Return a list that is given as one, or as a text with commas."""
    if isinstance(names, str):
        return [name.strip() for name in names.split(",") if name.strip()]
    if not OmegaConf.is_list(names) and not isinstance(names, list):
        raise ConfigError(f"{key}={names!r}: give a list or names separated by commas, {kind}.")
    return list(names)


def parse_versions(versions: Any) -> dict[str, str]:
    """Return the versions to take of artifacts that aren't made now: name:version by name.

    Args:
        versions: A list such as [model_export:v3], which may be empty, or that separated by commas.

    Raises:
        ConfigError: One of them names no version, or two name the same artifact.
    """
    found: dict[str, str] = {}
    for given in _split("main.versions", versions, "such as model_export:v3"):
        name, _, version = str(given).partition(":")
        if not name or not version or name in found:
            raise ConfigError(
                f"main.versions: {given!r} must be name:version, such as model_export:v3, each "
                "artifact once."
            )
        found[name] = str(given)
    return found


def _check_forced(main: Main) -> None:
    executed = parse_steps(main.execute_steps)
    left_out = [step for step in parse_forced(main.force_steps) if step not in executed]
    if left_out:
        raise ConfigError(
            f"main.force_steps names {', '.join(left_out)}, which main.execute_steps leaves out "
            f"(it names {', '.join(executed)}): add it to main.execute_steps, or force only what "
            "is there."
        )


def check_metrics(metrics: Iterable[str]) -> None:
    """Check that metrics are ones that steps can log.

    Raises:
        ConfigError: There is none, or one is no scorer of scikit-learn.
    """
    names = list(metrics)
    if not names:
        raise ConfigError("metrics is empty: name at least one scorer, such as [accuracy].")
    for name in names:
        if name not in SCORERS:
            raise ConfigError(
                f"metrics: {name!r} is no scorer of scikit-learn, so no step would log it."
                f"{did_you_mean(name, list(SCORERS))} Such as accuracy, f1_macro or r2."
            )


def _check_range(key: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        raise ConfigError(f"{key}={value}: give a number between {low} and {high}, both excluded.")


def _check_number(key: str, value: int, highest: int) -> None:
    if not 0 <= value <= highest:
        raise ConfigError(f"{key}={value}: give a whole number from 0 to {highest}.")


def _check_columns(dataset: Dataset) -> None:
    features = dataset.features
    named = [*features.numerical, *features.categorical, *features.text]
    if not named:
        raise ConfigError("dataset.features names no column: the model has nothing to learn from.")
    for column in {name for name in named if named.count(name) > 1}:
        raise ConfigError(f"dataset.features names the column {column!r} more than once.")
    if dataset.target in named:
        raise ConfigError(f"dataset.features holds the target {dataset.target!r}: take it out.")
    for column in [*named, dataset.target]:
        if column not in dataset.columns:
            raise ConfigError(
                f"dataset.columns has no rule for the column {column!r}."
                f"{did_you_mean(column, list(dataset.columns))} Every feature and the target "
                "need one, such as {type: float}."
            )
    for column, rule in dataset.columns.items():
        _check_rule(f"dataset.columns.{column}", rule)


def _check_stratify(config: Config) -> None:
    known = config.dataset.columns
    named = {
        "segregate.stratify": config.segregate.stratify,
        "random_forest_pipeline.stratify": config.random_forest_pipeline.stratify,
    }
    for key, column in named.items():
        if column and column not in known:
            raise ConfigError(
                f"{key}={column}: dataset.columns has no rule for such a column."
                f"{did_you_mean(column, list(known))} Add one, such as {{type: string}}, name "
                "another column, or take null, which splits at random."
            )


def _check_rule(key: str, rule: ColumnRule) -> None:
    low, high, share = rule.minimum, rule.maximum, rule.max_null_fraction
    if low is not None and high is not None and low > high:
        raise ConfigError(f"{key}: minimum={low:g} is above maximum={high:g}.")
    if not 0 <= share <= 1:
        raise ConfigError(f"{key}.max_null_fraction={share:g}: give a share from 0 to 1.")
    for value in rule.allowed or []:
        if type(value) not in _VALUES[rule.type]:
            hint = " Quote texts such as yes, no and 1." if rule.type == ColumnType.string else ""
            raise ConfigError(
                f"{key}.allowed holds {str(value).lower()}, which is no {rule.type.value}.{hint}"
            )


def _check_thresholds(config: Config) -> None:
    thresholds = config.evaluate.thresholds
    if thresholds is None:
        return
    if not isinstance(thresholds, dict) or not all(
        isinstance(value, int | float) for value in thresholds.values()
    ):
        raise ConfigError(
            f"evaluate.thresholds={thresholds}: give a number for each metric, such as "
            "{roc_auc_ovo: 0.9}, or null."
        )
    for metric in thresholds:
        if metric not in config.metrics:
            raise ConfigError(
                f"evaluate.thresholds names {metric!r}, which is not one of metrics "
                f"({', '.join(config.metrics)})."
            )


def _check_promotion(evaluate: Evaluate) -> None:
    _check_range("evaluate.confidence", evaluate.confidence, 0, 1)
    if evaluate.resamples and not 100 <= evaluate.resamples <= 100_000:
        raise ConfigError(
            f"evaluate.resamples={evaluate.resamples}: give a whole number from 100 to 100000, or "
            "0 for no intervals."
        )
    if evaluate.promote == Promote.if_clearly_better and not evaluate.resamples:
        raise ConfigError(
            "evaluate.promote=if_clearly_better needs an interval, and evaluate.resamples=0 makes "
            "none: give at least 100, or take if_better."
        )
    limit = evaluate.max_class_regression
    if limit is not None and not 0 <= limit < float("inf"):
        raise ConfigError(
            f"evaluate.max_class_regression={limit}: give a number of at least 0, such as 0.1, or "
            "null for no limit."
        )


def _check_simpler(config: DictConfig) -> None:
    for given in config.sweep.simpler:
        key = given.removeprefix("-")
        if not isinstance(OmegaConf.select(config, key, default=""), int | float | None):
            raise ConfigError(
                f"sweep.simpler names {key!r}, which is no number of the config: name keys such as "
                "random_forest_pipeline.random_forest.max_depth."
            )


def validate(config: DictConfig) -> Config:
    """Return the config as typed objects, once all of it is known to be usable.

    Args:
        config: What Hydra composed; its types were checked by the schema.

    Raises:
        ConfigError: A value is out of its range, or values contradict each other.
    """
    try:
        missing = OmegaConf.missing_keys(config)
    except InterpolationToMissingValueError as error:
        raise ConfigError(f"A key has no value yet. {error}") from error
    if missing:
        raise ConfigError(f"These keys have no value yet: {', '.join(sorted(missing))}.")
    typed = OmegaConf.to_object(config)
    if not isinstance(typed, Config):
        raise TypeError(f"config was composed without its schema: {type(typed)}")
    _check_forced(typed.main)
    check_names(typed)
    _check_range("segregate.test_size", typed.segregate.test_size, 0, 1)
    forest = typed.random_forest_pipeline
    _check_range("random_forest_pipeline.validation_size", forest.validation_size, 0, 1)
    _check_range("check_data.ks_alpha", typed.check_data.ks_alpha, 0, 1)
    _check_range("download.timeout", typed.download.timeout, 0, float("inf"))
    _check_number("main.random_seed", typed.main.random_seed, 2**32 - 1)
    _check_number("download.retries", typed.download.retries, 100)
    check_metrics(typed.metrics)
    parse_versions(typed.main.versions)
    _check_simpler(config)
    _check_thresholds(typed)
    _check_promotion(typed.evaluate)
    _check_columns(typed.dataset)
    _check_stratify(typed)
    check_task(typed)
    return typed
