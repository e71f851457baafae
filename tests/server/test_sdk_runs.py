"""What the real SDK writes about runs is what it reads back."""

import json
import math
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.server.conftest import LiveServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def logged(wandb: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A finished run with a bit of everything; several tests look at it."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "notes.txt").write_text("kept")
    config = {"lr": 0.5, "nested": {"depth": 2}}
    with wandb.init(
        project="readback",
        config=config,
        job_type="train",
        group="first",
        tags=["one"],
        notes="a note",
        name="shown",
    ) as run:
        for step in range(4):
            run.log({"loss": 1 / (step + 1), "odd": float("nan"), "never": math.inf})
        run.log({"table": wandb.Table(columns=["a"], data=[[1], [2]])})
        run.log({"page": wandb.Html("<p>hi</p>"), "bins": wandb.Histogram([1, 2, 2])})
        run.summary["best"] = 7
        run.save(str(folder / "notes.txt"), base_path=str(folder))
        return str(run.path)


def test_metadata_reads_back(wandb: ModuleType, logged: str) -> None:
    run = wandb.Api().run(logged)
    assert (run.state, run.name, run.job_type, run.group) == ("finished", "shown", "train", "first")
    assert (run.tags, run.notes, run.entity) == (["one"], "a note", "local")
    assert run.config == {"lr": 0.5, "nested": {"depth": 2}}
    assert run.metadata["program"]


def test_summary_and_history_read_back_with_nan_and_infinity(
    wandb: ModuleType, logged: str
) -> None:
    run = wandb.Api().run(logged)
    assert run.summary["best"] == 7
    assert math.isnan(run.summary["odd"])
    rows = list(run.scan_history())
    assert [row.get("loss") for row in rows] == [1, 0.5, 1 / 3, 0.25, None, None]
    assert math.isnan(rows[0]["odd"])
    assert rows[0]["never"] == math.inf
    assert [row["loss"] for row in run.scan_history(keys=["loss"], min_step=2)] == [1 / 3, 0.25]
    assert [row["_step"] for row in run.history(samples=3, pandas=False)] == [0, 2, 5]
    assert len(run.history(keys=["loss", "odd"], pandas=False)) == 4
    assert run.lastHistoryStep == 5


def test_numbers_that_json_lacks_read_back_as_the_sdk_keeps_them(wandb: ModuleType) -> None:
    values = [1.0, math.nan, math.inf, -math.inf]
    with wandb.init(project="odd-numbers", config={"high": math.inf}) as run:
        for value in values:
            run.log({"value": value, "deep": {"value": value, "list": [value]}})
        # The SDK itself makes null of a NaN that is set in here, and of one in the config.
        run.summary.update({"low": -math.inf, "set": {"high": math.inf, "list": [math.inf, 2]}})
        kept = Path(run.dir) / "wandb-summary.json"

    read = wandb.Api().run(run.path)

    assert read.config == {"high": math.inf}
    assert _spelt({**read.summary}) == _spelt(json.loads(kept.read_text()))
    assert (read.summary["value"], read.summary["low"]) == (-math.inf, -math.inf)
    assert _spelt(read.summary["set"]) == '{"high": Infinity, "list": [Infinity, 2]}'
    rows = list(read.scan_history())
    assert _spelt([row["value"] for row in rows]) == "[1, NaN, Infinity, -Infinity]"
    assert _spelt([row["deep"]["list"] for row in rows]) == "[[1], [NaN], [Infinity], [-Infinity]]"
    assert _spelt([row["deep"]["value"] for row in rows]) == "[1, NaN, Infinity, -Infinity]"
    # By single keys, W&B gives words: these come in plain JSON.
    words = [1, "NaN", "Infinity", "-Infinity"]
    assert [row["value"] for row in read.scan_history(keys=["value"])] == words
    assert [row["value"] for row in read.history(keys=["value"], pandas=False)] == words


def _spelt(value: Any) -> str:
    """Spell a value so that a NaN equals itself."""
    return json.dumps(value, sort_keys=True, default=dict)


def test_media_and_files_read_back(wandb: ModuleType, logged: str, tmp_path: Path) -> None:
    run = wandb.Api().run(logged)
    names = {file.name for file in run.files()}
    assert {"config.yaml", "wandb-summary.json", "requirements.txt", "notes.txt"} <= names
    with run.file("./notes.txt").download(str(tmp_path)) as file:
        assert file.read() == "kept"
    html = [file.name for file in run.files(pattern="media/html/%")]
    assert len(html) == 1
    (table,) = (item for item in run.logged_artifacts() if item.type == "run_table")
    assert table.get("table").data == [[1], [2]]


def test_a_file_that_a_run_hasn_t_got_is_told_as_by_w_and_b(
    wandb: ModuleType, logged: str, tmp_path: Path
) -> None:
    run = wandb.Api().run(logged)
    missing = run.file("deep/none.txt")
    assert (missing.name, missing.size, missing.md5) == ("deep/none.txt", 0, "0")
    names = ["none.txt", "notes.txt", "config.yaml"]
    assert [file.name for file in run.files(names, per_page=1)] == names
    with pytest.raises(wandb.errors.CommError, match="404"):
        missing.download(str(tmp_path))
    assert not (tmp_path / "deep" / "none.txt").exists()
    with pytest.raises(ValueError, match=r"File none\.txt not found"):
        wandb.restore("none.txt", run_path=logged, root=str(tmp_path))


def test_a_run_whose_code_fails_is_failed(wandb: ModuleType, project: str) -> None:
    with pytest.raises(ZeroDivisionError), wandb.init(project=project, id="broken") as run:
        run.log({"loss": 1 / 0})
    assert wandb.Api().run(f"{project}/broken").state == "failed"


def test_resume_goes_on_and_a_fresh_start_begins_again(wandb: ModuleType, project: str) -> None:
    path = f"{project}/same"
    with wandb.init(project=project, id="same", config={"a": 1}) as run:
        for value in range(4):
            run.log({"value": value})
    with wandb.init(project=project, id="same", resume="must") as run:
        assert run.starting_step == 4
        assert run.config["a"] == 1
        run.log({"value": 10})
    rows = [(row["_step"], row["value"]) for row in wandb.Api().run(path).scan_history()]
    assert rows == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 10)]
    with wandb.init(project=project, id="same") as run:
        run.log({"value": 99})
    assert [row["value"] for row in wandb.Api().run(path).scan_history()] == [99]
    with pytest.raises(wandb.errors.UsageError, match="already exists"):
        wandb.init(project=project, id="same", resume="never")


