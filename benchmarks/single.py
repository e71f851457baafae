"""The six steps' work in one process, without tracking; run by an environment that holds all.

`python single.py <calls.json> <table>`, with the folders of train_random_forest and check_data on
the PYTHONPATH. With files of settings as further arguments it fits and validates these on two
workers, and scores the best one on the test rows, instead.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from checks import Inputs, run_checks
from export import export_model
from figures import draw_confusion, draw_importances
from forest import fit, measure_importances, score
from joblib import Parallel, delayed
from rows import check_table, split_table
from rules import read_dataset as read_rules
from settings import Dataset, ModelConfig, read_dataset, read_metrics, read_model_config
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import Pipeline

WORKERS = 2
Calls = dict[str, dict[str, str]]


def main() -> None:
    """Read, clean, check, split; then train one model, or the trials, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calls", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("trials", type=Path, nargs="*")
    parameters = parser.parse_args()
    calls: Calls = {
        name: dict(zip(words[1::2], words[2::2], strict=True))
        for name, words in json.loads(parameters.calls.read_text()).items()
    }
    dataset = read_dataset(Path(calls["train_random_forest"]["--dataset"]))
    table = pd.read_parquet(parameters.table).drop_duplicates().dropna(subset=[dataset.target])
    train, test = split(table, calls["segregate"], "--test_size")
    if parameters.trials:
        scores = run_trials(train, test, dataset, calls, parameters.trials)
    else:
        check(table, calls["check_data"])
        scores = run_once(train, test, dataset, calls)
    print(json.dumps(scores))


def split(
    table: pd.DataFrame, call: dict[str, str], size: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a table as a step does."""
    seed = int(call["--random_seed"])
    return split_table(table, float(call[size]), call.get("--stratify", ""), seed)


def check(table: pd.DataFrame, call: dict[str, str]) -> None:
    """Check a table as check_data does that has nothing to compare with.

    Raises:
        ValueError: A check failed.
    """
    import pyarrow as pa

    sample = pa.Table.from_pandas(table, preserve_index=False)
    rules = read_rules(Path(call["--dataset"]))
    results = run_checks(Inputs(sample, None, "", rules, float(call["--ks_alpha"]), False))
    if failed := [result for result in results if result.outcome == "failed"]:
        raise ValueError(f"these checks failed: {failed}")


def run_once(
    train: pd.DataFrame, test: pd.DataFrame, dataset: Dataset, calls: Calls
) -> dict[str, float]:
    """Train, validate, draw, export, and score on the test rows."""
    call = calls["train_random_forest"]
    metrics = read_metrics(call["--metrics"])
    check_table(train, dataset)
    training, validation = split(train, call, "--validation_size")
    config = read_model_config(Path(call["--model_config"]), dataset.task)
    pipeline = fit(training, dataset, config)
    draw_importances(measure_importances(pipeline))
    scores = judge(pipeline, validation, dataset, metrics, "val")
    with tempfile.TemporaryDirectory() as folder:
        export_model(pipeline, validation[dataset.features].head(5), Path(folder) / "model")
    return scores | judge(pipeline, test, dataset, metrics, "test")


def judge(
    pipeline: Pipeline, table: pd.DataFrame, dataset: Dataset, metrics: list[str], split: str
) -> dict[str, float]:
    """Score a model on rows, and draw its confusion matrix if it has classes."""
    scores, predictions = score(pipeline, table, dataset.target, metrics)
    if hasattr(pipeline, "classes_"):
        classes = pipeline.classes_
        counts = confusion_matrix(table[dataset.target], predictions.values, labels=classes)
        draw_confusion(list(map(str, classes)), counts)
    return {f"{split}/{name}": value for name, value in scores.items()}


def run_trials(
    train: pd.DataFrame, test: pd.DataFrame, dataset: Dataset, calls: Calls, trials: list[Path]
) -> dict[str, float]:
    """Fit and validate each trial, and score the best one on the test rows."""
    call = calls["train_random_forest"]
    metrics = read_metrics(call["--metrics"])
    training, validation = split(train, call, "--validation_size")
    configs = [read_model_config(file, dataset.task) for file in trials]
    found: list[tuple[float, Pipeline]] = Parallel(n_jobs=WORKERS)(
        delayed(run_trial)(training, validation, dataset, config, metrics) for config in configs
    )
    best = max(found, key=lambda result: result[0])
    return judge(best[1], test, dataset, metrics, "test")


def run_trial(
    training: pd.DataFrame,
    validation: pd.DataFrame,
    dataset: Dataset,
    config: ModelConfig,
    metrics: list[str],
) -> tuple[float, Pipeline]:
    """Fit one trial and score it by the first metric."""
    pipeline = fit(training, dataset, config)
    scores: dict[str, Any] = score(pipeline, validation, dataset.target, metrics)[0]
    return scores[metrics[0]], pipeline


if __name__ == "__main__":
    main()
