"""Types, ranges and allowed values of the config; Hydra checks the types, `validate` the rest."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from pipeline.errors import ConfigError, did_you_mean

STEPS = (
    "download",
    "preprocess",
    "check_data",
    "segregate",
    "train_random_forest",
    "evaluate",
)


class EnvManager(StrEnum):
    """Who makes the steps' environments; auto takes what `mlflow run` was started with."""

    auto = "auto"
    uv = "uv"
    conda = "conda"
    virtualenv = "virtualenv"
    local = "local"


class Wandb(StrEnum):
    """Which W&B keeps the runs; auto takes the user's account if there is one."""

    auto = "auto"
    online = "online"
    local = "local"


class Task(StrEnum):
    """What the model predicts."""

    classification = "classification"
    regression = "regression"


class ColumnType(StrEnum):
    """Type of a column's values."""

    float = "float"
    integer = "integer"
    string = "string"
    boolean = "boolean"


class Promote(StrEnum):
    """When evaluate moves the production alias."""

    if_better = "if_better"
    always = "always"
    never = "never"


@dataclass
class Main:
    """Settings of the pipeline as a whole."""

    project_name: str = MISSING
    experiment_name: str = MISSING
    execute_steps: Any = MISSING
    random_seed: int = MISSING
    env_manager: EnvManager = MISSING
    wandb: Wandb = MISSING


@dataclass
class Artifacts:
    """Names of the artifacts that pass between the steps."""

    raw_data: str = MISSING
    clean_data: str = MISSING
    check_report: str = MISSING
    train_data: str = MISSING
    test_data: str = MISSING


@dataclass
class Features:
    """Columns that the model sees, by how they are encoded."""

    numerical: list[str] = field(default_factory=list)
    categorical: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


@dataclass
class ColumnRule:
    """What every row must hold in one column."""

    type: ColumnType = MISSING
    minimum: float | None = None
    maximum: float | None = None
    allowed: list[Any] | None = None
    max_null_fraction: float = 0.0


@dataclass
class Dataset:
    """One file of dataset/."""

    url: str = MISSING
    sha256: str | None = None
    task: Task = MISSING
    target: str = MISSING
    features: Features = field(default_factory=Features)
    minimum_rows: int = 1
    columns: dict[str, ColumnRule] = field(default_factory=dict)


@dataclass
class Download:
    """Settings of the step download."""

    timeout: float = MISSING
    retries: int = MISSING


@dataclass
class CheckData:
    """Settings of the step check_data."""

    ks_alpha: float = MISSING
    reference_artifact: str | None = MISSING
    accept_drift: bool = MISSING


@dataclass
class Segregate:
    """Settings of the step segregate."""

    test_size: float = MISSING
    stratify: str | None = MISSING


@dataclass
class Tfidf:
    """Arguments of TfidfVectorizer."""

    max_features: int | None = MISSING
    binary: bool = MISSING
    stop_words: str | None = MISSING


@dataclass
class RandomForest:
    """Arguments of RandomForestClassifier and RandomForestRegressor."""

    n_estimators: int = MISSING
    criterion: str = MISSING
    max_depth: int | None = MISSING
    min_samples_split: int | float = MISSING
    min_samples_leaf: int | float = MISSING
    min_weight_fraction_leaf: float = MISSING
    max_features: str | int | float | None = MISSING
    max_leaf_nodes: int | None = MISSING
    min_impurity_decrease: float = MISSING
    bootstrap: bool = MISSING
    oob_score: bool = MISSING
    n_jobs: int | None = MISSING
    random_state: int = MISSING
    verbose: int = MISSING
    warm_start: bool = MISSING
    class_weight: Any = MISSING
    ccp_alpha: float = MISSING
    max_samples: int | float | None = MISSING
    monotonic_cst: Any = MISSING


@dataclass
class RandomForestPipeline:
    """Settings of the step train_random_forest."""

    validation_size: float = MISSING
    stratify: str | None = MISSING
    export_artifact: str | None = MISSING
    tfidf: Tfidf = field(default_factory=Tfidf)
    random_forest: RandomForest = field(default_factory=RandomForest)


@dataclass
class Evaluate:
    """Settings of the step evaluate."""

    # A typed dict would refuse new keys, and so every threshold set on the command line.
    thresholds: Any = MISSING
    promote: Promote = MISSING
    production_alias: str = MISSING


@dataclass
class Config:
    """The whole config."""

    main: Main = field(default_factory=Main)
    artifacts: Artifacts = field(default_factory=Artifacts)
    dataset: Dataset = field(default_factory=Dataset)
    download: Download = field(default_factory=Download)
    check_data: CheckData = field(default_factory=CheckData)
    segregate: Segregate = field(default_factory=Segregate)
    metrics: list[str] = MISSING
    random_forest_pipeline: RandomForestPipeline = field(default_factory=RandomForestPipeline)
    evaluate: Evaluate = field(default_factory=Evaluate)


def register_schema() -> None:
    """Make the schema known to Hydra under the name that config.yaml's defaults list uses."""
    ConfigStore.instance().store(name="config_schema", node=Config)


def parse_steps(execute_steps: Any) -> tuple[str, ...]:
    """Return the steps to execute, in pipeline order.

    Args:
        execute_steps: "all", a list of names, or names separated by commas.

    Raises:
        ConfigError: A name is not a step's.
    """
    if execute_steps == "all":
        return STEPS
    if isinstance(execute_steps, str):
        execute_steps = [name.strip() for name in execute_steps.split(",") if name.strip()]
    if not OmegaConf.is_list(execute_steps) and not isinstance(execute_steps, list):
        raise ConfigError(
            f"main.execute_steps={execute_steps!r}: give a list or names separated by commas, "
            f"of {', '.join(STEPS)}."
        )
    for name in execute_steps:
        if name not in STEPS:
            raise ConfigError(
                f"main.execute_steps: there is no step {name!r}."
                f"{did_you_mean(str(name), list(STEPS))} The steps are {', '.join(STEPS)}."
            )
    if not execute_steps:
        raise ConfigError(
            f"main.execute_steps is empty: name at least one step of {', '.join(STEPS)}."
        )
    return tuple(name for name in STEPS if name in execute_steps)


def _check_range(key: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        raise ConfigError(f"{key}={value}: give a number between {low} and {high}, both excluded.")


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
    parse_steps(typed.main.execute_steps)
    _check_range("segregate.test_size", typed.segregate.test_size, 0, 1)
    forest = typed.random_forest_pipeline
    _check_range("random_forest_pipeline.validation_size", forest.validation_size, 0, 1)
    _check_range("check_data.ks_alpha", typed.check_data.ks_alpha, 0, 1)
    _check_range("download.timeout", typed.download.timeout, 0, float("inf"))
    _check_range("main.random_seed", typed.main.random_seed, -1, 2**32)
    _check_range("download.retries", typed.download.retries, -1, 101)
    if not typed.metrics:
        raise ConfigError("metrics is empty: name at least one scorer, such as [accuracy].")
    _check_thresholds(typed)
    _check_columns(typed.dataset)
    return typed