def test_a_run_that_broke_off_is_found_again_by_itself(wandb: ModuleType, project: str) -> None:
    def train() -> None:
        run.log({"loss": 1})
        run.log({"loss": 1 / 0})

    with pytest.raises(ZeroDivisionError), wandb.init(project=project, resume="auto") as run:
        train()
    with wandb.init(project=project, resume="auto") as again:
        again.log({"loss": 2})
    with wandb.init(project=project, resume="auto") as other:
        assert not other.resumed
    assert (again.id, again.resumed) == (run.id, True)
    read = wandb.Api().run(again.path)
    assert (read.state, [row["loss"] for row in read.scan_history()]) == ("finished", [1, 2])


def test_a_run_is_rewound_and_forked_and_its_metrics_keep_what_was_defined(
    wandb: ModuleType, project: str
) -> None:
    with wandb.init(project=project, id="first") as run:
        run.define_metric("epoch", hidden=True)
        run.define_metric("loss", step_metric="epoch", summary="min,mean")
        for epoch, loss in enumerate((3, 1, 2)):
            run.log({"epoch": epoch, "loss": loss})
    assert dict(wandb.Api().run(run.path).summary["loss"]) == {"min": 1, "mean": 2}
    with wandb.init(project=project, fork_from="first?_step=1") as fork:
        fork.log({"loss": 9})
    with wandb.init(project=project, resume_from="first?_step=0") as run:
        run.log({"loss": 8})

    def losses(name: str) -> list[int]:
        rows = wandb.Api().run(f"{project}/{name}").scan_history(keys=["loss"])
        return [row["loss"] for row in rows]

    assert (losses(fork.id), losses("first")) == ([3, 1, 9], [3, 8])


