"""Scores an exported model on the test split, and promotes it if it beats the one in production."""

import argparse
import gc
import logging
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
import yaml
from loading import ModelError
from promotion import PROMOTE, Decision, PromotionError
from registry import Challenger, download_model, promote
from scores import (
    DataError,
    MetricError,
    SettingsError,
    ThresholdError,
    check_table,
    check_thresholds,
    compute_scores,
    read_metrics,
    read_thresholds,
    tabulate_classes,
    tabulate_errors,
)
from sklearn.metrics import confusion_matrix
from tracking import open_run, read_table, use_artifact

logger = logging.getLogger(__name__)


def main(arguments: list[str]) -> None:
    """Run the step: load, score, log, check thresholds, promote.

    Raises:
        SettingsError: A parameter or the data set's file asks for what can't be done.
        ModelError: The model doesn't load, or not safely, or is for another task.
        DataError: The test rows don't fit the model.
        MetricError: A metric has no value.
        ThresholdError: A score is too low; nothing is promoted.
        PromotionError: The version in production can't be replaced knowingly.
    """
    parameters = parse(arguments)
    metrics = read_metrics(parameters.metrics)
    thresholds = read_thresholds(parameters.thresholds, metrics)
    task, target = read_dataset(parameters.dataset)
    settings = vars(parameters) | {
        "dataset": str(parameters.dataset),
        "metrics": metrics,
        "thresholds": thresholds,
        "task": task,
        "target": target,
    }
    with open_run("evaluate", settings) as run:
        run.summary["promotion/promoted"] = False
        artifact = use_artifact(run, parameters.model_artifact)
        table = read_table(run, parameters.test_artifact)
        model = download_model(run, artifact)
        check_model(artifact, model, task, target)
        check_table(table, model, target)
        scores, predicted = compute_scores(model, table, target, metrics)
        log_results(run, getattr(model, "classes_", None), table[target], predicted, scores)
        check_thresholds(scores, thresholds)
        challenger = Challenger(artifact, model, scores[metrics[0]], table, target, metrics[0])
        decision = promote(
            run,
            challenger,
            parameters.promote,
            parameters.production_alias,
            parameters.previous_alias,
        )
        log_decision(run, decision, parameters.production_alias)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the parameters of the step.

    Raises:
        SettingsError: One has a value that it can't have.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model_artifact", required=True, help="artifact with the model")
    parser.add_argument("--test_artifact", required=True, help="artifact with the test split")
    parser.add_argument("--dataset", type=Path, required=True, help="YAML of the data set")
    parser.add_argument("--metrics", required=True, help="scorer names; the first one decides")
    parser.add_argument("--thresholds", default="", help="lowest scores: accuracy=0.7,...")
    parser.add_argument("--promote", default="if_better", help="if_better, always or never")
    parser.add_argument("--production_alias", default="prod", help="alias of the one in use")
    parser.add_argument("--previous_alias", default="previous", help="alias of the one before")
    parameters = parser.parse_args(arguments)
    if parameters.promote not in PROMOTE:
        raise SettingsError(
            f"promote={parameters.promote} is unknown: use one of {', '.join(PROMOTE)}."
        )
    if not parameters.production_alias:
        raise SettingsError("production_alias is empty: name the alias, such as prod.")
    if parameters.previous_alias in ("", parameters.production_alias):
        raise SettingsError(
            f"previous_alias={parameters.previous_alias!r}: name another alias than "
            f"{parameters.production_alias}, such as previous."
        )
    return parameters


def read_dataset(path: Path) -> tuple[str, str]:
    """Read task and target from a data set's YAML.

    Raises:
        SettingsError: The file can't be read, or names none.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} can't be read as YAML: {error}") from error
    settings = content if isinstance(content, dict) else {}
    task, target = settings.get("task"), settings.get("target")
    if task not in ("classification", "regression") or not target:
        raise SettingsError(
            f"{path} has task: {task} and target: {target}; it must say classification or "
            "regression, and which column to predict."
        )
    return task, target


def check_model(artifact: wandb.Artifact, model: Any, task: str, target: str) -> None:
    """Check that a model is for this task and target.

    Raises:
        ModelError: It is for another one.
    """
    made_for = artifact.metadata.get("target", target)
    if hasattr(model, "classes_") != (task == "classification") or made_for != target:
        kind = "classification" if hasattr(model, "classes_") else "regression"
        raise ModelError(
            f"{artifact.name} is a {kind} of {made_for}, and the data set asks for a {task} of "
            f"{target}: train a model for it first."
        )


def log_results(
    run: wandb.Run,
    classes: Any,
    actual: "pd.Series[Any]",
    predicted: Any,
    scores: dict[str, float],
) -> None:
    """Log scores and the errors made, as images and as tables; classes is None for numbers."""
    from figures import draw_confusion, draw_predictions

    if classes is None:
        media = {
            "predictions": wandb.Image(draw_predictions(actual.to_numpy(), predicted)),
            "error_table": wandb.Table(dataframe=tabulate_errors(actual, predicted)),
        }
    else:
        labels = list(map(str, classes))
        counts = confusion_matrix(actual, predicted, labels=classes)
        matrix = pd.DataFrame(counts, columns=labels)
        matrix.insert(0, "actual", labels, allow_duplicates=True)
        media = {
            "confusion_matrix": wandb.Image(draw_confusion(labels, counts)),
            "confusion_matrix_table": wandb.Table(dataframe=matrix),
            "class_table": wandb.Table(dataframe=tabulate_classes(actual, predicted, classes)),
        }
    run.log(media)
    run.summary["rows"] = len(actual)
    for name, value in scores.items():
        run.summary[f"test/{name}"] = value
        logger.info("test/%s: %.4f", name, value)


def log_decision(run: wandb.Run, decision: Decision, alias: str) -> None:
    """Log who won and by how much."""
    facts = {
        "promoted": decision.promoted,
        "challenger": decision.challenger,
        "champion": decision.champion,
        "challenger_score": decision.challenger_score,
        "champion_score": decision.champion_score,
        "difference": decision.difference,
        "reason": decision.reason,
    }
    run.summary.update({f"promotion/{name}": value for name, value in facts.items()})
    holder = decision.challenger if decision.promoted else decision.champion or "nobody"
    verb = "now holds" if decision.promoted else "still holds"
    logger.info("%s %s %s: %s", holder, verb, alias, decision.reason)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main(sys.argv[1:])
    except (
        SettingsError,
        ModelError,
        DataError,
        MetricError,
        ThresholdError,
        PromotionError,
        wandb.Error,
    ) as error:
        sys.exit(f"evaluate: {error}")
    except KeyboardInterrupt:
        sys.exit("evaluate: stopped.")
    finally:
        gc.freeze()  # or Python looks for garbage in all the libraries before it ends
