"""What can't be run again is told before anything runs; what can is found exactly."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
import wandb
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from pipeline.__main__ import build_parser
from pipeline.git import Code, git
from pipeline.record import MACHINE, keep_record
from pipeline.registry import FinishedRun
from pipeline.reproduce.checkout import check_out
from pipeline.reproduce.command import conclude, format_lines, reproduce
from pipeline.reproduce.compare import IDENTICAL, Level, Verdict
from pipeline.reproduce.errors import ReproduceError
from pipeline.reproduce.history import History, Project, Record, StepRun
from pipeline.reproduce.inputs import find_source
from pipeline.reproduce.replay import split
from pipeline.reproduce.scene import Line, list_given
from pipeline.root import ROOT
from pipeline.schema import Config
from pipeline.wandb_target import WandbTarget
from wandb_server import ensure_running

IDENTITY = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "main.py").write_text("first\n")
    git("init", "--quiet", folder=folder)
    git("add", ".", folder=folder)
    git(*IDENTITY, "commit", "--quiet", "-m", "First", folder=folder)
    return folder


def head(repository: Path) -> str:
    return git("rev-parse", "HEAD", folder=repository).decode().strip()


def test_a_commit_that_no_branch_leads_to_is_checked_out_with_its_changes(
    repository: Path, tmp_path: Path
) -> None:
    lost = head(repository)
    (repository / "inner" / "main.py").write_text("dirty\n")
    patch = git("diff", folder=repository)
    git(*IDENTITY, "commit", "--quiet", "--amend", "-am", "Another", folder=repository)

    code = Code(lost, "inner/", dirty=True, patch=patch)
    project = check_out(code, tmp_path / "new", repository / "inner")

    assert project == tmp_path / "new" / "inner"
    assert (project / "main.py").read_text() == "dirty\n"
    assert head(tmp_path / "new") == lost
    assert git("worktree", "list", folder=repository).count(b"\n") == 1


def test_a_commit_that_isn_t_here_comes_from_the_recorded_remote(
    repository: Path, tmp_path: Path
) -> None:
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()

    project = check_out(Code(head(repository), remote=str(repository)), tmp_path / "new", unpacked)

    assert (project / "inner" / "main.py").read_text() == "first\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (Code(trouble="fatal: not a git repository"), "isn't known: fatal: not a git repository"),
        (Code("c0ffee", dirty=True, trouble="9 bytes"), "uncommitted changes, which aren't recor"),
        (Code("c0ffee" * 6 + "c0ff", remote="file:///nowhere"), "can't be had. Tried:\n  "),
    ],
)
def test_code_that_can_t_be_had_is_told(
    code: Code, message: str, repository: Path, tmp_path: Path
) -> None:
    with pytest.raises(ReproduceError) as caught:
        check_out(code, tmp_path / "new", repository)

    assert message in str(caught.value)
    assert not code.remote or "file:///nowhere: fatal: " in str(caught.value)
    assert str(caught.value).count("fatal: ") == (2 if code.remote else "fatal" in code.trouble)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The URL of a server that shows the files of the test's folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["path", "relative", "file", "http"])
def test_a_source_is_taken_only_if_its_content_is_what_it_was(
    kind: str, tmp_path: Path, site: str
) -> None:
    path = tmp_path / "a table.csv"
    path.write_text("as it was")
    digest = hashlib.sha256(b"as it was").hexdigest()
    urls = {"path": str(path), "relative": path.name, "file": path.as_uri()}
    url = urls.get(kind, f"{site}/a%20table.csv")
    folders = [tmp_path / "checkout", tmp_path]

    assert (
        (find_source(url, digest, folders).url or "")
        .removeprefix("file://")
        .endswith("a%20table.csv" if kind == "http" else "a table.csv")
    )
    path.write_text("as it is now")
    changed = find_source(url, digest, folders)
    path.unlink()
    gone = find_source(url, digest, folders)

    assert (changed.url, gone.url) == (None, None)
    assert (
        f"has changed: SHA-256 {hashlib.sha256(b'as it is now').hexdigest()[:12]}" in changed.said
    )
    assert "can't be read: " in gone.said


def make_step(name: str, pipeline: str, **parameters: str) -> StepRun:
    finished = FinishedRun(name, "", {}, {})
    return StepRun(name, name, 0, parameters, finished, Record(pipeline, Code("c"), {}, ""))


def test_steps_are_split_by_the_runs_that_ran_them_in_their_order() -> None:
    steps = [make_step(*pair) for pair in [("a", "1"), ("b", "2"), ("c", "2"), ("d", "1")]]

    parts = split(steps)

    assert [part.record.run_id for part in parts] == ["1", "2", "1"]
    assert [[step.name for step in part.steps] for part in parts] == [["a"], ["b", "c"], ["d"]]


def test_inputs_are_the_versions_that_a_step_was_given() -> None:
    step = make_step(
        "check_data", "1", sample_artifact="a:v3", reference_artifact="e/p/a:v1", url="http://h:v8/"
    )

    assert step.inputs == ["a:v3"]
    assert step.reference == "e/p/a:v1"


def test_what_a_step_makes_again_is_not_given_though_another_run_made_the_same() -> None:
    maker = make_step("preprocess", "2", input_artifact="raw:v1", output_artifact="clean")
    taker = make_step("check_data", "2", sample_artifact="clean:v0")
    names = {"raw:v1": "raw:v0", "clean:v0": "clean:v0", "other:v2": "other:v1"}

    assert list_given([maker, taker], names) == ["raw:v0"]
    assert list_given([taker], names) == ["clean:v0"]


def test_the_answer_is_a_table_and_a_sentence() -> None:
    close = Verdict(Level.equal, ("rows: 1 then, 2 now",))
    lines = [
        Line("download", "raw:v0", None, "taken as recorded"),
        Line("train", "model:v1", close),
    ]

    assert format_lines(lines) == (
        "step      made      result\n"
        "--------  --------  -----------------\n"
        "download  raw:v0    taken as recorded\n"
        "train     model:v1  equal\n"
        "    rows: 1 then, 2 now"
    )
    assert "Equal within a tolerance of 1e-09, not to the last bit: model:v1" in conclude(
        lines, 1e-9
    )
    assert "Identical: all 1 comp" in conclude([Line("a", "b", IDENTICAL)], 1e-9)
    worse = [*lines, Line("train", "2 metrics", Verdict(Level.different, ("x",)))]
    assert "Different: 2 metrics of train." in conclude(worse, 1e-9)


@pytest.fixture(scope="module", autouse=True)
def server() -> None:
    ensure_running()


def refusal(target: str, monkeypatch: pytest.MonkeyPatch, keep: Path | None = None) -> str:
    for name in ("WANDB_DIR", "WANDB_SILENT"):  # what the tool sets is undone after the test
        monkeypatch.setenv(name, "")
    said: list[str] = []
    with pytest.raises(ReproduceError) as caught:
        reproduce(target, ["main.wandb=local", "main.project_name=none"], 0.0, keep, said.append)
    assert said == []
    return str(caught.value)


def test_what_doesn_t_exist_is_told(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no artifact 'model_export:v3' in the project local/none" in refusal(
        "model_export:v3", monkeypatch
    )
    assert f"no run 'abc' in the MLflow store {store}" in refusal("abc", monkeypatch)
    (tmp_path / "mlflow.db").unlink()
    assert f"There is no MLflow store {store}" in refusal("abc", monkeypatch)
    assert not (tmp_path / "mlflow.db").exists()


def test_runs_that_can_t_be_run_again_are_told(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = MlflowClient(store)

    def make(name: str, status: str | None = "FINISHED", **tags: str) -> str:
        run_id = client.create_run("0", tags={MLFLOW_RUN_NAME: name, **tags}).info.run_id
        if status:
            client.set_terminated(run_id, status)
        return str(run_id)

    running = make("at work", None)
    failed = make("failed", "FAILED")
    alone = make("preprocess")
    sweep = make("sweep")
    trial = make("trial", **{MLFLOW_PARENT_RUN_ID: sweep, MACHINE: "Python 3"})
    step = make("download", **{MLFLOW_PARENT_RUN_ID: make("pipeline")})
    broken = make("download", "FAILED", **{MLFLOW_PARENT_RUN_ID: make("pipeline")})

    assert "(at work) runs still: there is no result" in refusal(running, monkeypatch)
    assert "(failed) failed: there is no result" in refusal(failed, monkeypatch)
    assert "(download) failed: there is no result" in refusal(broken, monkeypatch)
    assert "(preprocess) has no steps below it: only runs of main.py" in refusal(alone, monkeypatch)
    assert f"is a sweep. Give one of its trials: {trial}." in refusal(sweep, monkeypatch)
    assert f"doesn't have the run {step} (download)" in refusal(step, monkeypatch)


def test_a_version_that_was_deleted_is_told() -> None:
    server = ensure_running()
    target = WandbTarget(server.base_url, "test", server.environment(), is_local=True)
    project = Project(target, "none")

    with pytest.raises(ReproduceError, match=r"train_data:v3 of local/none was deleted"):
        next(project.find_makers("train_data:v3"))


def test_equal_content_leads_to_the_steps_of_its_own_pipeline_and_never_to_another_store(
    store: str, config: Config, tmp_path: Path
) -> None:
    client, server = MlflowClient(store), ensure_running()
    target = WandbTarget(server.base_url, "test", server.environment(), is_local=True)
    settings = wandb.Settings(
        base_url=server.base_url, api_key=server.api_key, entity="local", silent=True, console="off"
    )

    def make(name: str, parent: str | None = None, **parameters: str) -> str:
        tags = {MLFLOW_RUN_NAME: name} | ({MLFLOW_PARENT_RUN_ID: parent} if parent else {})
        run_id = str(client.create_run("0", tags=tags).info.run_id)
        for key, value in parameters.items():
            client.log_param(run_id, key, value)
        if not parent:
            keep_record(run_id, config, "local", ROOT, f"trial-{name}")
        client.set_terminated(run_id)
        return run_id

    pipeline, other = make("pipeline"), make("other")
    raw = make("download", pipeline, output_artifact="raw_data.parquet")
    clean = make("preprocess", pipeline, input_artifact="raw_data.parquet:v0")
    newest = make("download", other, output_artifact="raw_data.parquet")
    project = Project(target, "twice")
    for run_id in ("elsewhere", raw, newest):
        with wandb.init(
            project="twice", id=run_id, job_type="download", settings=settings, dir=tmp_path
        ) as run:
            artifact = wandb.Artifact("raw_data.parquet", type="raw_data")
            with artifact.new_file("raw_data.parquet") as file:
                file.write("equal")
            run.summary["output/raw_data.parquet"] = run.log_artifact(artifact).wait().version
        assert project.list_runs("download")[-1] == run_id
    with wandb.init(project="twice", id=clean, settings=settings, dir=tmp_path):
        pass

    def find(wanted: str) -> list[str]:
        history = History(client, Project(target, "twice"))
        return [step.run_id for step in history.find(wanted)]

    assert find("raw_data.parquet:v0") == [newest]
    assert find(clean) == find(pipeline) == find("trial-pipeline") == [raw, clean]


def test_a_source_whose_digest_isn_t_recorded_isn_t_taken(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("something")

    assert find_source("a.csv", None, [tmp_path]).url is None


def test_what_to_reproduce_is_the_one_argument_that_it_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["reproduce"])

    assert capsys.readouterr().err.endswith("the following arguments are required: target\n")
