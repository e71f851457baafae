"""The wandb command, and runs that were recorded offline."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.server.conftest import KEY, LiveServer, sdk_environment
from tests.warm import WarmPython

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

OFFLINE = """
import sys, wandb
with wandb.init(project=sys.argv[1], id="offline", mode="offline", config={"a": 1}) as run:
    for value in range(3):
        run.log({"value": value})
    print("[INFO] a line for the console")
    print("and one for errors", file=sys.stderr)
    run.log({"table": wandb.Table(columns=["a"], data=[[1]])})
    artifact = wandb.Artifact("made-offline", type="dataset")
    with artifact.new_file("f.txt") as file:
        file.write("offline")
    run.log_artifact(artifact, aliases=["best"])
"""

DELETED_AT_WORK = """
import sys, wandb
with wandb.init(project=sys.argv[1], id="dropped") as run:
    run.log({"loss": 1})
    wandb.Api().run(f"{sys.argv[1]}/dropped").delete()
    run.config["lr"] = 0.5
    run.log({"loss": 2})
    try:
        run.log_artifact(wandb.Artifact("late", "dataset")).wait()
    except ValueError as error:
        print(error)
"""


@pytest.fixture
def command(live: LiveServer, python: WarmPython, tmp_path: Path) -> Callable[..., str]:
    """Run Python with arguments in a folder of its own; gives what it prints.

    `without` names variables that it is not to see, `code` is the exit code that it is to have.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("WANDB")
    } | sdk_environment(live.base_url, tmp_path)
    del environment["WANDB_SILENT"]

    def run(*arguments: str, without: tuple[str, ...] = (), code: int = 0) -> str:
        result = python.run(
            *arguments,
            cwd=tmp_path,
            env={name: value for name, value in environment.items() if name not in without},
            libraries=("wandb", "wandb.cli.cli"),
            timeout=90,
        )
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout + result.stderr

    return run


def test_who_has_logged_in_needs_no_variables(
    live: LiveServer, command: Callable[..., str], project: str
) -> None:
    login = ("-m", "wandb", "login", "--verify", "--host", live.base_url)
    variables = ("WANDB_API_KEY", "WANDB_BASE_URL")
    refused = command(*login, "0123456789" * 4, without=variables, code=1)
    assert "The API key is missing or wrong" in refused
    assert "logged in as: local" in command(*login, KEY, without=variables)
    assert live.base_url in command("-m", "wandb", "status", without=variables)
    command(
        "-c", f"import wandb; wandb.init(project={project!r}, id='r').finish()", without=variables
    )
    found = live.data("query ($p: String) { project(name: $p) { runCount } }", p=project)
    assert found == {"project": {"runCount": 1}}


def test_the_sdk_is_silent_about_telemetry_that_nobody_takes(
    command: Callable[..., str], project: str
) -> None:
    program = "import sys, wandb; run = wandb.init(project=sys.argv[1]); run.log({'x': 1})"
    said = command("-c", program, project, without=("WANDB_ERROR_REPORTING",))
    assert "View run" in said
    assert "Failed to export" not in said


@pytest.mark.exhaustive
def test_all_that_wandb_verify_asks_for_is_there_but_https(
    live: LiveServer, command: Callable[..., str]
) -> None:
    told = command("-m", "wandb", "verify", "--host", live.base_url)
    assert (told.count("✅"), told.count("❌")) == (8, 2)
    assert told.count("not made over https") == 2


def test_artifacts_are_put_listed_and_fetched(
    wandb: ModuleType, command: Callable[..., str], project: str, tmp_path: Path
) -> None:
    (tmp_path / "table.csv").write_text("a,b\n")
    name = f"{project}/table"
    put = ("-m", "wandb", "artifact", "put", "table.csv", "--name", name, "--type", "dataset")
    command(*put, "--alias", "prod")
    listing = command("-m", "wandb", "artifact", "ls", f"local/{project}")
    assert "table:v0" in listing
    command("-m", "wandb", "artifact", "get", f"{name}:prod", "--root", "fetched")
    assert (tmp_path / "fetched" / "table.csv").read_text() == "a,b\n"
    assert len(wandb.Api().runs(f"local/{project}")) == 1


