"""A newcomer's first run, once for all workers, and clones beside the environments it made."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import wandb

from pipeline.locks import locked
from tests.conftest import give_free_port
from tests.end_to_end.commands import ROOT, environment, made, metrics, run
from tests.warm import Finished, Program, WarmPython
from wandb_server import Server, ensure_running, service

Main = Callable[..., Finished]
Start = Callable[..., Program]

# What main.py imports, if it has anything to run; the end of a sweep draws.
LIBRARIES = (
    "hydra.main",
    "mlflow.projects",
    "mlflow.store.tracking.sqlalchemy_store",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "wandb.apis.public",
)


@dataclass(frozen=True)
class Newcomer:
    """Who has cloned the release and run the README's first command, with an empty home.

    Attributes:
        folder: Holds `project`, the clone; `home`; `data`, the server's; `release.git`.
        returncode: Of the command.
        stdout: What it printed.
        stderr: Where its progress was told.
        digests: Digest of each artifact that it made.
        metrics: Of the MLflow run.
    """

    folder: str
    returncode: int
    stdout: str
    stderr: str
    digests: dict[str, str]
    metrics: dict[str, float]

    @property
    def clone(self) -> Path:
        return Path(self.folder) / "project"

    @property
    def home(self) -> Path:
        return Path(self.folder) / "home"

    @property
    def data(self) -> Path:
        return Path(self.folder) / "data"

    @property
    def release(self) -> str:
        """The URL of the release's repository as others see it.

        The folder is called release.git, but mlflow 3.17 runs an existing folder in place,
        whatever its URL; git finds the folder under the shorter name as well.
        """
        return f"file://{self.folder}/release"


def readme_commands() -> list[str]:
    """Return the commands of the README's blocks, without comments, in their order."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    groups = [group for block in blocks for group in block.strip().split("\n\n")]
    return ["\n".join(line for line in g.split("\n") if line[0] != "#") for g in groups]


# Whose first command makes the environments; the second one runs the tests.
FIRST, TESTS, *NEXT = readme_commands()
(SWEEP,) = [command for command in NEXT if "main.py -m" in command]


def connect(server: Server) -> wandb.Api:
    return wandb.Api(
        overrides={"base_url": server.base_url, "entity": "local"}, api_key=server.api_key
    )


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """The first run, made by whichever worker asks first; the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "newcomer"
    with locked(folder / "lock", "another worker has made it"):
        if not (folder / "told.json").exists():
            (folder / "told.json").write_text(json.dumps(asdict(run_first(folder))))
    return Newcomer(**json.loads((folder / "told.json").read_text()))


def run_first(folder: Path) -> Newcomer:
    """Run the README's first command, as printed, in a fresh clone and an empty home."""
    make_release(folder / "made")
    for options, name in ((["--bare"], "release.git"), ([], "project")):
        command = ["git", "clone", "--quiet", *options, str(folder / "made"), str(folder / name)]
        subprocess.run(command, check=True)
    (folder / "home").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("WANDB_SERVER_DIR", str(give_free_port(folder / "data")))
        result = run(["bash", "-c", FIRST], folder / "project", patience=540)
        told = (str(folder), result.returncode, result.stdout, result.stderr)
        if result.returncode:
            return Newcomer(*told, {}, {})
        digests = read_digests(connect(ensure_running()), made(result.stdout))
        service.stop()
    return Newcomer(*told, digests, metrics(folder / "project"))


def read_digests(api: wandb.Api, names: list[str]) -> dict[str, str]:
    return {name: api.artifact(f"songs/{name}").digest for name in names}


def make_release(folder: Path) -> None:
    """Commit the files as they are now as version v1.0.0 of a repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\n"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        [*identity, "commit", "--quiet", "-m", "Release"],
        [*identity, "tag", "v1.0.0"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


@pytest.fixture(scope="module")
def clone(newcomer: Newcomer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone of the release with an empty history of its own; its environments exist."""
    assert newcomer.returncode == 0, newcomer.stdout + newcomer.stderr
    folder = tmp_path_factory.mktemp("clone")
    subprocess.run(
        ["git", "clone", "--quiet", newcomer.release, str(folder / "project")], check=True
    )
    # In a folder of its own, since pipelines wait for each other at locks beside them.
    (folder / "envs").mkdir()
    for made_once in (newcomer.home / ".mlflow" / "envs").glob("mlflow-*"):
        (folder / "envs" / made_once.name).symlink_to(made_once)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ENV_ROOT", str(folder / "envs"))
        patch.setenv("WANDB_SERVER_DIR", str(give_free_port(folder / "data")))
        yield folder / "project"
        service.stop()


@pytest.fixture(scope="module")
def server(clone: Path) -> Server:
    """The server of the clone's history."""
    assert (clone / "main.py").exists()
    return ensure_running()


@pytest.fixture(scope="module")
def api(server: Server) -> wandb.Api:
    return connect(server)


@pytest.fixture(scope="session")
def main(python: WarmPython) -> Main:
    """Return a function that runs main.py in a folder; its imports take no time."""

    def main(folder: Path, *overrides: str, **variables: str) -> Finished:
        return python.run(
            *("main.py", *overrides),
            cwd=folder,
            env=environment(**variables),
            libraries=LIBRARIES,
            timeout=400,
        )

    return main


@pytest.fixture
def start_main(python: WarmPython, clone: Path) -> Iterator[Start]:
    """Return a function that starts main.py for an experiment, with more overrides."""
    started: list[Program] = []

    def start(experiment: str, *overrides: str) -> Program:
        command = ("main.py", f"main.experiment_name={experiment}", *overrides)
        started.append(python.start(*command, cwd=clone, env=environment(), libraries=LIBRARIES))
        return started[-1]

    yield start
    for program in started:
        if program.returncode is None:  # the test has failed
            program.send_signal(signal.SIGKILL)
            program.communicate()
