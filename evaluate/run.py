"""Scores an exported model on the test split, and promotes it if it beats the one in production."""

import argparse
import errno
import gc
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
from card import render_card
from comparison import Evaluation, find_intervals
from leaks import find_leak
from loading import ModelError
from origin import find_ancestors, find_user, name_of, read_commit
from promotion import Decision, PromotionError
from registry import Challenger, download_model, promote
from results import Findings, Results, Subject, find_errors
from scores import (
    DataError,
    MetricError,
    ThresholdError,
    check_table,
    check_thresholds,
    evaluate_model,
)
from settings import Settings, SettingsError, read_settings
from tracking import log_card, open_run, read_table, use_artifact

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
    settings = read_settings(parameters)
    # The pipeline puts the file into a folder that differs from run to run.
    config = vars(parameters) | vars(settings) | {"dataset": parameters.dataset.name}
    with open_run("evaluate", config) as run, ThreadPoolExecutor(1) as worker:
        run.summary["promotion/promoted"] = False
        artifact = use_artifact(run, parameters.model_artifact)
        rows = use_artifact(run, parameters.test_artifact)
        # W&B answers these while the model is scored.
        user = worker.submit(find_user, run)
        ancestors = worker.submit(find_ancestors, [rows, artifact])
        table, model = read_table(rows), download_challenger(run, artifact)
        check_model(artifact, model, settings)
        check_table(table, model, settings.target)
        leak = worker.submit(find_leak, artifact, rows, table)
        evaluation = evaluate_model(model, table, settings)
        findings = find_errors(table[settings.target].to_numpy(), evaluation.predicted, model)
        log_results(run, evaluation, findings, settings)
        check_thresholds(evaluation.scores, settings.thresholds)
        subject = Subject(
            project=run.project,
            model=name_of(artifact),
            test_data=name_of(rows),
            metadata=artifact.metadata,
            ancestors=ancestors.result(),
            commit=read_commit(Path(__file__).parent),
        )
        challenger = Challenger(artifact, model, evaluation, rows, table, settings, leak.result())
        decision = promote(run, challenger, describe_origin(run, subject, user.result()))
        log_decision(run, decision, settings.production_alias)
        page = render_card(subject, settings, Results(evaluation, findings, decision))
        log_card(run, parameters.card_artifact, page, summarise(subject, decision))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the parameters of the step, as they were given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model_artifact", required=True, help="artifact with the model")
    parser.add_argument("--test_artifact", required=True, help="artifact with the test split")
    parser.add_argument("--dataset", type=Path, required=True, help="YAML of the data set")
    parser.add_argument("--metrics", required=True, help="scorer names; the first one decides")
    parser.add_argument("--thresholds", default="", help="lowest scores: accuracy=0.7,...")
    parser.add_argument("--promote", default="if_better", help="one of promotion.PROMOTE")
    parser.add_argument("--production_alias", default="prod", help="alias of the one in use")
    parser.add_argument("--previous_alias", default="previous", help="alias of the one before")
    parser.add_argument(
        "--max_class_regression", default="", help="largest fall of a class's F1; empty: any"
    )
    parser.add_argument("--resamples", type=int, default=500, help="draws for the intervals")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the intervals")
    parser.add_argument("--random_seed", type=int, required=True, help="seed of the draws")
    parser.add_argument("--card_artifact", required=True, help="name of the model card to log")
    return parser.parse_args(arguments)


def download_challenger(run: wandb.Run, artifact: wandb.Artifact) -> Any:
    """Download and load the model to score.

    Raises:
        ModelError: It doesn't load, or not safely; says which one.
    """
    try:
        return download_model(run, artifact)
    except ModelError as error:
        raise ModelError(
            f"{name_of(artifact)} can't be scored: {error} Take another version (main.versions), "
            "or train one."
        ) from error


def check_model(artifact: wandb.Artifact, model: Any, settings: Settings) -> None:
    """Check that a model is for this task and target.

    Raises:
        ModelError: It is for another one.
    """
    task, target = settings.task, settings.target
    made_for = artifact.metadata.get("target", target)
    if hasattr(model, "classes_") != (task == "classification") or made_for != target:
        kind = "classification" if hasattr(model, "classes_") else "regression"
        raise ModelError(
            f"{artifact.name} is a {kind} of {made_for}, and the data set asks for a {task} of "
            f"{target}: train a model for it first."
        )


def log_results(
    run: wandb.Run, evaluation: Evaluation, findings: Findings, settings: Settings
) -> None:
    """Log scores with their intervals, and the errors made, as an image and as tables."""
    run.summary["rows"] = len(evaluation.predicted)
    intervals = find_intervals(evaluation, settings.confidence)
    for name, value in evaluation.scores.items():
        run.summary[f"test/{name}"] = value
        interval, around = intervals.get(name), ""
        if interval:
            run.summary[f"interval/{name}/low"] = interval.low
            run.summary[f"interval/{name}/high"] = interval.high
            around = f" ({interval.low:.4f} to {interval.high:.4f})"
        logger.info("test/%s: %.4f%s", name, value, around)
    image, details = wandb.Image(findings.picture), wandb.Table(dataframe=findings.details)
    if findings.counts is None:
        run.log({"predictions": image, "error_table": details})
        return
    labels = list(findings.details["class"])
    matrix = pd.DataFrame(findings.counts, columns=labels)
    matrix.insert(0, "actual", labels, allow_duplicates=True)
    table = wandb.Table(dataframe=matrix)
    run.log({"confusion_matrix": image, "confusion_matrix_table": table, "class_table": details})


def log_decision(run: wandb.Run, decision: Decision, alias: str) -> None:
    """Log who won and by how much."""
    low, high = decision.interval or (None, None)
    facts = {
        "promoted": decision.promoted,
        "challenger": decision.challenger,
        "champion": decision.champion_name,
        "challenger_score": decision.score,
        "champion_score": decision.champion_score,
        "difference": decision.difference,
        "difference_low": low,
        "difference_high": high,
        "regressions": ", ".join(part.name for part in decision.fallen),
        "reason": decision.told,
    }
    run.summary.update({f"promotion/{name}": value for name, value in facts.items()})
    holder = decision.challenger if decision.promoted else decision.champion_name or "nobody"
    verb = "now holds" if decision.promoted else "still holds"
    logger.info("%s %s %s: %s", holder, verb, alias, decision.told)


def describe_origin(run: wandb.Run, subject: Subject, user: str) -> dict[str, Any]:
    """Return what the record of a promotion says besides the decision."""
    return {
        "by": user,
        "commit": subject.commit.sha,
        "dirty": subject.commit.dirty,
        "test_data": subject.test_data,
        "run": run.id,
    }


def summarise(subject: Subject, decision: Decision) -> dict[str, Any]:
    """Return what the card's metadata says: the versions that it is about, who won, by how much."""
    return {
        "model": subject.model,
        "test_data": subject.test_data,
        "champion": decision.champion_name,
        "promoted": decision.promoted,
        "metric": decision.metric,
        "score": decision.score,
        "champion_score": decision.champion_score,
        "difference": decision.difference,
        "interval": decision.interval and list(decision.interval),
        "reason": decision.told,
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its font cache
    # Looking for garbage as often as Python does by default takes a tenth of loading a model.
    gc.set_threshold(50_000)
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
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit(f"evaluate: the disk is full: {error}. Make room, and run it again.")
    except KeyboardInterrupt:
        sys.exit("evaluate: stopped.")
    finally:
        gc.freeze()  # or Python looks for garbage in all the libraries before it ends
