"""How far a sweep has come: what was chosen, what is next, and whether anything is left."""

import json
import sqlite3
from dataclasses import dataclass

from wandb_server.lines import parse_object
from wandb_server.runs import Run
from wandb_server.sweeps.bayes import Observation, suggest
from wandb_server.sweeps.choose import Choice, chance, draw, next_in_grid
from wandb_server.sweeps.config import SweepConfig, parse_config
from wandb_server.sweeps.hand_outs import list_hand_outs
from wandb_server.sweeps.metrics import ENDED, Logged, impute, reaches_target, read_logged
from wandb_server.sweeps.parameters import Parameter, nest, reach, same
from wandb_server.sweeps.store import Sweep, list_prior_runs, list_sweep_runs


@dataclass(frozen=True)
class Trial:
    """A run of the sweep, or one from before it, with the parameters that it has.

    `choice` is None for a run whose config lacks some of them.
    """

    run: Run
    choice: str | None


def next_choice(connection: sqlite3.Connection, sweep: Sweep, config: SweepConfig) -> Choice | None:
    """Choose the parameters of the sweep's next run; None when it is to have no more."""
    trials = _list_trials(connection, sweep, config)
    logged = _read_all(connection, config, trials)
    if _is_full(connection, sweep, config) or _has_arrived(config, logged):
        return None
    if config.method == "grid":
        return next_in_grid(config.parameters, _taken(trials))
    source = chance(sweep.name, sweep.chosen)
    if config.metric is None or config.method == "random":
        return draw(config.parameters, source)
    values = impute(logged, config.metric)
    observations = [
        Observation(json.loads(trial.choice), value)
        for trial, run, value in zip(trials, logged, values, strict=True)
        # A run that ended without a value, where none can stand for it, teaches nothing.
        if trial.choice and not (value is None and run.state in ENDED)
    ]
    return suggest(config.parameters, config.metric.maximize, observations, source)


def current_state(connection: sqlite3.Connection, sweep: Sweep) -> str:
    """Give the state, where a sweep that has nothing left to do is FINISHED."""
    if sweep.state != "RUNNING":
        return sweep.state
    states = {run.current_state() for run in list_sweep_runs(connection, sweep)}
    if states & {"pending", "running", "preempting", "preempted"}:
        return "RUNNING"
    config = parse_config(sweep.config)
    trials = _list_trials(connection, sweep, config)
    done = (
        _is_full(connection, sweep, config)
        or _has_arrived(config, _read_all(connection, config, trials))
        or (config.method == "grid" and next_in_grid(config.parameters, _taken(trials)) is None)
    )
    return "FINISHED" if done else "RUNNING"


def _is_full(connection: sqlite3.Connection, sweep: Sweep, config: SweepConfig) -> bool:
    return (
        config.run_cap is not None and len(list_hand_outs(connection, sweep.id)) >= config.run_cap
    )


def _has_arrived(config: SweepConfig, logged: list[Logged]) -> bool:
    return config.metric is not None and reaches_target(logged, config.metric)


def _taken(trials: list[Trial]) -> set[str]:
    return {trial.choice for trial in trials if trial.choice is not None}


def _list_trials(connection: sqlite3.Connection, sweep: Sweep, config: SweepConfig) -> list[Trial]:
    given = {found.run_id: found.choice for found in list_hand_outs(connection, sweep.id)}
    runs = [*list_prior_runs(connection, sweep.id), *list_sweep_runs(connection, sweep)]
    # What a run was given holds also where its program wrote another config.
    return [Trial(run, given.get(run.id) or read_choice(run, config.parameters)) for run in runs]


def _read_all(
    connection: sqlite3.Connection, config: SweepConfig, trials: list[Trial]
) -> list[Logged]:
    """Read what the runs logged, if the next choice depends on it."""
    metric = config.metric
    if metric is None or (config.method != "bayes" and metric.target is None):
        return []
    return [read_logged(connection, trial.run, metric) for trial in trials]


def read_choice(run: Run, parameters: list[Parameter]) -> str | None:
    """Read a sweep's parameters from the config of a run that it didn't start."""
    config = {
        key: entry["value"]
        for key, entry in parse_object(run.config).items()
        if isinstance(entry, dict) and "value" in entry
    }
    try:
        return same(nest({found.path: reach(config, found.path) for found in parameters}))
    except KeyError:
        return None
