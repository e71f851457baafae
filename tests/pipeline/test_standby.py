"""Steps that are started before their turn: the same to the step, with its imports done."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from mlflow.projects.utils import load_project

from pipeline.busy import count_running, is_busy
from pipeline.command import find_program
from pipeline.config import STEPS
from pipeline.root import ROOT
from pipeline.standby import Turn, short, start
from pipeline.standbys import Standbys
from tests.pipeline.test_backend import (
    KILLS_ITSELF,
    WAITS,
    is_alive,
    wait_for_child,
    wait_for_end,
)
from tests.pipeline.test_locks import wait_until

# What a program sees of itself.
TELLS = """
import json, os, random, sys, own
names = ("__name__", "__file__", "__spec__", "__builtins__")
seen = {"arguments": sys.argv, "path": sys.path[0], "own": own.WORD,
        "main": sys.modules["__main__"].__dict__ is globals(),
        "names": {name: str(globals().get(name)) for name in names},
        "variables": {name: os.environ.get(name) for name in ("KEPT", "NEW", "GONE")},
        "imported": "colorsys" in sys.modules, "parent": os.getppid(),
        "comm": open("/proc/self/comm").read()}
__import__("colorsys")  # not to be found by reading the file
json.dump(seen, open("seen.json", "w"))
"""
DRAWS = "import numpy; print(numpy.random.random(), file=open('drawn', 'a'))"
COUNT = "pipeline.busy.count_running"
CORES = os.cpu_count() or 1
SPINS = "while True: pass"
STARTS_A_THREAD = """
import threading
alive = threading.Thread(target=threading.Event().wait, daemon=True)
alive.start()
"""
USES_A_THREAD = "import lively; assert lively.alive.is_alive()"
IMPORTED_IN_THE_END = """
import time
from pathlib import Path
while not Path(__file__).with_name("end").exists():
    time.sleep(0.01)
"""
# Ends only if the other one runs at the same time; wandb's import makes a folder for each.
WAITS_FOR_THE_OTHER = """
import time
from pathlib import Path
import wandb
from wandb.sdk.data_types._private import MEDIA_TMP
Path("home").write_text(MEDIA_TMP.name)
while not all((Path("..") / name / "home").exists() for name in ("component", "other")):
    time.sleep(0.01)
assert Path(MEDIA_TMP.name).exists()
"""
# What a program's end is for: threads, what was registered, what was written.
ENDS = """
import atexit, sys, threading, time
kept = open("kept", "w")
kept.write("to the end")
if sys.argv[1] == "closed":
    kept.close()
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
atexit.register(print, "registered")
print("program")
sys.exit(eval(sys.argv[2]))
"""
WAITS_FOR_ITS_TURN = """
import os, sys
from pathlib import Path
from pipeline import standbys as pool
pool.is_busy = lambda: False
standbys = pool.Standbys(Path(sys.argv[1]).parent)
standbys.prepare("run.py", Path(sys.argv[1]), lambda: [], os.environ)
standbys._prepared["component"].result()
print(*[server.leader.pid for server in standbys._servers.values()], flush=True)
sys.stdin.read()
"""
WORKS = """
import os, sys
from pathlib import Path
from pipeline import standbys as pool
component = Path(sys.argv[1])
pool.Standbys(component.parent).begin("run.py", component, [], [], os.environ).wait()
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


def begin(standbys: Standbys, component: Path, *arguments: str, **variables: str) -> Turn:
    return standbys.begin("run.py", component, [], arguments, os.environ | variables)


def work(standbys: Standbys, component: Path, *arguments: str, **variables: str) -> int:
    """Let a step do its work; return the exit code."""
    turn = begin(standbys, component, *arguments, **variables)
    try:
        return turn.wait()
    finally:
        turn.release()


def prepare(standbys: Standbys, component: Path, *activation: str) -> "Future[None]":
    """Have a step prepared."""
    standbys.prepare("run.py", component, lambda: activation, os.environ)
    return standbys._prepared[component.name]


def processes(standbys: Standbys) -> list[int]:
    """Return the fork servers."""
    return [server.leader.pid for server in standbys._servers.values()]


def seen(component: Path) -> dict[str, Any]:
    return dict(json.loads((component / "seen.json").read_text()))