def test_offline_runs_sync_with_artifacts_and_console_again_and_again(
    wandb: ModuleType, command: Callable[..., str], project: str, tmp_path: Path
) -> None:
    command("-c", OFFLINE, project)
    folder = next((tmp_path / "wandb_dir" / "wandb").glob("offline-run-*"))
    for again in ([], ["--include-synced"]):
        command("-m", "wandb", "sync", *again, str(folder))
        run = wandb.Api().run(f"{project}/offline")
        assert (run.state, run.config) == ("finished", {"a": 1})
        values = [row["value"] for row in run.scan_history() if "value" in row]
        assert values == [0, 1, 2]
        lines = [(line.content, line.level) for line in run.console_logs()]
        assert lines == [("[INFO] a line for the console", ""), ("and one for errors", "error")]
        assert [line.number for line in run.console_logs(last=1)] == [1]
        artifact = wandb.Api().artifact(f"{project}/made-offline:best")
        assert (artifact.version, artifact.logged_by().id) == ("v0", "offline")
        (table,) = (item for item in run.logged_artifacts() if item.type == "run_table")
        assert table.get("table").data == [[1]]


def test_a_program_at_work_doesnt_bring_back_its_deleted_run(
    wandb: ModuleType, command: Callable[..., str], project: str
) -> None:
    said = command("-c", DELETED_AT_WORK, project)
    assert f"there is no run local/{project}/dropped" in said
    assert "Some run data will not be synced" in said
    assert len(wandb.Api().runs(project)) == 0


def test_an_offline_run_that_was_deleted_syncs_under_another_id_only(
    wandb: ModuleType, command: Callable[..., str], project: str, tmp_path: Path
) -> None:
    command("-c", OFFLINE, project)
    folder = str(next((tmp_path / "wandb_dir" / "wandb").glob("offline-run-*")))
    command("-m", "wandb", "sync", folder)
    wandb.Api().run(f"{project}/offline").delete()
    said = command("-m", "wandb", "sync", "--include-synced", folder)
    assert "was previously created and deleted; try a new run id (wandb sync takes one as" in said
    assert len(wandb.Api().runs(project)) == 0
    command("-m", "wandb", "sync", "--include-synced", "--id", "again", folder)
    assert [run.id for run in wandb.Api().runs(project)] == ["again"]


def test_pull_and_restore_bring_back_a_runs_files_and_its_code(
    command: Callable[..., str], project: str, tmp_path: Path
) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    script = tmp_path / "train.py"
    script.write_text(
        "import sys, wandb\n"
        "settings = wandb.Settings(save_code=True)\n"
        "with wandb.init(project=sys.argv[1], id='coded', settings=settings) as run:\n"
        "    open('notes.txt', 'w').write('kept')\n"
        "    run.save('notes.txt')\n"
    )
    (tmp_path / ".gitignore").write_text("*\n!train.py\n!.gitignore\n")
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "remote")], check=True)
    git("init", "-q", "-b", "main")
    git("config", "user.name", "tests")
    git("config", "user.email", "tests@example.com")
    git("remote", "add", "origin", str(tmp_path / "remote"))
    git("add", ".")
    git("commit", "-q", "-m", "first")
    git("push", "-q", "origin", "main")
    script.write_text(script.read_text() + "# not committed\n")
    command("train.py", project)
    git("checkout", "-q", "train.py")
    (tmp_path / "notes.txt").unlink()

    command("-m", "wandb", "pull", "coded", "--project", project, "--entity", "local")
    assert (tmp_path / "notes.txt").read_text() == "kept"

    command("-m", "wandb", "restore", f"local/{project}/coded")
    assert script.read_text().endswith("# not committed\n")
