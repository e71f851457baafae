"""The six steps' work in one process, without W&B.

`python single.py <calls.json> <table>`. With files of settings as further arguments it fits and
validates these on two workers, and scores the best one on the test rows, instead.
"""

import argparse
import gc
import json
from pathlib import Path

import pandas as pd
from files import Call, read_call, read_table
from forest import fit, score
from joblib import Parallel, delayed
from judging import judge
from settings import Dataset, ModelConfig, read_dataset, read_metrics, read_model_config
from sklearn.pipeline import Pipeline

from check_data import check
from download import download
from evaluate import evaluate
from preprocess import clean
from segregate import split
from train_random_forest import split_to_validate, train

WORKERS = 2
Calls = dict[str, Call]


def main() -> None:
    """Run the steps, or the trials instead of training, and print the scores on the test rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calls", type=Path)
    parser.add_argument("table")
    parser.add_argument("trials", type=Path, nargs="*")
    parameters = parser.parse_args()
    calls: Calls = {
        name: read_call(call["arguments"][1:])
        for name, call in json.loads(parameters.calls.read_text()).items()
    }
    train_rows, test_rows = prepare(parameters.table, calls, checked=not parameters.trials)
    if parameters.trials:
        scores = run_trials(train_rows, test_rows, calls, parameters.trials)
    else:
        model = train(train_rows, calls["train_random_forest"])
        scores = evaluate(model, test_rows, calls["evaluate"])
    print(json.dumps(scores))


def prepare(url: str, calls: Calls, *, checked: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Download, clean, check if asked to, and split; return training and test rows."""
    download(calls["download"], url)
    raw = read_table(calls["download"]["output_artifact"])
    table = clean(raw, calls["preprocess"]["target"])
    del raw
    if checked:
        check(table, calls["check_data"])
    train_rows, test_rows = split(table, calls["segregate"])
    return train_rows.to_pandas(), test_rows.to_pandas()


def run_trials(
    train_rows: pd.DataFrame, test_rows: pd.DataFrame, calls: Calls, trials: list[Path]
) -> dict[str, float]:
    """Fit and validate each trial, and score the best one on the test rows."""
    call = calls["train_random_forest"]
    dataset, metrics = read_dataset(Path(call["dataset"])), read_metrics(call["metrics"])
    training, validation = split_to_validate(train_rows, call)
    configs = [read_model_config(file, dataset.task) for file in trials]
    found: list[tuple[float, Pipeline]] = Parallel(n_jobs=WORKERS)(
        delayed(run_trial)(training, validation, dataset, config, metrics) for config in configs
    )
    best = max(found, key=lambda result: result[0])
    picture = Path(calls["evaluate"]["card_artifact"]) / "errors.png"
    return judge(best[1], test_rows, dataset.target, metrics, picture)[0]


def run_trial(
    training: pd.DataFrame,
    validation: pd.DataFrame,
    dataset: Dataset,
    config: ModelConfig,
    metrics: list[str],
) -> tuple[float, Pipeline]:
    """Fit one trial and score it by the first metric."""
    pipeline = fit(training, dataset, config)
    scores, _ = score(pipeline, validation, dataset.target, metrics)
    return scores[metrics[0]], pipeline


if __name__ == "__main__":
    try:
        main()
    finally:
        gc.freeze()  # or Python looks for garbage in all the libraries before it ends
