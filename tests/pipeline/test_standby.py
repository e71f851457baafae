"""Steps that are started before their turn: the same to the step, with its imports done."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mlflow.projects.utils import load_project

from pipeline.config import STEPS
from pipeline.root import ROOT
from pipeline.standby import Standby, Standbys, count_running, find_program, is_busy, start
from tests.pipeline.test_backend import (
    KILLS_ITSELF,
    WAITS,
    is_alive,
    wait_for_child,
    wait_for_end,
)

# What a program sees of itself.
TELLS = """
import json, os, random, sys, own
names = ("__name__", "__file__", "__spec__", "__builtins__")
seen = {"arguments": sys.argv, "path": sys.path[0], "own": own.WORD,
        "main": sys.modules["__main__"].__dict__ is globals(),
        "names": {name: str(globals().get(name)) for name in names},
        "variables": {name: os.environ.get(name) for name in ("KEPT", "NEW", "GONE")},
        "imported": "colorsys" in sys.modules, "parent": os.getppid()}
import colorsys
json.dump(seen, open("seen.json", "w"))
"""
DRAWS = "import numpy; print(numpy.random.random(), file=open('drawn', 'a'))"
COUNT = "pipeline.standby.count_running"
CORES = os.cpu_count() or 1
SPINS = "while True: pass"
STARTS_A_THREAD = """
import threading
alive = threading.Thread(target=threading.Event().wait, daemon=True)
alive.start()
"""
USES_A_THREAD = "import lively; assert lively.alive.is_alive()"
WAITS_FOR_ITS_TURN = """
import os, sys
from pathlib import Path
from pipeline import standby
standby.count_running = lambda: 1
standbys = standby.Standbys(Path(sys.argv[1]).parent)
standbys.prepare("run.py", Path(sys.argv[1]), lambda: [], os.environ)
print(standbys._started["component"].result().leader.pid, flush=True)
sys.stdin.read()
"""
WORKS = """
import os, sys
from pathlib import Path
from pipeline import standby
component = Path(sys.argv[1])
taken = standby.Standbys(component.parent).take("run.py", component, [], os.environ)
taken.begin([], os.environ)
taken.wait()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where names of modules are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ml-pipeline" / "imports"


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the tests keep the machine."""
    monkeypatch.setattr(COUNT, lambda: 1)


@pytest.fixture
def standbys(component: Path) -> Iterator[Standbys]:
    standbys = Standbys(component.parent, is_kept=True)
    yield standbys
    standbys.close()


def take(standbys: Standbys, component: Path) -> Standby:
    return standbys.take("run.py", component, [], os.environ)


def work(standby: Standby, *arguments: str, **variables: str) -> int:
    """Let a process do its work; return the exit code."""
    standby.begin(arguments, os.environ | variables)
    try:
        return standby.wait()
    finally:
        standby.release()


def seen(component: Path) -> dict[str, Any]:
    return dict(json.loads((component / "seen.json").read_text()))


def write(component: Path, program: str, word: str = "first") -> None:
    (component / "run.py").write_text(program)
    (component / "own.py").write_text(f"WORD = {word!r}")


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("exec python run.py --a {a} --b_c {b_c}", "run.py"),
        ("exec python run.py {text}", "run.py"),
        ("exec python run.py", "run.py"),
        ("python run.py {text}", None),
        ("exec python -O run.py", None),
        ("exec python run.py {text} && echo", None),
        ("exec python run.py --a $HOME", None),
        ("exec python run.py --a *", None),
        ("cd .. && exec python run.py", None),
    ],
)
def test_a_command_that_does_more_than_call_a_program_is_left_to_the_shell(
    command: str, program: str | None
) -> None:
    assert find_program(command) == program


def test_each_step_can_be_started_before_its_turn() -> None:
    commands = [load_project(str(ROOT / name)).get_entry_point("main").command for name in STEPS]
    assert [find_program(command) for command in commands] == ["run.py"] * len(STEPS)


def test_a_step_sees_what_it_would_see_if_it_were_started_in_its_turn(
    component: Path, standbys: Standbys
) -> None:
    write(component, TELLS)
    variables = os.environ | {"KEPT": "1", "NEW": "2"}
    command = [sys.executable, "run.py", "a b", "*"]
    subprocess.run(command, cwd=component, env=variables, check=True)
    expected = seen(component) | {"parent": None}

    standbys.prepare("run.py", component, list, os.environ | {"KEPT": "1", "GONE": "3"})
    standby = take(standbys, component)
    assert work(standby, "a b", "*", KEPT="1", NEW="2") == 0

    assert seen(component) | {"parent": None} == expected
    assert seen(component)["parent"] == standby.leader.pid


def test_what_is_installed_is_imported_before_its_turn_and_its_own_files_are_read_in_it(
    component: Path, standbys: Standbys, cache: Path
) -> None:
    write(component, TELLS)
    first = take(standbys, component)
    assert (work(first), seen(component)["imported"]) == (0, False)
    names = next(cache.glob("component-*.txt")).read_text().split()
    assert "colorsys" in names
    assert not {"own", "__main__"} & set(names)

    write(component, TELLS, word="changed meanwhile")
    assert take(standbys, component) is first
    assert work(first) == 0
    assert seen(component)["imported"]
    assert seen(component)["own"] == "changed meanwhile"


def test_a_module_that_is_gone_does_no_harm(
    component: Path, standbys: Standbys, cache: Path
) -> None:
    write(component, TELLS)
    work(take(standbys, component))
    names = next(cache.glob("component-*.txt"))
    names.write_text(f"gone_meanwhile\n{names.read_text()}")

    assert work(take(standbys, component)) == 0


def test_each_turn_draws_numbers_of_its_own(component: Path, standbys: Standbys) -> None:
    write(component, DRAWS)
    codes = [work(take(standbys, component)) for _ in range(3)]

    assert codes == [0, 0, 0]
    assert len(set((component / "drawn").read_text().split())) == 3


def test_a_library_with_threads_is_imported_in_the_step_s_turn(
    component: Path, standbys: Standbys
) -> None:
    # A module counts as installed if it is below the environment's folder.
    home = next(Path(entry) for entry in sys.path if entry.startswith(sys.prefix))
    library = home / f"lively{os.getpid()}.py"
    try:
        library.write_text(STARTS_A_THREAD)
        write(component, USES_A_THREAD.replace("lively", library.stem))
        assert [work(take(standbys, component)) for _ in range(3)] == [0, 0, 0]
    finally:
        library.unlink()


@pytest.mark.parametrize(("program", "code"), [("raise SystemExit(4)", 4), ("1 / 0", 1)])
def test_a_failed_turn_leaves_the_process_fit_for_another(
    component: Path, standbys: Standbys, program: str, code: int
) -> None:
    write(component, program)
    standby = take(standbys, component)
    assert work(standby) == code

    write(component, TELLS)
    assert take(standbys, component) is standby
    assert work(standby) == 0


def test_a_killed_process_takes_its_step_along_and_is_replaced(
    component: Path, standbys: Standbys
) -> None:
    write(component, WAITS)
    standby = take(standbys, component)
    standby.begin([], os.environ)
    child = wait_for_child(component)
    standby.leader.kill()

    assert standby.wait() == -signal.SIGKILL
    standby.release()
    wait_for_end(child)
    write(component, TELLS)
    assert work(take(standbys, component)) == 0


def test_what_kills_a_step_is_told_by_its_exit_code_and_nothing_else(
    component: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(component, KILLS_ITSELF)
    standby = take(Standbys(component.parent), component)

    assert work(standby) == -signal.SIGKILL
    assert standby.leader.returncode == -signal.SIGKILL
    assert capfd.readouterr().err == ""


def test_a_killed_pipeline_s_step_ends_in_its_own_way_and_leaves_nothing(
    component: Path, tmp_path: Path
) -> None:
    (tmp_path / "temporary").mkdir()
    write(component, WAITS)
    variables = os.environ | {"TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WORKS, str(component)]
    pipeline = subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)
    child = wait_for_child(component)
    pipeline.kill()

    # All of them have ended by the end of what they say.
    _, said = pipeline.communicate()
    assert said == ""
    wait_for_end(child)
    assert (component / "ended").read_text() == "well"
    assert not list((tmp_path / "temporary").iterdir())


def test_folders_that_libraries_make_when_they_are_imported_are_there_in_each_turn_and_go(
    component: Path, standbys: Standbys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    write(component, "import wandb; wandb.Html('<p>Text</p>')")
    # The first turn imports for itself.
    assert [work(take(standbys, component)) for _ in range(3)] == [0, 0, 0]
    assert list((tmp_path / "temporary").iterdir())

    standbys.close()
    assert not list((tmp_path / "temporary").iterdir())


def test_of_a_step_that_was_reused_no_process_waits_until_it_has_run(
    component: Path, standbys: Standbys
) -> None:
    write(component, TELLS)

    def prepare() -> Mapping[str, Any]:
        standbys.prepare("run.py", component, list, os.environ)
        return standbys._started

    waiting = prepare()["component"].result()
    standbys.note_reused("component")
    waiting.leader.wait(60)
    assert not prepare()

    assert work(take(standbys, component)) == 0
    assert prepare()


def test_the_steps_that_ran_before_are_prepared_first_if_their_environment_is_there(
    component: Path, tmp_path: Path
) -> None:
    write(component, TELLS)
    script = tmp_path / "activate"
    script.write_text("")

    def run_pipeline() -> Standby:
        standbys = Standbys(tmp_path)
        standby = standbys.take("run.py", component, [f"source {script}"], os.environ)
        assert work(standby) == 0
        standbys.close()
        return standby

    def prepare(*names: str) -> list[str]:
        standbys = Standbys(tmp_path)
        standbys.prepare_as_before(names, os.environ)
        prepared = list(standbys._started)
        standbys.close()
        return prepared

    assert prepare("component") == []
    run_pipeline()
    assert prepare("component") == ["component"]
    assert prepare("other") == []
    script.unlink()
    assert prepare("component") == []


def test_where_all_cores_are_busy_nothing_is_imported_ahead(
    component: Path, standbys: Standbys, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(component, TELLS)
    monkeypatch.setattr(COUNT, count_running)
    with ExitStack() as others:
        for _ in range(CORES + 1):
            other = others.enter_context(subprocess.Popen([sys.executable, "-c", SPINS]))
            others.callback(other.kill)
        standbys.prepare("run.py", component, list, os.environ)
        ahead = standbys._started["component"]
        wait([ahead])

    assert ahead.cancelled()
    assert work(take(standbys, component)) == 0


def test_a_core_that_has_work_for_a_moment_only_is_not_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = iter([CORES + 1, CORES])
    monkeypatch.setattr(COUNT, lambda: next(counts))
    assert not is_busy()


def test_a_process_in_another_environment_than_it_should_be_is_replaced(
    component: Path, standbys: Standbys
) -> None:
    write(component, TELLS)
    standbys.prepare("run.py", component, lambda: ["export KEPT=wrong"], os.environ)
    wrong = standbys._started["component"].result()

    right = standbys.take("run.py", component, ["export KEPT=right"], os.environ)
    assert work(right) == 0
    assert seen(component)["variables"]["KEPT"] == "right"
    assert wrong.leader.returncode is not None


def test_a_process_that_is_not_needed_ends_without_a_word_even_while_python_starts(
    component: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    (tmp_path / "sitecustomize.py").write_text(
        f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(60)"
    )
    write(component, "")
    standby = start("run.py", component, [], os.environ | {"PYTHONPATH": str(tmp_path)}, keep=False)
    begun.read_text()

    standby.close()

    assert standby.leader.returncode == -signal.SIGTERM
    assert capfd.readouterr().err == ""


def test_a_process_that_waits_ends_with_its_pipeline(component: Path) -> None:
    write(component, TELLS)
    command = [sys.executable, "-c", WAITS_FOR_ITS_TURN, str(component)]
    pipeline = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert pipeline.stdout
    waiting = int(pipeline.stdout.readline())
    assert is_alive(waiting)
    pipeline.kill()
    pipeline.communicate()

    wait_for_end(waiting)
