"""Where nothing is compiled yet, another process or environment has done it, or does."""

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from pipeline.compiling import take_compiled
from pipeline.root import ROOT
from pipeline.standbys import Standbys

# Waits for a compiled file that it doesn't make itself, or tells that it is alone.
PROGRAM = """
import importlib.util, os, sys, time
from pathlib import Path
from pipeline.compiling import compiled_ahead

compiled = {name: Path(importlib.util.find_spec(name).cached) for name in ("wandb", "sqlalchemy")}
if sys.argv[1:] == ["used"]:
    compiled["wandb"].parent.mkdir(parents=True)
    compiled["wandb"].touch()
with compiled_ahead():
    others = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    while others and not compiled["sqlalchemy"].exists():
        time.sleep(0.01)
print(len(others), "sqlalchemy" in sys.modules)
"""


@pytest.mark.parametrize(("words", "others"), [([], 1), (["used"], 0)], ids=["new", "used"])
def test_another_process_compiles_where_nobody_has_used_an_environment(
    words: list[str], others: int, tmp_path: Path
) -> None:
    variables = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=os.environ | variables | {"PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{others} False\n", "")


def make_environment(folder: Path, package: str) -> Path:
    """Make an environment with an empty package, and return its folder of packages."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / package).mkdir()
    (packages / package / "__init__.py").touch()
    return packages


def use(environment: Path, program: str) -> str:
    """Run a program in an environment, with the project's modules, and return what it prints."""
    variables = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    words = [str(environment / "bin" / "python"), "-c", program]
    return subprocess.run(
        words, env=os.environ | variables, capture_output=True, text=True, check=True
    ).stdout


def compiled(module: Path) -> Path:
    return Path(importlib.util.cache_from_source(module))


def test_what_is_compiled_is_taken_of_the_same_files_alone(tmp_path: Path) -> None:
    used, new = (make_environment(tmp_path / name, "package") for name in ("used", "new"))
    for name in ("same", "equal", "other"):
        (used / "package" / f"{name}.py").write_text("def ask():\n    return 'used'\n")
    (new / "package" / "same.py").hardlink_to(used / "package" / "same.py")
    shutil.copy2(used / "package" / "equal.py", new / "package")
    (new / "package" / "other.py").write_text("def ask():\n    return 'new '\n")
    shutil.copystat(used / "package" / "other.py", new / "package" / "other.py")
    asks = (
        "from package import equal, other, same\nprint(other.ask(), same.ask.__code__.co_filename)"
    )
    assert use(tmp_path / "used", asks) == f"used {used / 'package' / 'same.py'}\n"

    take_compiled(tmp_path / "new", [tmp_path / "new", tmp_path / "gone", tmp_path / "used"])

    taken = compiled(new / "package" / "same.py")
    assert [*taken.parent.iterdir()] == [taken]
    assert taken.samefile(compiled(used / "package" / "same.py"))
    assert use(tmp_path / "new", asks) == f"new  {new / 'package' / 'same.py'}\n"
    assert taken.samefile(compiled(used / "package" / "same.py"))  # nobody has made it anew


@pytest.mark.parametrize("is_used", [False, True])
def test_a_new_environment_takes_what_is_compiled_in_that_of_mlflow_run(
    is_used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, new = (make_environment(tmp_path / name, "hydra") for name in ("caller", "new"))
    for folder in ("caller", "new"):
        mlflow = tmp_path / folder / "bin" / "mlflow"
        mlflow.touch()
        mlflow.chmod(0o755)
    (caller / "module.py").touch()
    (new / "module.py").hardlink_to(caller / "module.py")
    use(tmp_path / "caller", "import module")
    if is_used:
        use(tmp_path / "new", "import hydra")
    path = [tmp_path / "new" / "bin", tmp_path / "caller" / "bin", os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, path)))

    use(tmp_path / "new", "from pipeline import compiling; compiling.take_from_caller()")

    assert compiled(new / "module.py").exists() is not is_used


def test_the_environment_of_a_later_step_takes_what_is_compiled_for_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    first, second = (make_environment(tmp_path / name, "package") for name in ("1", "2"))
    (first / "module.py").touch()
    (second / "module.py").hardlink_to(first / "module.py")
    standbys = Standbys(tmp_path)

    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.py").write_text("import module")
    for name, number in (("first", "1"), ("second", "2")):
        entered = [f"source {tmp_path / number / 'bin' / 'activate'}"]
        turn = standbys.begin("run.py", tmp_path / name, entered, [], variables)
        assert turn.wait() == 0
        turn.release()
    standbys.close()

    assert compiled(second / "module.py").samefile(compiled(first / "module.py"))
