"""A sweep's own run in W&B, with its table and plots, and its run in MLflow."""

from collections.abc import Mapping
from pathlib import Path

import wandb
from jinja2 import Environment, PackageLoader
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from pipeline.errors import WandbError
from pipeline.sweeps.importance import FEW, METHOD, measure_importances
from pipeline.sweeps.plots import draw_importances, draw_parallel_coordinates, to_png, to_svg
from pipeline.sweeps.ranking import Sweep, alias_of, value_of, varying
from pipeline.sweeps.table import compare, header, headline, name_best, rows
from pipeline.wandb_target import WandbTarget

PAGE, PARALLEL, IMPORTANCE = "sweep.html", "parallel_coordinates.png", "parameter_importance.png"


def draw(sweep: Sweep, folder: Path) -> None:
    """Write the sweep's page and plots into a folder.

    Args:
        sweep: At least one of its trials has a score.
        folder: Gets sweep.html, parallel_coordinates.png and, if importances can be told,
            parameter_importance.png.
    """
    importances, caption = measure_importances(sweep), _caption(sweep)
    figures = {}
    if varying(sweep.trials):
        figures[PARALLEL] = draw_parallel_coordinates(sweep)
    if importances:
        figures[IMPORTANCE] = draw_importances(importances, METHOD)
    for name, figure in figures.items():
        (folder / name).write_bytes(to_png(figure))
    svgs = {name: to_svg(figure) for name, figure in figures.items()}
    said = [headline(sweep), sweep.best and name_best(sweep, sweep.best), compare(sweep)]
    texts = Environment(loader=PackageLoader("pipeline.sweeps", "."), autoescape=True)
    page = texts.get_template("page.html").render(
        sweep=sweep,
        lines=[text for text in said if text],
        parallel=svgs.get(PARALLEL),
        bars=svgs.get(IMPORTANCE),
        caption=caption,
        header=header(sweep),
        rows=[{"trial": trial, "cells": cells} for trial, cells in rows(sweep)],
        numbers=[0, len(header(sweep)) - 3],
    )
    (folder / PAGE).write_text(page, encoding="utf-8")


def _caption(sweep: Sweep) -> str:
    """Say how importances were measured, and what they are worth."""
    count = len(sweep.scored)
    doubt = f" Of so few trials ({count}) this is a hint at the most." if count < FEW else ""
    return (
        f"{METHOD}: how far the values of a parameter in the best trials are distributed otherwise "
        f"than in all trials, as a share of 100 %.{doubt}"
    )


def log_to_wandb(sweep: Sweep, folder: Path, project: str, target: WandbTarget) -> str:
    """Log a run of the job type sweep, and tag the best version.

    Args:
        sweep: At least one of its trials has a score.
        folder: Holds what `draw` made.
        project: W&B project.
        target: The W&B that answers.

    Returns:
        The run's page.

    Raises:
        WandbError: W&B doesn't take it.
    """
    settings = wandb.Settings(
        base_url=target.address,
        api_key=target.variables.get("WANDB_API_KEY"),
        console="off",
        root_dir=str(folder),
    )
    try:
        with wandb.init(
            entity=target.variables.get("WANDB_ENTITY"),
            project=project,
            group=sweep.name,
            name=sweep.name,
            job_type="sweep",
            config={"metric": sweep.metric, "maximize": sweep.maximize},
            settings=settings,
        ) as run:
            run.log(_media(sweep, folder))
            run.summary.update(_facts(sweep))
            if sweep.best and sweep.best.notes.model:
                artifact = run.use_artifact(sweep.best.notes.model)
                artifact.aliases.append(alias_of(sweep.name))
                artifact.save()
            return str(run.url)
    except wandb.errors.Error as error:
        raise WandbError(f"The sweep's own run can't be logged: {error}") from error


def _media(sweep: Sweep, folder: Path) -> dict[str, object]:
    names = varying(sweep.trials)
    columns = ["trial", *names.values(), sweep.metric, "standard_error", "seconds", "model"]
    table = wandb.Table(columns=[*columns, "state", "error"], allow_mixed_types=True)
    for trial, _ in rows(sweep):
        values = [value_of(trial, key) for key in names]
        notes = trial.notes
        facts = [trial.score, notes.standard_error, trial.seconds, notes.model, trial.state]
        table.add_data(trial.number, *values, *facts, trial.error)
    images = {
        Path(name).stem: wandb.Image(str(folder / name))
        for name in (PARALLEL, IMPORTANCE)
        if (folder / name).exists()
    }
    # Without the style sheet from elsewhere that is added by default.
    page = wandb.Html(str(folder / PAGE), inject=False)
    return {"trials": table, "sweep": page, **images}


def _facts(sweep: Sweep) -> dict[str, object]:
    facts: dict[str, object] = {
        "trial_count": len(sweep.trials),
        "failed_count": len(sweep.failed),
    }
    if sweep.best:
        facts |= {f"best/{sweep.metric}": sweep.best.score, "best/trial": sweep.best.number}
        facts |= {f"best/{name}": value_of(sweep.best, key) for key, name in _names(sweep)}
        if sweep.best.notes.model:
            facts["best/model"] = sweep.best.notes.model
    return facts


def _names(sweep: Sweep) -> list[tuple[str, str]]:
    return list(varying(sweep.trials).items())


def log_to_mlflow(sweep: Sweep, folder: Path, environment: Mapping[str, str]) -> str | None:
    """Log the sweep's run, with the trials' runs below it.

    Args:
        sweep: At least one of its trials has a score.
        folder: Holds what `draw` made.
        environment: Variables of this process; MLFLOW_RUN_ID names the run of `mlflow run`, which
            is the trials' parent already.

    Returns:
        The run's id; None if no trial has a run: all of it was known from before.
    """
    client, outer = MlflowClient(), environment.get("MLFLOW_RUN_ID")
    runs = [trial.notes.mlflow_run for trial in sweep.trials if trial.notes.mlflow_run]
    if not runs and not outer:
        return None
    if outer:
        parent = outer
    else:
        experiment = client.get_run(runs[0]).info.experiment_id
        tags = {MLFLOW_RUN_NAME: f"{sweep.name} (sweep)"}
        parent = client.create_run(experiment, tags=tags).info.run_id
        for run in runs:
            client.set_tag(run, MLFLOW_PARENT_RUN_ID, parent)
    if sweep.best and sweep.best.score is not None:
        client.log_metric(parent, f"best/val/{sweep.metric}", sweep.best.score)
    for name in (PAGE, PARALLEL, IMPORTANCE):
        if (folder / name).exists():
            client.log_artifact(parent, str(folder / name))
    if not outer:
        client.set_terminated(parent)
    return str(parent)
