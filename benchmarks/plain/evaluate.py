"""Scores a model on the test rows, without W&B: nobody is in production to compare it with."""

import json
from pathlib import Path

import pandas as pd
from files import Call, run_script
from judging import judge
from loading import load_model
from resampling import find_interval, resample
from settings import read_dataset, read_metrics
from sklearn.pipeline import Pipeline


def evaluate(model: Pipeline, table: pd.DataFrame, call: Call) -> dict[str, float]:
    """Score a model, with intervals if these are asked for, draw, and write it down."""
    target, metrics = read_dataset(Path(call["dataset"])).target, read_metrics(call["metrics"])
    report = Path(call["card_artifact"])
    scores, predictions = judge(model, table, target, metrics, report / "errors.png")
    facts = {"scores": scores, "intervals": {}}
    if draws := int(call["resamples"]):
        actual, seed = table[target].to_numpy(), int(call["random_seed"])
        drawn = resample(predictions, actual, metrics, draws, seed).scores
        confidence = float(call["confidence"])
        facts["intervals"] = {
            name: find_interval(values, confidence) for name, values in drawn.items()
        }
    (report / "scores.json").write_text(json.dumps(facts))
    return scores


def main(call: Call) -> None:
    """Read, evaluate, and print the scores."""
    model, table = load_model(Path(call["model_artifact"])), pd.read_parquet(call["test_artifact"])
    print(json.dumps(evaluate(model, table, call)))


if __name__ == "__main__":
    run_script(main)
