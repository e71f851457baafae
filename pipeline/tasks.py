"""What settings a classification and a regression can have, told before anything runs."""

from operator import attrgetter

from pipeline.errors import ConfigError, did_you_mean
from pipeline.schema import ColumnType, Config, Task
from pipeline.sklearn_names import CRITERIA, OF_A_TRUE_CLASS, OF_LABELS, OF_NUMBERS, TEXTS


def check_task(config: Config) -> None:
    """Check what doesn't go with the data set's task, or with scikit-learn.

    Raises:
        ConfigError: A metric, a criterion, or another setting is for the other task, or the metric
            for targets of another type; or an argument is a text that scikit-learn doesn't know.
    """
    if config.dataset.task == Task.classification:
        _check_classification(config)
    else:
        _check_regression(config)
    for key, allowed in TEXTS.items():
        given = attrgetter(key)(config.random_forest_pipeline)
        if isinstance(given, str) and given not in allowed:
            raise ConfigError(
                f"random_forest_pipeline.{key}={given}: there is no such choice."
                f"{did_you_mean(given, list(allowed))} Choose {' or '.join(allowed)}, or what "
                "else config.yaml lists."
            )


def _check_classification(config: Config) -> None:
    criterion = config.random_forest_pipeline.random_forest.criterion
    allowed = CRITERIA[Task.classification]
    if criterion not in allowed:
        raise ConfigError(
            f"random_forest_pipeline.random_forest.criterion={criterion}: a classification has "
            f"{', '.join(allowed)}."
        )
    target = config.dataset.target
    kind = config.dataset.columns[target].type
    for metric in config.metrics:
        if metric in OF_LABELS:
            raise ConfigError(
                f"metrics: {metric!r} judges several labels a row, and {target} is one. "
                f"{_alternative(metric)}"
            )
        if kind == ColumnType.string and metric in (*OF_A_TRUE_CLASS, *OF_NUMBERS):
            judged = "numbers" if metric in OF_NUMBERS else "a class 1 (or true) against a class 0"
            raise ConfigError(
                f"metrics: {metric!r} judges {judged}, and the classes of {target} are texts "
                f"(dataset.columns.{target}.type=string). {_alternative(metric)}"
            )


def _alternative(metric: str) -> str:
    if metric in OF_NUMBERS:
        return "Take scorers of classes, such as [accuracy,f1_macro]."
    return f"Take the mean of all classes, {metric.removesuffix('_samples')}_macro."


def _check_regression(config: Config) -> None:
    forest, target = config.random_forest_pipeline, config.dataset.target
    kind = config.dataset.columns[target].type
    if kind not in (ColumnType.float, ColumnType.integer):
        raise ConfigError(
            f"dataset.task=regression predicts numbers, and the target {target} holds none "
            f"(dataset.columns.{target}.type={kind}). Take dataset.task=classification or another "
            "target."
        )
    allowed = CRITERIA[Task.regression]
    mends = {
        "segregate.stratify=null": config.segregate.stratify == target,
        "random_forest_pipeline.stratify=null": forest.stratify == target,
        f"random_forest_pipeline.random_forest.criterion={allowed[0]}": (
            forest.random_forest.criterion not in allowed
        ),
        "random_forest_pipeline.random_forest.class_weight=null": (
            forest.random_forest.class_weight is not None
        ),
        "'metrics=[r2,neg_mean_absolute_error]'": not set(config.metrics) <= set(OF_NUMBERS),
    }
    if any(mends.values()):
        raise ConfigError(
            "dataset.task=regression doesn't go with settings for a classification. Add "
            f"{' '.join(mend for mend, is_needed in mends.items() if is_needed)}"
        )
