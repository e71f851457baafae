"""Trains a random forest, validates it, and exports it as an MLflow model, without W&B."""

import json
import shutil
from pathlib import Path

import pandas as pd
from export import export_model
from figures import draw_importances
from files import Call, run_script
from forest import fit, measure_importances
from judging import judge
from matplotlib.image import imsave
from rows import check_table, split_table
from settings import read_dataset, read_metrics, read_model_config
from sklearn.pipeline import Pipeline
from uncertainty import measure_standard_error

EXAMPLES = 5


def train(table: pd.DataFrame, call: Call) -> Pipeline:
    """Fit a model, validate it, draw, and export it; returns the model."""
    dataset, metrics = read_dataset(Path(call["dataset"])), read_metrics(call["metrics"])
    config = read_model_config(Path(call["model_config"]), dataset.task)
    check_table(table, dataset)
    training, validation = split_to_validate(table, call)
    pipeline = fit(training, dataset, config)
    model = Path(call["export_artifact"])
    report = model.with_name(f"{model.name} report")
    scores, predictions = judge(
        pipeline, validation, dataset.target, metrics, report / "errors.png"
    )
    imsave(report / "importances.png", draw_importances(measure_importances(pipeline)))
    actual, seed = validation[dataset.target].to_numpy(), int(call["random_seed"])
    error = measure_standard_error(predictions, actual, metrics[0], seed)
    facts = {"scores": scores, "standard_error": error}
    (report / "scores.json").write_text(json.dumps(facts))
    shutil.rmtree(model, ignore_errors=True)
    export_model(pipeline, validation[dataset.features].head(EXAMPLES), model)
    return pipeline


def split_to_validate(table: pd.DataFrame, call: Call) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split rows into those to learn from and those to validate with."""
    size, seed = float(call["validation_size"]), int(call["random_seed"])
    return split_table(table, size, call.get("stratify", ""), seed)


def main(call: Call) -> None:
    """Read and train."""
    train(pd.read_parquet(call["train_artifact"]), call)


if __name__ == "__main__":
    run_script(main)