@pytest.fixture
def other(component: Path) -> Path:
    """Folder of another component."""
    folder = component.with_name("other")
    folder.mkdir()
    return folder


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
    expected = seen(component) | {"parent": None, "comm": "component\n"}

    standbys.prepare("run.py", component, list, os.environ | {"KEPT": "1", "GONE": "3"})
    standbys._prepared["component"].result()
    assert work(standbys, component, "a b", "*", KEPT="1", NEW="2") == 0

    assert seen(component) | {"parent": None} == expected
    assert [seen(component)["parent"]] == processes(standbys)


def test_what_is_installed_is_imported_before_its_turn_and_its_own_files_are_read_in_it(
    component: Path, standbys: Standbys, cache: Path
) -> None:
    write(component, TELLS)
    assert (work(standbys, component), seen(component)["imported"]) == (0, False)
    first = processes(standbys)
    names = next(cache.glob("component-*.txt")).read_text().split()
    assert "colorsys" in names
    assert not {"own", "__main__"} & set(names)

    write(component, TELLS, word="changed meanwhile")
    assert work(standbys, component) == 0
    assert processes(standbys) == first
    assert seen(component)["imported"]
    assert seen(component)["own"] == "changed meanwhile"


def test_what_files_ask_for_is_imported_before_the_first_turn(
    component: Path, standbys: Standbys
) -> None:
    write(component, f"import own\n{TELLS}")
    (component / "own.py").write_text("def later():\n    import colorsys\nWORD = 'first'")
    (component / "not_python.py").write_text("import colorsys as")

    assert work(standbys, component) == 0
    assert seen(component)["imported"]


def test_steps_of_one_environment_share_what_is_imported_and_note_only_their_own(
    component: Path, other: Path, standbys: Standbys, cache: Path
) -> None:
    write(component, TELLS)
    write(other, TELLS.replace("colorsys", "chunk"))
    assert work(standbys, component) == work(standbys, component) == 0
    assert work(standbys, other) == 0

    assert len(processes(standbys)) == 1
    assert seen(other)["parent"] == seen(component)["parent"]
    names = next(cache.glob("other-*.txt")).read_text().split()
    assert "chunk" in names
    assert "colorsys" not in names


def test_processes_of_a_sweep_share_it_whoever_has_started_it(
    component: Path, other: Path, standbys: Standbys
) -> None:
    write(component, WAITS_FOR_THE_OTHER)
    write(other, WAITS_FOR_THE_OTHER)
    second = Standbys(component.parent, standbys.home, is_kept=True)
    turns = [begin(standbys, component), begin(second, other)]

    assert [turn.wait() for turn in turns] == [0, 0]
    assert len(processes(standbys) + processes(second)) == 1
    homes = [(folder / "home").read_text() for folder in (component, other)]
    assert len(set(homes)) == 2
    assert not any(Path(home).exists() for home in homes)
    for turn in turns:
        turn.release()


def test_the_next_import_begins_while_one_lasts_whose_turn_has_come(
    component: Path, other: Path, tmp_path: Path, standbys: Standbys
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "slow.py").write_text(IMPORTED_IN_THE_END)
    variables = os.environ | {"PYTHONPATH": str(library)}
    for folder, environment in ((component, "one"), (other, "two")):
        (folder / "run.py").write_text("import slow")
        enter = partial(list[str], [f"export ENVIRONMENT={environment}"])
        standbys.prepare("run.py", folder, enter, variables)
    first, second = (standbys._prepared[folder.name] for folder in (component, other))
    wait_until(lambda: len(processes(standbys)) == 1)
    assert not second.running()

    turn = standbys.begin("run.py", component, ["export ENVIRONMENT=one"], [], variables)
    first.result()
    wait_until(lambda: len(processes(standbys)) == 2)
    (library / "end").touch()
    assert turn.wait() == 0
    turn.release()
    second.result()


def test_a_module_that_is_gone_does_no_harm(
    component: Path, standbys: Standbys, cache: Path
) -> None:
    write(component, TELLS)
    work(standbys, component)
    names = next(cache.glob("component-*.txt"))
    names.write_text(f"gone_meanwhile\n{names.read_text()}")

    assert work(standbys, component) == 0


def test_each_turn_draws_numbers_of_its_own(component: Path, standbys: Standbys) -> None:
    write(component, DRAWS)
    codes = [work(standbys, component) for _ in range(3)]

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
        assert [work(standbys, component) for _ in range(3)] == [0, 0, 0]
    finally:
        library.unlink()


