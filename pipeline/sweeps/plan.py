"""What a sweep is going to do, checked before its first trial."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from omegaconf import DictConfig

from pipeline.config import check_metrics, parse_steps
from pipeline.cores import count_workers
from pipeline.errors import ConfigError
from pipeline.schema import SweepEvaluate

# Trials that differ in one of these have different data or scores: none of them is the best.
_INCOMPARABLE = (
    "metrics",
    "dataset",
    "dataset.url",
    "dataset.sha256",
    "dataset.task",
    "dataset.target",
    "main.project_name",
)


@dataclass(frozen=True)
class Plan:
    """A sweep that begins.

    Attributes:
        id: Its own, for ever.
        folder: Where Hydra keeps it.
        varied: Keys that differ from trial to trial.
        workers: Trials that run side by side.
        maximize: Whether a higher score is better.
        is_comparable: Whether one of the trials can be called the best.
        is_one_batch: Whether all trials are handed to the launcher at once.
        options: Those of main.py that name another config than config.yaml.
    """

    id: str
    folder: Path
    varied: frozenset[str]
    workers: int
    maximize: bool
    is_comparable: bool
    is_one_batch: bool
    options: list[str]


def make_plan(config: DictConfig, sweep: str) -> Plan:
    """Return the plan of a sweep.

    Args:
        config: What Hydra composed of all that doesn't vary, with its own part.
        sweep: Id of the sweep.

    Raises:
        ConfigError: The sweep makes no sense.
    """
    sweeper = config.hydra.sweeper
    overrides = _parse(config)
    varied = {override.key_or_group for override in overrides if override.is_sweep_override()}
    is_search = "n_trials" in sweeper
    if config.hydra.launcher.get("n_jobs") == 0:
        raise ConfigError(
            "hydra.launcher.n_jobs=0: give the number of trials that run side by side, or -1 for "
            "as many as there are cores."
        )
    for override in overrides:
        _check_values(override, is_search)
    for key in sorted(varied):
        if key.split(".")[0] == "sweep" or key == "main.experiment_name":
            raise ConfigError(f"{key} holds for the whole sweep: give it one value.")
    incomparable = sorted(varied.intersection(_INCOMPARABLE))
    if incomparable and config.sweep.evaluate == SweepEvaluate.best:
        raise ConfigError(
            f"Trials that differ in {', '.join(incomparable)} can't be compared, and none of them "
            "is the best. sweep.evaluate=all runs each as a pipeline of its own, with its own "
            "evaluation; sweep.evaluate=none leaves evaluation out."
        )
    if "metrics" not in varied:
        check_metrics(config.metrics)
    steps = parse_steps(config.main.execute_steps)
    if steps == ("evaluate",) and config.sweep.evaluate != SweepEvaluate.all:
        raise ConfigError(
            "Trials are judged by the validation split and leave evaluate out: there is nothing to "
            "do. Add train_random_forest to main.execute_steps, or set sweep.evaluate=all."
        )
    if is_search and "train_random_forest" not in steps:
        raise ConfigError(
            "hydra/sweeper=optuna judges trials by the score on the validation split, which "
            f"main.execute_steps={config.main.execute_steps} doesn't make: add train_random_forest."
        )
    trials = sweeper.n_trials if is_search else _count_combinations(overrides)
    return Plan(
        id=sweep,
        folder=Path(config.hydra.sweep.dir).absolute(),
        varied=frozenset(varied),
        workers=max(1, int(min(count_workers(config.hydra.launcher), trials))),
        maximize=sweeper.get("direction", "maximize") == "maximize",
        is_comparable=not incomparable,
        is_one_batch=not is_search and sweeper.get("max_batch_size") is None,
        options=_list_options(config),
    )


def _list_options(config: DictConfig) -> list[str]:
    sources, name = config.hydra.runtime.config_sources, config.hydra.job.config_name
    folders = [source.path for source in sources if source.provider == "command-line"]
    named = ["--config-name", name] if name != "config" else []
    return [word for folder in folders for word in ("--config-dir", folder)] + named


def _parse(config: DictConfig) -> list[Override]:
    """Return the overrides of a sweep; Hydra's own sweeper has more of them in its settings."""
    params: Any = config.hydra.sweeper.get("params") or {}
    texts = [f"{key}={value}" for key, value in params.items()]
    return OverridesParser.create().parse_overrides([*texts, *config.hydra.overrides.task])


def _check_values(override: Override, is_search: bool) -> None:
    if not override.is_sweep_override():
        return
    if not override.is_discrete_sweep():
        if is_search:
            return
        raise ConfigError(
            f"{override.input_line}: only a search can choose from an interval. Add "
            "hydra/sweeper=optuna, or list the values, such as a,b,c or range(5,20,5)."
        )
    if _count_values(override) == 0:
        raise ConfigError(
            f"{override.input_line} holds no value: there is nothing to try. range(a,b) goes from "
            "a up to, but not including, b."
        )


def _count_combinations(overrides: list[Override]) -> float:
    return math.prod(_count_values(one) for one in overrides if one.is_sweep_override())


def _count_values(override: Override) -> float:
    """Return how many values an override has; infinity if only Hydra can find them."""
    if override.value_type == ValueType.GLOB_CHOICE_SWEEP:
        return math.inf
    return len(list(override.sweep_string_iterator()))
