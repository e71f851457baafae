"""A trial that fails costs that trial, and a sweep that makes no sense is told before the first."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from joblib import cpu_count

from pipeline.errors import ConfigError
from pipeline.overrides import expand_arguments
from pipeline.root import ROOT
from pipeline.schema import register_schema
from pipeline.sweeps.plan import Plan, make_plan
from pipeline.sweeps.trial import read_trials
from tests.pipeline.test_backend import wait_for_end
from tests.pipeline.test_locks import wait_until
from tests.warm import Finished, WarmPython

# The real config and callbacks around a task that takes no time.
PROGRAM = """
import os, sys
import hydra
from pipeline.schema import register_schema
from pipeline.sweeps import process

register_schema()

@hydra.main(version_base="1.3", config_path=ROOT, config_name="config")
def program(config):
    depth = config.random_forest_pipeline.random_forest.max_depth
    if depth == 2:
        raise ValueError("two is too few")
    threads = os.environ.get("OMP_NUM_THREADS")
    process.THIS.notes.model = f"model:v{depth}, {process.THIS.workers} at once"
    process.THIS.notes.versions = [f"threads {threads}"]
    if process.THIS.workers > 1:
        process.THIS.notes.versions.append(f"mlflow imported {'mlflow' in sys.modules}")
    return float("nan") if depth == 3 else depth

if __name__ == "__main__":
    program()
    print("sweep", process.THIS.plan.id)
"""
# main.py's start with a task that does nothing.
START = """
import sys
import hydra
from pipeline.start import run_main

@hydra.main(version_base="1.3", config_path=ROOT, config_name="config")
def task(config):
    print("began")

if __name__ == "__main__":
    sys.exit(run_main(task))
"""
# A trial that lasts, and notes its process and how it ends.
LASTS = """
import os, time
from pathlib import Path
import hydra
from pipeline.schema import register_schema

register_schema()

@hydra.main(version_base="1.3", config_path=ROOT, config_name="config")
def program(config):
    notes = Path(f"trial{config.random_forest_pipeline.random_forest.max_depth}")
    try:
        notes.with_suffix(".draft").write_text(str(os.getpid()))
        notes.with_suffix(".draft").replace(notes)
        time.sleep(600)
    except Exception as error:
        notes.with_suffix(".end").write_text(str(error))
        raise

if __name__ == "__main__":
    program()