@pytest.mark.parametrize("file", ["closed", "open"])
@pytest.mark.parametrize("code", ["None", "0", "3", "-1", "256", "True", "'said'", "1 / 0"])
def test_a_step_ends_as_it_would_by_itself(
    component: Path,
    standbys: Standbys,
    capfd: pytest.CaptureFixture[str],
    file: str,
    code: str,
) -> None:
    write(component, ENDS)
    kept = component / "kept"
    command = [sys.executable, "run.py", file, code]
    expected = subprocess.run(command, cwd=component, check=False).returncode, kept.read_text()
    said, complained = capfd.readouterr()
    kept.unlink()

    assert (work(standbys, component, file, code), kept.read_text()) == expected
    assert kept.read_text() == "to the end"
    now, now_complained = capfd.readouterr()
    assert now == said == "program\nthread\nregistered\n"
    assert now_complained.splitlines()[-1:] == complained.splitlines()[-1:]


@pytest.mark.parametrize(("program", "code"), [("raise SystemExit(4)", 4), ("1 / 0", 1)])
def test_a_failed_turn_leaves_the_process_fit_for_another(
    component: Path, standbys: Standbys, program: str, code: int
) -> None:
    write(component, program)
    assert work(standbys, component) == code
    first = processes(standbys)

    write(component, TELLS)
    assert work(standbys, component) == 0
    assert processes(standbys) == first


def test_a_killed_process_takes_its_step_along_and_is_replaced(
    component: Path, standbys: Standbys
) -> None:
    write(component, WAITS)
    turn = begin(standbys, component)
    child = wait_for_child(component)
    (server,) = standbys._servers.values()
    server.leader.kill()

    assert turn.wait() == -signal.SIGKILL
    turn.release()
    wait_for_end(child)
    write(component, TELLS)
    assert work(standbys, component) == 0


@pytest.mark.usefixtures("handlers")
def test_who_was_interrupted_while_it_waited_waits_again_for_the_exit_code(
    component: Path, standbys: Standbys
) -> None:
    write(component, WAITS)
    turn = begin(standbys, component)
    wait_for_child(component)  # it has been told that the step has begun
    interrupt = Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        turn.wait()

    turn.interrupt()
    assert turn.wait() == 3
    turn.release()


def test_an_environment_that_can_t_be_entered_fails_the_step_with_its_exit_code(
    component: Path, standbys: Standbys
) -> None:
    write(component, TELLS)
    turn = standbys.begin("run.py", component, ["exit 7"], [], os.environ)
    assert turn.wait() == 7
    turn.release()


def test_what_kills_a_step_is_told_by_its_exit_code_and_nothing_else(
    component: Path, standbys: Standbys, capfd: pytest.CaptureFixture[str]
) -> None:
    write(component, KILLS_ITSELF)

    assert work(standbys, component) == -signal.SIGKILL
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
    component: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    standbys = Standbys(component.parent, is_kept=True)
    write(component, "import wandb; wandb.Html('<p>Text</p>')")
    # The first turn imports for itself.
    assert [work(standbys, component) for _ in range(3)] == [0, 0, 0]
    assert list((tmp_path / "temporary").iterdir())

    standbys.close()
    assert not list((tmp_path / "temporary").iterdir())


