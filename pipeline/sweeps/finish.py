"""The end of a sweep: its table, its best version, and the one evaluation on the test split."""

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from omegaconf import DictConfig, OmegaConf

from pipeline.config import parse_forced, parse_steps
from pipeline.console import Console, tell
from pipeline.registry import Registry
from pipeline.schema import Config, SweepEvaluate, Wandb
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.process import THIS
from pipeline.sweeps.ranking import Sweep
from pipeline.sweeps.table import compare, name_best, show_table, to_command
from pipeline.sweeps.trial import Notes, Trial, read_trials
from pipeline.wandb_target import WandbTarget, choose

logger = logging.getLogger(__name__)


def finish_sweep(plan: Plan, task: Callable[[DictConfig], Any]) -> int:
    """Tell about a sweep, log it, tag its best version, and evaluate that one.

    Args:
        plan: What was to be done; its trials have ended.
        task: Runs the pipeline with a config.

    Returns:
        Exit code: 1 if a trial failed, else 0.

    Raises:
        PipelineError: W&B doesn't take the sweep's run, or the evaluation failed.
    """
    trials = read_trials(plan.folder, plan.id)
    if not trials or trials[0].config["main"]["dry_run"]:
        return int(any(trial.error for trial in trials))
    _log_plainly(plan.folder)
    main = trials[0].config["main"]
    target = choose(Wandb(main["wandb"]), os.environ)
    target.prepare(os.environ)  # before the SDK is first used, which is when it reads them
    sweep = make_sweep(plan, _add_reasons(trials, target, main["project_name"]))
    logger.info("\n%s\n", show_table(sweep))
    if sweep.scored:
        _conclude(sweep, task, target, main["project_name"])
    return int(bool(sweep.failed))


def _conclude(
    sweep: Sweep, task: Callable[[DictConfig], Any], target: WandbTarget, project: str
) -> None:
    """Log a sweep that has scores; evaluate its best trial meanwhile, which takes as long."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as aside:
        publishing = aside.submit(_publish, sweep, Path(folder), project, target)
        notes = Notes()
        try:
            if sweep.best and should_evaluate(sweep.best):
                _evaluate(sweep.best, task, notes)
        finally:
            page, parent = publishing.result()
            if notes.mlflow_run and parent and notes.mlflow_run != parent:
                MlflowClient().set_tag(notes.mlflow_run, MLFLOW_PARENT_RUN_ID, parent)
            logger.info("%s\n", "\n".join(advice(sweep, notes.production)))
            tell(f"The sweep is at {target.sign_in(page)}")


def show_sweep(plan: Plan, trials: list[Trial]) -> None:
    """Print the trials of a sweep that was stopped, of which there is at least one."""
    _log_plainly(plan.folder)
    logger.info("\n%s", show_table(make_sweep(plan, trials)))


def _log_plainly(folder: Path) -> None:
    """Log without Hydra's times and names, to the terminal and into the sweep's folder."""
    terminal, file = Console(sys.stdout), logging.FileHandler(folder / "sweep.log")
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[terminal, file], force=True
    )
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its font cache


def make_sweep(plan: Plan, trials: list[Trial]) -> Sweep:
    """Return a sweep's trials with what they are judged by.

    Args:
        plan: The sweep's.
        trials: At least one.
    """
    config = trials[0].config
    return Sweep(
        name=config["main"]["experiment_name"],
        metric=config["metrics"][0],
        maximize=plan.maximize,
        simpler=config["sweep"]["simpler"],
        is_comparable=plan.is_comparable,
        trials=trials,
        options=plan.options,
    )


def _add_reasons(trials: list[Trial], target: WandbTarget, project: str) -> list[Trial]:
    """Give failed trials the words of the step that failed, which its W&B run has."""
    if not any(trial.error and trial.notes.mlflow_run for trial in trials):
        return trials
    client, registry = MlflowClient(), Registry(target, project)
    return [_add_reason(trial, client, registry) if trial.error else trial for trial in trials]


def _add_reason(trial: Trial, client: MlflowClient, registry: Registry) -> Trial:
    run = trial.notes.mlflow_run
    if run is None:
        return trial
    failed = client.search_runs(
        [client.get_run(run).info.experiment_id],
        f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run}' and attributes.status = 'FAILED'",
    )
    for step in failed:
        found = registry.find_complete_run(step.info.run_id, [])
        if found and found.summary.get("error"):
            return replace(trial, error=f"{step.info.run_name}: {found.summary['error']}")
    return trial


def _publish(
    sweep: Sweep, folder: Path, project: str, target: WandbTarget
) -> tuple[str, str | None]:
    """Return the page of the sweep's W&B run and the id of its MLflow run."""
    # matplotlib, among others, which only the end of a sweep needs.
    from pipeline.sweeps.publish import draw, log_to_mlflow, log_to_wandb

    draw(sweep, folder)
    parent = log_to_mlflow(sweep, folder, os.environ)
    return log_to_wandb(sweep, folder, project, target), parent


def advice(sweep: Sweep, production: str | None) -> list[str]:
    """Say which trial is best, what is as good, and how to go on by hand.

    Args:
        sweep: The sweep, with scores.
        production: Version in production, if the best one was evaluated.
    """
    best = sweep.best
    if best is None:
        return ["Trials of different data or metrics can't be compared: none of them is the best."]
    lines = [name_best(sweep, best)]
    if best.config["sweep"]["one_standard_error"]:
        lines += [text for text in [compare(sweep)] if text]
    lines.append(f"To run it again: {to_command(sweep, best.overrides)}")
    if best.notes.model != production and versions_to_evaluate(best):
        lines.append(f"To promote it by hand: {promote_command(sweep, best)}")
    return lines


def promote_command(sweep: Sweep, trial: Trial) -> str:
    """Return the line that promotes a trial's model: in its project, with its data set."""
    changed = {
        "main.execute_steps": "evaluate",
        "main.versions": f"[{','.join(versions_to_evaluate(trial))}]",
        "evaluate.promote": "always",
    }
    kept = {key: value for key, value in trial.overrides.items() if key != "main.force_steps"}
    return to_command(sweep, kept | changed)


def should_evaluate(best: Trial) -> bool:
    """Tell whether the best trial is to be evaluated now."""
    steps = parse_steps(best.config["main"]["execute_steps"])
    wanted = best.config["sweep"]["evaluate"] == SweepEvaluate.best
    return wanted and "evaluate" in steps and best.notes.model is not None


def versions_to_evaluate(trial: Trial) -> list[str]:
    """Return the versions of the model and of the test split of a trial that exported a model."""
    if trial.notes.model is None:
        return []
    test = trial.config["artifacts"]["test_data"]
    split = [name for name in trial.notes.versions if name.startswith(f"{test}:")]
    return [trial.notes.model, *split]


def evaluation_config(trial: Trial) -> DictConfig:
    """Return the config that evaluates a trial's model on its test split, and runs nothing else."""
    forced = parse_forced(trial.config["main"]["force_steps"])
    main = {
        "execute_steps": ["evaluate"],
        "force_steps": [step for step in forced if step == "evaluate"],
        "versions": versions_to_evaluate(trial),
    }
    merged = OmegaConf.merge(OmegaConf.structured(Config), trial.config, {"main": main})
    if not isinstance(merged, DictConfig):
        raise TypeError(f"a config is a mapping, not {type(merged)}")
    return merged


def _evaluate(best: Trial, task: Callable[[DictConfig], Any], notes: Notes) -> None:
    logger.info("Evaluating trial %d, the best one, on the test split\n", best.number)
    THIS.notes = notes
    task(evaluation_config(best))
