"""Trains a random forest on the training split, validates it, exports it as an MLflow model."""

import argparse
import errno
import gc
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
from forest import MetricError, fit, measure_importances, score
from rows import DataError, check_classes, check_table, split_table
from settings import (
    Dataset,
    ModelConfig,
    SettingsError,
    read_dataset,
    read_metrics,
    read_model_config,
)
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import Pipeline
from tracking import check_artifact_name, log_artifact, open_run, read_table
from uncertainty import measure_standard_error

EXAMPLES = 5

logger = logging.getLogger(__name__)


def main(arguments: list[str]) -> None:
    """Run the step: split, fit, score, log, export.

    Raises:
        SettingsError: A parameter or a configuration file asks for what can't be done.
        DataError: The table can't be learned from.
        MetricError: A metric has no value.
    """
    parameters = parse(arguments)
    dataset = read_dataset(parameters.dataset)
    config = read_model_config(parameters.model_config, dataset.task)
    metrics = read_metrics(parameters.metrics)
    settings = {
        **vars(parameters),
        # The pipeline puts these files into a folder that differs from run to run.
        "dataset": parameters.dataset.name,
        "model_config": parameters.model_config.name,
        "metrics": metrics,
        "random_forest": config.random_forest,
        "tfidf": config.tfidf,
        "task": dataset.task,
        "target": dataset.target,
        "features": dataset.features,
    }
    with open_run("train_random_forest", settings) as run:
        table = read_table(run, parameters.train_artifact)
        training, validation = prepare(table, dataset, parameters)
        logger.info("Fitting on %d rows, validating on %d", len(training), len(validation))
        pipeline = fit(training, dataset, config)
        actual = validation[dataset.target]
        scores, predictions = score(pipeline, validation, dataset.target, metrics)
        log_results(run, pipeline, actual, predictions.values, scores)
        error = measure_standard_error(
            predictions, actual.to_numpy(), metrics[0], parameters.random_seed
        )
        # Not below val/, whose numbers are scores.
        run.summary[f"standard_error/val/{metrics[0]}"] = error
        run.summary.update({"rows/train": len(training), "rows/validation": len(validation)})
        if parameters.export_artifact:
            examples = validation[dataset.features].head(EXAMPLES)
            facts = {
                **describe(pipeline, dataset, config),
                "metrics": {f"val/{name}": value for name, value in scores.items()},
                "train_artifact": parameters.train_artifact,
                "rows": len(training),
            }
            log_model(run, parameters.export_artifact, pipeline, examples, facts)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the parameters of the step.

    Raises:
        SettingsError: One is out of its range.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train_artifact", required=True, help="artifact to learn from")
    parser.add_argument("--export_artifact", default="", help="artifact to make; empty: none")
    parser.add_argument("--dataset", type=Path, required=True, help="YAML of the data set")
    parser.add_argument("--model_config", type=Path, required=True, help="YAML of the model")
    parser.add_argument("--metrics", required=True, help="scorer names, separated by commas")
    parser.add_argument("--validation_size", type=float, required=True, help="share in (0, 1)")
    parser.add_argument("--stratify", default="", help="column whose shares both parts keep")
    parser.add_argument("--random_seed", type=int, required=True, help="seed of the split")
    parameters = parser.parse_args(arguments)
    if not 0 < parameters.validation_size < 1:
        raise SettingsError(
            f"validation_size={parameters.validation_size} is no share of the rows: "
            "use a number between 0 and 1, such as 0.3."
        )
    if not 0 <= parameters.random_seed < 2**32:
        raise SettingsError(f"random_seed={parameters.random_seed} is outside [0, 2**32).")
    if parameters.export_artifact:
        check_artifact_name("export_artifact", parameters.export_artifact)
    return parameters


def prepare(
    table: pd.DataFrame, dataset: Dataset, parameters: argparse.Namespace
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check a table and split it into training and validation rows.

    Raises:
        DataError: The table can't be learned from, or can't be split as asked.
    """
    check_table(table, dataset)
    training, validation = split_table(
        table, parameters.validation_size, parameters.stratify, parameters.random_seed
    )
    check_table(training, dataset)
    if dataset.task == "classification":
        check_classes(training[dataset.target], validation[dataset.target])
    return training, validation


def log_results(
    run: wandb.Run,
    pipeline: Pipeline,
    actual: "pd.Series[Any]",
    predicted: Any,
    scores: dict[str, float],
) -> None:
    """Log scores, feature importances and the errors made, as images and as tables."""
    from figures import draw_confusion, draw_importances, draw_predictions

    importances = measure_importances(pipeline)
    media: dict[str, Any] = {
        "feature_importance": wandb.Image(draw_importances(importances)),
        "feature_importance_table": wandb.Table(
            dataframe=pd.DataFrame(importances.items(), columns=["feature", "importance"])
        ),
    }
    if hasattr(pipeline, "classes_"):
        labels = list(map(str, pipeline.classes_))
        counts = confusion_matrix(actual, predicted, labels=pipeline.classes_)
        matrix = pd.DataFrame(counts, columns=labels)
        matrix.insert(0, "actual", labels, allow_duplicates=True)
        media["confusion_matrix"] = wandb.Image(draw_confusion(labels, counts))
        media["confusion_matrix_table"] = wandb.Table(dataframe=matrix)
    else:
        media["predictions"] = wandb.Image(draw_predictions(actual.to_numpy(), predicted))
    run.log(media)
    for name, value in scores.items():
        run.summary[f"val/{name}"] = value
        logger.info("val/%s: %.4f", name, value)


def describe(pipeline: Pipeline, dataset: Dataset, config: ModelConfig) -> dict[str, Any]:
    """Describe a fitted model: its task, columns, classes and parameters."""
    classes = getattr(pipeline, "classes_", None)
    return {
        "task": dataset.task,
        "target": dataset.target,
        "features": dataset.features,
        "classes": None if classes is None else classes.tolist(),
        "parameters": {"random_forest": config.random_forest, "tfidf": config.tfidf},
    }


def log_model(
    run: wandb.Run, name: str, pipeline: Pipeline, examples: pd.DataFrame, facts: dict[str, Any]
) -> None:
    """Export the model and log it as an artifact; returns when it is stored."""
    # mlflow takes as long to import as the forest takes to fit.
    from export import export_model

    with tempfile.TemporaryDirectory() as folder:
        export_model(pipeline, examples, Path(folder) / "model")
        artifact = wandb.Artifact(name, type="model", metadata=facts)
        artifact.add_dir(str(Path(folder) / "model"))
        version = log_artifact(run, artifact)
    logger.info("Exported %s:%s", name, version)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its font cache
    # Looking for garbage as often as Python does by default takes a tenth of the export.
    gc.set_threshold(50_000)
    try:
        main(sys.argv[1:])
    except (SettingsError, DataError, MetricError, wandb.Error) as error:
        sys.exit(f"train_random_forest: {error}")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit(f"train_random_forest: the disk is full: {error}. Make room, and run it again.")
    except KeyboardInterrupt:
        sys.exit("train_random_forest: stopped.")
    finally:
        gc.freeze()  # or Python looks for garbage in all the libraries before it ends