def test_all_that_a_killed_step_leaves_is_in_its_temporary_folder(
    component: Path, standbys: Standbys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, others = tmp_path / "own", tmp_path / "others"
    own.mkdir()
    others.mkdir()
    monkeypatch.setenv("TMPDIR", str(others))
    monkeypatch.setattr(tempfile, "tempdir", None)
    write(component, f"import wandb; wandb.Html('<p>Text</p>')\n{KILLS_ITSELF}")
    prepare(standbys, component).result()
    before = sorted(others.rglob("*"))

    assert work(standbys, component, TMPDIR=str(own)) == -signal.SIGKILL
    assert list(own.iterdir())
    assert sorted(others.rglob("*")) == before


def test_for_a_step_that_was_reused_nothing_is_imported_until_it_has_run(component: Path) -> None:
    write(component, TELLS)
    standbys = Standbys(component.parent)
    prepare(standbys, component).result()
    (server,) = standbys._servers.values()
    standbys.note_reused("component")
    assert server.leader.poll() is not None
    standbys.prepare("run.py", component, list, os.environ)
    assert not standbys._prepared

    assert work(standbys, component) == 0
    prepare(standbys, component).result()
    standbys.close()


def test_a_process_ends_with_the_last_step_that_needs_it(component: Path, other: Path) -> None:
    write(component, TELLS)
    write(other, TELLS)
    standbys = Standbys(component.parent)
    standbys.prepare("run.py", component, list, os.environ)
    standbys.prepare("run.py", other, list, os.environ)

    assert work(standbys, component) == 0
    assert len(processes(standbys)) == 1
    assert work(standbys, other) == 0
    assert processes(standbys) == []
    standbys.close()


def test_the_steps_that_ran_before_are_prepared_first_if_their_environment_is_there(
    component: Path, tmp_path: Path
) -> None:
    write(component, TELLS)
    script = tmp_path / "activate"
    script.write_text("")

    def run_pipeline() -> None:
        standbys = Standbys(tmp_path)
        turn = standbys.begin("run.py", component, [f"source {script}"], [], os.environ)
        assert turn.wait() == 0
        turn.release()
        standbys.note_ran()
        standbys.close()

    def prepared(*names: str) -> list[str]:
        standbys = Standbys(tmp_path)
        standbys.prepare_as_before(names, os.environ)
        found = list(standbys._prepared)
        standbys.close()
        return found

    assert prepared("component") == []
    run_pipeline()
    assert prepared("component") == ["component"]
    assert prepared("other") == []
    script.unlink()
    assert prepared("component") == []


def test_nothing_is_imported_ahead_until_a_core_is_free(
    component: Path, other: Path, standbys: Standbys, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (component, other):
        write(folder, TELLS)
    monkeypatch.setattr(COUNT, count_running)
    with ExitStack() as others:
        for _ in range(CORES + 1):
            process = others.enter_context(subprocess.Popen([sys.executable, "-c", SPINS]))
            others.callback(process.kill)
        ahead = prepare(standbys, component)
        assert work(standbys, component) == 0
        assert ahead.cancelled()
        ahead = prepare(standbys, other)
        wait([ahead], timeout=0.5)
        assert not ahead.running()

    monkeypatch.setattr(COUNT, lambda: 1)
    ahead.result()


def test_a_core_that_has_work_for_a_moment_only_is_not_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = iter([CORES + 1, CORES])
    monkeypatch.setattr(COUNT, lambda: next(counts))
    assert not is_busy()


def test_a_step_gets_the_environment_that_it_should_have_and_the_other_process_ends(
    component: Path,
) -> None:
    write(component, TELLS)
    standbys = Standbys(component.parent)
    prepare(standbys, component, "export KEPT=wrong").result()
    (wrong,) = standbys._servers.values()

    turn = standbys.begin("run.py", component, ["export KEPT=right"], [], os.environ)
    assert turn.wait() == 0
    assert seen(component)["variables"]["KEPT"] == "right"
    assert wrong.leader.returncode is not None
    turn.release()
    standbys.close()


def test_a_process_that_is_not_needed_ends_without_a_word_even_while_python_starts(
    component: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    (tmp_path / "sitecustomize.py").write_text(
        f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(60)"
    )
    write(component, "")
    standbys = Standbys(component.parent)
    path, variables = standbys.home / "a.socket", os.environ | {"PYTHONPATH": str(tmp_path)}
    server, channel = start(path, component, [], variables, {}, is_turn=False)
    standbys._servers[path] = server
    begun.read_text()

    with channel:
        standbys.close()

    assert server.leader.returncode == -signal.SIGTERM
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("sent", [b"", b"\0", b"\0\0\0\x09{", b"\0\0\0\0"])
def test_a_request_that_was_cut_off_is_nobody_s(
    component: Path, standbys: Standbys, sent: bytes
) -> None:
    write(component, TELLS)
    assert work(standbys, component) == 0
    first = processes(standbys)
    (path,) = standbys._servers
    with socket.socket(socket.AF_UNIX) as channel, short(path) as name:
        channel.connect(name)
        channel.sendall(sent)

    assert work(standbys, component) == 0
    assert processes(standbys) == first


def test_others_can_t_ask_for_steps(standbys: Standbys) -> None:
    assert standbys.home.stat().st_mode & 0o077 == 0


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
