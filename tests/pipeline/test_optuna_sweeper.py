"""`hydra/sweeper=optuna` searches, and a trial that fails costs no more than that trial."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.root import ROOT
from tests.warm import Finished, WarmPython

PROGRAM = """
import hydra

@hydra.main(version_base="1.3", config_path=None)
def program(config):
    x = config.x
    if config.get("fails_above") is not None and x > config.fails_above:
        raise ValueError(f"{x} is too much")
    if config.get("nan_below") is not None and x < config.nan_below:
        return float("nan")
    if config.get("silent"):
        return None
    return -((x - 3) ** 2) - (0 if config.get("kind", "good") == "good" else 10)

program()
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def sweep(program: Path, python: WarmPython) -> Callable[..., Finished]:
    """Return a function that sweeps over the program."""

    def sweep(*overrides: str) -> Finished:
        options = ["-m", "hydra/sweeper=optuna", "hydra.sweep.dir=swept"]
        return python.run(
            str(program),
            *options,
            *overrides,
            cwd=program.parent,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            libraries=("hydra", "optuna.samplers"),
        )

    return sweep


def results(program: Path) -> dict[str, Any]:
    found = yaml.safe_load((program.parent / "swept" / "optimization_results.yaml").read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.exhaustive
def test_it_finds_the_best_of_numbers_and_choices_and_writes_it_down(
    program: Path, sweep: Callable[..., Finished]
) -> None:
    space = ["+x=interval(-10.0,10.0)", "+kind=good,bad", "hydra.sweeper.n_trials=25"]

    done = sweep(*space)

    assert done.returncode == 0, done.stderr
    best = results(program)
    assert best["best_params"]["+kind"] == "good"
    assert best["best_value"] > -0.5
    assert best["failed"] == 0
    values = [trial["value"] for trial in best["trials"]]
    assert len(values) == 25
    assert max(values) == best["best_value"]


def test_the_same_seed_chooses_the_same_trials_and_less_can_be_better(
    program: Path, sweep: Callable[..., Finished]
) -> None:
    options = ["+x=range(0,9)", "hydra.sweeper.n_trials=6", "hydra.sweeper.direction=minimize"]

    sweep(*options)
    first = results(program)
    sweep(*options)

    assert results(program) == first
    assert len(first["trials"]) == 6
    assert first["best_value"] == min(trial["value"] for trial in first["trials"])


def test_trials_that_fail_are_told_and_the_others_count(
    program: Path, sweep: Callable[..., Finished]
) -> None:
    options = ["+x=int(interval(1,8))", "+fails_above=6", "+nan_below=2"]

    done = sweep(
        *options,
        "hydra.sweeper.n_trials=12",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
    )

    assert done.returncode == 0, done.stderr
    said = results(program)
    failed = [trial for trial in said["trials"] if trial["value"] is None]
    assert len(said["trials"]) == 12
    assert said["failed"] == len(failed)
    assert {trial["trouble"] for trial in failed if trial["params"]["+x"] > 6} <= {
        "7 is too much",
        "8 is too much",
    }
    assert any(trial["params"]["+x"] > 6 for trial in failed)
    assert said["best_params"] == {"+x": 3} or said["best_value"] in (-1.0, -4.0)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+x=1"], "no override varies. Give at least one a choice"),
        (["+x=1,2", "+silent=true", "hydra.sweeper.n_trials=1"], "None of 1 trials has a score"),
        (["+x=1,2", "hydra.sweeper.direction=up"], "choose one of maximize, minimize"),
        (["+x=1,2", "hydra.sweeper.n_trials=0"], "give a number of at least 1"),
        (["+x=interval(5,1)"], "x: "),
    ],
)
def test_what_can_t_be_searched_is_told(
    overrides: list[str], message: str, sweep: Callable[..., Finished]
) -> None:
    done = sweep(*overrides)

    assert done.returncode == 1
    assert message in done.stderr
