"""Keys and types of the config; Hydra holds every override to them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


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


class SweepEvaluate(StrEnum):
    """Which trials of a sweep are evaluated on the test split."""

    best = "best"
    all = "all"
    none = "none"


class Promote(StrEnum):
    """When evaluate moves the production alias."""

    if_better = "if_better"
    if_clearly_better = "if_clearly_better"
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
    cache: bool = MISSING
    preload: bool = MISSING
    force_steps: Any = MISSING
    dry_run: bool = MISSING
    versions: Any = MISSING


@dataclass
class Artifacts:
    """Names of the artifacts that pass between the steps."""

    raw_data: str = MISSING
    clean_data: str = MISSING
    check_report: str = MISSING
    train_data: str = MISSING
    test_data: str = MISSING
    model_card: str = MISSING


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
    previous_alias: str = MISSING
    max_class_regression: float | None = MISSING
    resamples: int = MISSING
    confidence: float = MISSING


@dataclass
class Sweep:
    """Settings of what a sweep does with its trials."""

    evaluate: SweepEvaluate = MISSING
    one_standard_error: bool = MISSING
    simpler: list[str] = MISSING


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
    sweep: Sweep = field(default_factory=Sweep)


def register_schema() -> None:
    """Make the schema known to Hydra under the name that config.yaml's defaults list uses."""
    ConfigStore.instance().store(name="config_schema", node=Config)
