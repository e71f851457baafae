"""The doctor names what would stop a run, and the line that mends it."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.compose import compose_config
from pipeline.environments import activation, lock_folder, unfinished_mark
from pipeline.locks import locked
from pipeline.root import ROOT
from pipeline.upkeep import machine, services
from pipeline.upkeep.doctor import doctor
from pipeline.upkeep.finding import (
    Finding,
    Grade,
    conclude,
    fail,
    format_finding,
    ok,
    warn,
)
from pipeline.upkeep.step_environments import State, check_environments, find_used
from tests.warm import WarmPython
from wandb_server import paths


def test_each_line_begins_with_a_word_and_the_exit_code_tells_whether_a_run_would_stop(
    tmp_path: Path, python: WarmPython
) -> None:
    store = f"sqlite:///{tmp_path}/new.db"
    variables = {"MLFLOW_TRACKING_URI": store, "WANDB_SERVER_DIR": str(tmp_path / "none")}

    result = python.run(
        "-m",
        "pipeline",
        "doctor",
        "main.wandb=local",
        cwd=ROOT,
        env=os.environ | variables,
        libraries=("hydra", "mlflow"),
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    lines = [line for line in result.stdout.split("\n") if line and not line.startswith(" ")]
    assert {line.split()[0] for line in lines[:-1]} <= {"ok", "warn"}
    assert lines[-1].startswith("Nothing would stop a run")
    names = {"Python", "packages", "git", "disk", "config", "data", "environments", "W&B", "MLflow"}
    assert names <= {line.split()[1] for line in lines[:-1]}
    assert "\x1b" not in result.stdout
    assert list(tmp_path.glob("n*")) == []  # nothing was made by looking


def test_what_would_stop_a_run_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    said: list[str] = []

    assert doctor(["main.projectname=x"], said.append, colored=False) == 1

    text = "\n".join(said)
    assert "-> unset PYTHONDONTWRITEBYTECODE" in text
    assert "Did you mean 'project_name'?" in text
    assert "\n1 would stop a run; " in text


@pytest.mark.parametrize(
    ("finding", "shown"),
    [
        (ok("disk", "fine"), "ok    disk            fine"),
        (
            warn("disk", "low", "make room"),
            "warn  disk            low\n                      -> make room",
        ),
        (
            fail("a", "b", f"rm -r {'/long' * 30}"),
            f"fail  a               b\n                      -> rm -r {'/long' * 30}",
        ),
        (fail("a", "b", "c"), "fail  a               b\n                      -> c"),
    ],
)
def test_findings_are_aligned_and_colors_only_add_to_words(finding: Finding, shown: str) -> None:
    colored = format_finding(finding, colored=True)

    assert format_finding(finding, colored=False) == shown
    assert colored == f"\x1b[{finding.grade.value}m{shown[:6]}\x1b[0m{shown[6:]}"


def test_the_end_counts() -> None:
    assert conclude([ok("a", "b")]) == "Nothing would stop a run."
    findings = [fail("a", "b", "c"), warn("a", "b", "c"), warn("a", "b", "c")]
    assert conclude(findings) == "1 would stop a run; 2 things to know."


def execute(statement: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.execute(statement)
            database.commit()

    return damage


@pytest.mark.parametrize(
    ("damage", "grade", "said", "mend"),
    [
        (lambda _: None, Grade.ok, ", migrated", ""),
        (lambda path: path.write_text("no database"), Grade.fail, "not a database", "mv "),
        (lambda path: path.write_bytes(b""), Grade.ok, "is empty", ""),
        (execute("DROP TABLE alembic_version"), Grade.fail, "half-made", "mv "),
        (
            execute("UPDATE alembic_version SET version_num = 'older'"),
            Grade.fail,
            "another version of MLflow (its schema is older)",
            "mlflow db upgrade sqlite:///",
        ),
    ],
)
def test_mlflow_s_database_is_looked_at_without_changing_it(
    damage: Callable[[Path], None], grade: Grade, said: str, mend: str, tmp_path: Path, store: str
) -> None:
    path = tmp_path / "mlflow.db"
    damage(path)
    before = path.read_bytes()

    finding = services.check_database(path)

    assert finding.grade == grade
    assert said in finding.said
    assert mend in finding.mend
    assert path.read_bytes() == before
    assert str(path) in store


def test_an_mlflow_server_that_doesn_t_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "0" if "RETRIES" in name else "2")
    monkeypatch.setattr("mlflow.get_tracking_uri", lambda: "http://127.0.0.1:9")

    finding = services.check_store()

    assert finding.grade == Grade.fail
    assert "http://127.0.0.1:9 doesn't answer: " in finding.said
    assert "unset MLFLOW_TRACKING_URI" in finding.mend


@pytest.mark.parametrize(
    ("wandb", "variables", "grade", "said", "mend"),
    [
        ("auto", {}, Grade.ok, "local server; the first run starts it", ""),
        ("auto", {"WANDB_MODE": "offline"}, Grade.fail, "WANDB_MODE=offline", "unset WANDB_MODE"),
        ("online", {}, Grade.fail, "there is no API key", "wandb login"),
        (
            "auto",
            {"WANDB_BASE_URL": "http://127.0.0.1:9"},
            Grade.fail,
            "127.0.0.1:9 (WANDB_BASE_URL=http://127.0.0.1:9) doesn't answer",
            "main.wandb=local",
        ),
    ],
)
def test_the_w_and_b_of_a_run_is_named_and_asked_but_not_started(
    wandb: str,
    variables: dict[str, str],
    grade: Grade,
    said: str,
    mend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(paths.VARIABLE, str(tmp_path / "data"))
    config = compose_config([f"main.wandb={wandb}"])

    finding = next(services.check_wandb(config, {"HOME": str(tmp_path), **variables}))

    assert (finding.grade, said in finding.said, mend in finding.mend) == (grade, True, True)
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("server")
def test_a_local_server_that_runs_is_named(data_folder: Path) -> None:
    (finding,) = services.check_wandb(compose_config(["main.wandb=local"]), {})

    assert finding.grade == Grade.ok
    assert "local server at http://127.0.0.1:" in finding.said
    assert str(data_folder) in finding.said


@pytest.mark.parametrize(
    ("url", "grade"),
    [
        ("sample_data/songs.parquet", Grade.ok),
        ("/nowhere/a.csv", Grade.fail),
        ("http://127.0.0.1:9/a.csv", Grade.warn),
    ],
)
def test_the_data_source_is_looked_for(url: str, grade: Grade) -> None:
    assert services.check_source(compose_config([f"dataset.url={url}"]), ROOT).grade == grade


@pytest.mark.parametrize(
    ("direct", "pin", "grade", "said"),
    [
        ("hydra-core==1.3.8", "hydra-core=={}", Grade.ok, "the 1 direct ones"),
        ("hydra-core==1.3.8", "Hydra_Core==99.{}", Grade.warn, "instead of 99."),
        ("no-such-package==1", "", Grade.fail, "not installed: no-such-package"),
    ],
)
def test_packages_are_compared_with_the_pins(
    direct: str, pin: str, grade: Grade, said: str, tmp_path: Path
) -> None:
    (tmp_path / "conda.yml").write_text(f"dependencies: [python=3.11, pip: [{direct}]]")
    (tmp_path / "constraints.txt").write_text(pin.format(metadata.version("hydra-core")))

    finding = machine.check_packages(tmp_path)

    assert (finding.grade, said in finding.said) == (grade, True)
    assert grade == Grade.ok or finding.mend == "uv pip install -r constraints.txt"


def test_pins_for_other_systems_don_t_count(tmp_path: Path) -> None:
    (tmp_path / "pins").write_text("# made\na==1 ; sys_platform == 'win32'\nB_c==2\n")

    assert machine.read_pins(tmp_path / "pins") == {"b-c": "2"}


@pytest.mark.parametrize(
    ("free", "grade"), [(10**11, Grade.ok), (10**9, Grade.warn), (10**8, Grade.fail)]
)
def test_a_full_disk_would_stop_a_run_and_a_tight_one_might(free: int, grade: Grade) -> None:
    assert machine.grade_room(free, ["temp"]).grade == grade


def test_a_missing_program_is_told_with_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert machine.check_manager("local").grade == Grade.ok
    assert machine.check_manager("uv").mend == "pip install uv"
    assert machine.check_manager("conda").mend == "install Miniforge"
    assert machine.check_git(ROOT).grade == Grade.warn


def test_environments_are_ready_half_built_being_made_or_broken(
    component: Path, tmp_path: Path
) -> None:
    from mlflow.projects.utils import load_project

    shutil.copy(component / "conda.yml", tmp_path)
    shutil.copy(component / "MLproject", tmp_path)

    def states() -> list[State]:
        return [item.state for item in find_used(tmp_path)]

    def tells_of_environments() -> str:
        (said,) = [item.said for item in check_environments(tmp_path) if item.grade == Grade.ok]
        return said

    assert states() == [State.missing, State.missing]
    assert tells_of_environments().startswith(f"1 to be made ({tmp_path.name}) (in ")
    activation(load_project(str(component)), component, "uv")
    assert states() == [State.ready, State.ready]
    assert tells_of_environments().startswith("1 ready (in ")
    folder = find_used(tmp_path)[0].folder
    unfinished_mark(folder).touch()
    assert states() == [State.unfinished, State.unfinished]
    with locked(lock_folder() / folder.name, "it is free"):
        assert states() == [State.busy, State.busy]
    unfinished_mark(folder).unlink()
    shutil.rmtree(next(folder.glob("lib/python3*/site-packages/six-*")))

    found = {(item.grade, item.name): item for item in check_environments(tmp_path)}

    assert found[Grade.fail, "environments"].said.endswith(" lacks six")
    assert found[Grade.fail, "environments"].mend == f"rm -r {folder}"
    assert found[Grade.warn, "pins"].mend == "python -m pipeline lock"
    assert states() == [State.broken, State.broken]