"""
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
IN_ITS_TURN = "mlflow imported False"
CORES = cpu_count()
DEPTH = "random_forest_pipeline.random_forest.max_depth"


@pytest.fixture
def run(python: WarmPython) -> Callable[..., Finished]:
    """Return a function that sweeps over a program: run(program, "a=1,2")."""

    def run(program: Path, *overrides: str) -> Finished:
        return python.run(
            str(program),
            "-m",
            *overrides,
            cwd=program.parent,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            libraries=("hydra",),
        )

    return run


@pytest.mark.parametrize(
    ("overrides", "workers", "process"),
    [
        (["hydra.sweeper.max_batch_size=1"], 1, ["threads None"]),
        (JOBLIB, 2, [f"threads {max(1, CORES // 2)}", "mlflow imported True"]),
        ([*JOBLIB, "main.preload=false"], 2, [f"threads {max(1, CORES // 2)}", IN_ITS_TURN]),
    ],
    ids=["basic", "joblib", "joblib, nothing ahead"],
)
def test_a_trial_that_fails_or_gives_nan_costs_that_trial_and_is_told_at_once(
    overrides: list[str],
    workers: int,
    process: list[str],
    tmp_path: Path,
    run: Callable[..., Finished],
) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"ROOT = {str(ROOT)!r}\n{PROGRAM}")

    done = run(program, "hydra.sweep.dir=swept", *overrides, f"{DEPTH}=1,2,3,4")

    assert done.returncode == 0, done.stderr
    assert f"Trial 1 failed ({DEPTH}=2): two is too few" in done.stdout
    assert f"Trial 2 failed ({DEPTH}=3): its score is nan" in done.stdout
    if workers == 1:
        assert done.stdout.index("Trial 1 failed") < done.stdout.index("Trial 3: 4.000000")
    (sweep,) = re.findall(r"^sweep (\w+)$", done.stdout, re.MULTILINE)
    trials = read_trials(tmp_path / "swept", sweep)
    assert [trial.score for trial in trials] == [1, None, None, 4]
    assert trials[3].notes.model == f"model:v4, {workers} at once"
    assert trials[3].notes.versions == process
    assert [trial.state for trial in trials] == ["finished", "failed", "failed", "finished"]
    assert trials[3].config["random_forest_pipeline"]["random_forest"]["max_depth"] == 4


def ignores(process: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{process}/status").read_text()
    (ignored,) = re.findall(r"^SigIgn:\s+(\w+)$", status, re.MULTILINE)
    return bool(int(ignored, 16) & 1 << number - 1)


def test_workers_end_their_trials_in_their_own_way_when_their_sweep_is_killed(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"ROOT = {str(ROOT)!r}\n{LASTS}")
    joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    sweep = subprocess.Popen(
        ["nohup", sys.executable, str(program), "-m", *joblib, f"{DEPTH}=1,2,3"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    notes = [tmp_path / f"trial{depth}" for depth in (1, 2)]
    wait_until(lambda: all(note.exists() for note in notes))
    assert all(ignores(int(note.read_text()), signal.SIGHUP) for note in notes)
    sweep.kill()

    said, _ = sweep.communicate(timeout=60)  # the end of the last process that could say something
    assert said.count("failed (random") == 2
    assert "Traceback" not in said
    assert "resource_tracker" not in said
    for note in notes:
        wait_for_end(int(note.read_text()))
        assert note.with_suffix(".end").read_text().startswith("The sweep was stopped")
    assert not (tmp_path / "trial3").exists()


def test_a_sweep_that_is_stopped_before_its_workers_are_there_ends_in_one_line(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"ROOT = {str(ROOT)!r}\n{START}")
    sweep = subprocess.Popen(
        [sys.executable, str(program), "-m", *JOBLIB, f"{DEPTH}=1,2,3"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{sweep.pid}/task/{sweep.pid}/children")
    wait_until(lambda: any(map(is_forkserver, children.read_text().split())))
    os.killpg(sweep.pid, signal.SIGINT)

    said, _ = sweep.communicate(timeout=60)  # the end of the last process that could say something
    assert said == "\nStopped. What was running is marked as failed.\n"
    assert sweep.returncode == 130


def is_forkserver(process: str) -> bool:
    return b"multiprocessing.forkserver" in Path(f"/proc/{process}/cmdline").read_bytes()


def plan(*overrides: str, name: str = "config") -> Plan:
    register_schema()
    words = expand_arguments(["-m", *overrides])[1:]
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra
        return make_plan(hydra.compose_config(name, words, RunMode.MULTIRUN), "id")


def test_a_plan_knows_what_varies_and_how_many_trials_can_run_at_once() -> None:
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=8")
    grid = plan(*joblib, f"{DEPTH}=range(1,4)", "main.random_seed=1,2")
    search = plan(*joblib, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=5", f"{DEPTH}=1,2")

    assert grid.varied == {DEPTH, "main.random_seed"}
    assert (grid.workers, grid.maximize, grid.is_comparable) == (6, True, True)
    assert search.workers == 5
    assert plan(f"{DEPTH}=1,2").workers == 1
    assert not plan("metrics=[r2],[accuracy]", "sweep.evaluate=all").is_comparable
    assert not plan("dataset=glob(*)", "sweep.evaluate=all").is_comparable


def test_a_plan_knows_by_which_options_the_config_was_chosen() -> None:
    assert plan(f"{DEPTH}=1,2").options == []
    assert plan(name="config.yaml").options == ["--config-name", "config.yaml"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([f"{DEPTH}=range(5,5)"], f"{DEPTH}=range(5,5) holds no value: there is nothing to try"),
        ([f"{DEPTH}=5,"], f"{DEPTH}=5, holds an empty value"),
        ([f"{DEPTH}=5,,6"], f"{DEPTH}=5,,6 holds an empty value"),
        ([f"{DEPTH}=choice()"], f"{DEPTH}=choice() holds an empty value"),
        ([f"{DEPTH}=int(interval(2,9))"], "Add hydra/sweeper=optuna, or list the values"),
        ([f"{DEPTH}=2,3", "metrics=[rok_auc]"], "Did you mean 'roc_auc'"),
        (["metrics=[r2],[accuracy]"], "Trials that differ in metrics can't be compared"),
        ([f"{DEPTH}=2,3", *JOBLIB[:1], "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs=0: give"),
        (["sweep.evaluate=best,all"], "sweep.evaluate holds for the whole sweep"),
        ([f"{DEPTH}=2,3", "main.execute_steps=evaluate"], "there is nothing to do"),
        (
            [f"{DEPTH}=2,3", "hydra/sweeper=optuna", "main.execute_steps=preprocess"],
            "add train_random_forest",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_sweep_that_makes_no_sense_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        plan(*overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["random_forest_pipeline.random_forest.depth=2,3"], "There is no key"),
        (["hydra/launcher=basic,joblib"], "give hydra/launcher one value"),
        ([f"{DEPTH}="], f"{DEPTH}=: give a whole number or null."),
        ([f"{DEPTH}=2,3", "metrics=[rok_auc]"], "Did you mean 'roc_auc'"),
        (
            [f"{DEPTH}=2,deep", "hydra/sweeper=optuna"],
            f"{DEPTH}=deep: give a whole number or null.",
        ),
        (
            [f"{DEPTH}=2,3", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=0"],
            "hydra.sweeper.n_trials=0: give a number of at least 1.",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_refused_ends_the_program_before_the_first_trial(
    overrides: list[str], message: str, tmp_path: Path, run: Callable[..., Finished]
) -> None:
    program = tmp_path / "main.py"
    program.write_text(f"ROOT = {str(ROOT)!r}\n{START}")

    done = run(program, *overrides)

    assert done.returncode == 1
    assert message in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert "began" not in done.stdout