def test_a_run_is_stopped_from_outside(
    wandb: ModuleType, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wandb.sdk.lib.run_stopping import RunStopChecker

    # Fifteen seconds lie between two looks.
    monkeypatch.setitem(RunStopChecker.__init__.__kwdefaults__, "poll_interval", 0.2)
    settings = wandb.Settings(x_file_stream_transmit_interval=1)
    deadline = time.monotonic() + 60

    def train() -> None:
        wandb.Api().run(run.path).stop()
        while time.monotonic() < deadline:
            run.log({"loss": 1})
            time.sleep(0.1)

    with pytest.raises(KeyboardInterrupt), wandb.init(project=project, settings=settings) as run:
        train()
    assert time.monotonic() < deadline
    assert wandb.Api().run(run.path).state == "killed"


def test_code_is_kept(wandb: ModuleType, project: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("loss = 1\n")
    with wandb.init(project=project) as run:
        run.log_code(str(tmp_path))
    (code,) = wandb.Api().run(run.path).logged_artifacts()
    assert code.type == "code"
    assert Path(code.download(), "train.py").read_text() == "loss = 1\n"


def test_runs_are_changed_and_deleted_through_the_api(
    wandb: ModuleType, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb.Api().create_run(project=project, run_id="made")
    run = wandb.Api().run(f"{project}/made")
    run.config["k"], run.tags, run.notes, run.name = 5, ["t"], "n", "renamed"
    run.summary["s"] = 1
    run.update()
    again = wandb.Api().run(f"{project}/made")
    assert (again.config, again.tags, again.notes, again.name) == ({"k": 5}, ["t"], "n", "renamed")
    assert again.summary["s"] == 1
    monkeypatch.chdir(tmp_path)
    Path("a file.txt").write_text("content")
    assert again.upload_file("a file.txt").size == 7
    again.file("a file.txt").delete()
    assert list(again.files()) == []
    again.delete()
    with pytest.raises(wandb.errors.CommError, match="Could not find run"):
        wandb.Api().run(f"{project}/made")


@pytest.mark.parametrize("resume", [None, "allow", "auto"])
def test_the_id_of_a_deleted_run_is_refused_in_the_words_of_wandb(
    wandb: ModuleType, project: str, resume: str | None
) -> None:
    wandb.init(project=project, id="dropped").finish()
    wandb.Api().run(f"{project}/dropped").delete()
    told = f"run local/{project}/dropped was previously created and deleted; try a new run id"
    with pytest.raises(wandb.errors.Error, match=told):
        wandb.init(project=project, id="dropped", resume=resume)
    wandb.teardown()  # the SDK takes the id for one in use
    with pytest.raises(Exception, match=told):
        wandb.Api().create_run(project=project, run_id="dropped")
    wandb.init(project=f"{project}-other", id="dropped").finish()
    assert [run.id for run in wandb.Api().runs(f"{project}-other")] == ["dropped"]


def test_projects_and_the_viewer_are_listed(wandb: ModuleType, logged: str) -> None:
    api = wandb.Api()
    assert api.viewer.username == api.default_entity == "local"
    assert logged.split("/")[1] in [project.name for project in api.projects()]


def test_an_alert_is_kept(wandb: ModuleType, live: LiveServer, project: str) -> None:
    with wandb.init(project=project, id="loud") as run:
        run.alert("watch out", "it is getting warm", level="WARN")
    with closing(sqlite3.connect(live.folder / "wandb.sqlite3")) as database:
        (alert,) = database.execute("SELECT title, text, severity FROM alert")
    assert alert == ("watch out", "it is getting warm", "WARN")
