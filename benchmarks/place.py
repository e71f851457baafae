"""An isolated place to measure in: home, copy of the project, environments, W&B server."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent


class BenchmarkError(Exception):
    """Something can't be measured."""


@dataclass(frozen=True)
class Place:
    """Where everything that is measured runs.

    Attributes:
        folder: Temporary folder that holds the rest.
        project: Copy of the project, committed to a git repository of its own.
        table: Copy of the table.
        python: Interpreter that runs main.py.
        manager: uv or local.
        variables: Environment variables: a home, a server folder and a path of its own.
    """

    folder: Path
    project: Path
    table: Path
    python: Path
    manager: str
    variables: dict[str, str]

    @property
    def scratch(self) -> Path:
        """Folder for W&B's files in passing, as main.py makes one for each of its runs."""
        return self.folder / "scratch"

    def tool(self, name: str, *requirements: Path, pins: Sequence[Path] = ()) -> Path:
        """Return the Python of an environment with what the files name, made when first asked."""
        folder = self.folder / name
        made = folder / "bin" / "python"
        if not made.exists():
            make_environment(folder, requirements, self.variables, pins)
        return made


@contextmanager
def open_place(folder: Path, data: Path, manager: str) -> Iterator[Place]:
    """Prepare a place, with a W&B server that runs until the end of the block.

    Args:
        folder: Empty folder.
        data: Table to run the pipeline on.
        manager: uv, or local for the environment of this process.

    Raises:
        BenchmarkError: The project can't be copied, or an environment can't be made.
    """
    project, table = folder / "project", folder / f"table{''.join(data.suffixes)}"
    shutil.copyfile(data, table)
    copy_project(project)
    variables = isolate(os.environ, folder / "home")
    if manager == "local":
        python = Path(sys.executable)
    else:
        python = make_environment(folder / "venv", [ROOT / "constraints.txt"], variables)
    variables["PATH"] = f"{python.parent}{os.pathsep}{variables['PATH']}"
    server = [str(python), "-m", "wandb_server"]
    call([*server, "start", "--port", str(free_port())], project, variables)
    try:
        yield Place(folder, project, table, python, manager, variables)
    finally:
        call([*server, "stop"], project, variables)


def isolate(
    variables: Mapping[str, str], home: Path, *, keep_caches: bool = True
) -> dict[str, str]:
    """Return environment variables that lead to another home, with no W&B or MLflow settings.

    Args:
        variables: Those of the user.
        home: Folder to make.
        keep_caches: Whether uv and pip find what the user downloaded before.
    """
    home.mkdir(parents=True)
    dropped = (
        "WANDB_",
        "MLFLOW_",
        "XDG_",
        "VIRTUAL_ENV",
        "PYTHON",
        "UV_CACHE_DIR",
        "PIP_CACHE_DIR",
    )
    kept = {name: value for name, value in variables.items() if not name.startswith(dropped)}
    own = Path(sys.prefix) / "bin"
    kept["PATH"] = os.pathsep.join(
        entry for entry in kept["PATH"].split(os.pathsep) if Path(entry) != own
    )
    caches = {
        f"{tool.upper()}_CACHE_DIR": variables.get(f"{tool.upper()}_CACHE_DIR")
        or str(Path.home() / ".cache" / tool)
        for tool in ("uv", "pip")
    }
    return {**kept, **(caches if keep_caches else {}), "HOME": str(home)}


def copy_project(target: Path) -> None:
    """Copy the project's files as they are now, and commit the copy."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in call(command, ROOT, os.environ).split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    author = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com"]
    for arguments in (["init"], ["add", "."], [*author, "commit", "-m", "As it is now"]):
        call(["git", *arguments], target, os.environ)


def make_environment(
    folder: Path,
    requirements: Sequence[Path],
    variables: Mapping[str, str],
    pins: Sequence[Path] = (),
) -> Path:
    """Make an environment with uv and return its Python.

    Args:
        folder: Where it goes.
        requirements: Files that name packages.
        variables: Environment variables of uv.
        pins: Files with versions that count, whatever other packages ask for. Metaflow's boto3
            doesn't know one of ours: uv would look for minutes at all it ever was.

    Raises:
        BenchmarkError: uv can't; its words are in it.
    """
    uv = shutil.which("uv", path=f"{sys.prefix}/bin{os.pathsep}{variables['PATH']}")
    if uv is None:
        raise BenchmarkError("uv makes the environments and is not on the PATH: pip install uv.")
    python = folder / "bin" / "python"
    files = [word for file in [*requirements, *pins] for word in ("-r", str(file))]
    files += [word for file in pins for word in ("--overrides", str(file))]
    call([uv, "venv", "--quiet", "--python", "3.11", str(folder)], ROOT, variables)
    call([uv, "pip", "install", "--quiet", "--python", str(python), *files], ROOT, variables)
    return python


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(command: list[str], folder: Path, variables: Mapping[str, str]) -> str:
    """Run a command that isn't measured and return what it printed.

    Raises:
        BenchmarkError: It failed; its last words are in it.
    """
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
