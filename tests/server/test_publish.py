"""`publish` makes the same project on another server: as often as one likes, and never twice."""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.server import client
from tests.server.conftest import KEY, ROOT, Core, LiveServer, sdk_environment
from tests.server.stored import log_version
from tests.warm import WarmPython
from wandb_server.keys import load_or_create_key
from wandb_server.publish.plan import TargetRun, foreign, plan_sessions
from wandb_server.publish.send_run import ORPHANS
from wandb_server.publish.source import read_source
from wandb_server.publish.target import point_sdk
from wandb_server.server_error import ServerError

Run = Callable[..., tuple[int, str]]
Publish = Callable[..., tuple[int, str]]

# One run makes two versions; one uses the first, refers to it in a version of its own, and
# logs it again; one is deleted after it has logged a version; one fails.
PROGRAM = """
import wandb
from pathlib import Path

Path("a.txt").write_text("one")
with wandb.init(project="songs", id="make", name="maker", group="g", job_type="make",
                tags=["x", "y"], notes="a note",
                config={"depth": 3, "inner": {"rate": None}}) as run:
    run.define_metric("epoch")
    run.define_metric("loss", step_metric="epoch", summary="min")
    for epoch in range(4):
        run.log({"epoch": epoch, "loss": (epoch - 2) ** 2, "nan": float("nan")}, step=2 * epoch)
    run.log({"table": wandb.Table(columns=["a"], data=[[1]]), "bars": wandb.Histogram([1, 2])})
    run.summary["best"] = 0.5
    print("a line on the console")
    Path("notes.txt").write_text("kept")
    run.save("notes.txt")
    first = wandb.Artifact("table", "dataset", description="rows", metadata={"rows": 1})
    first.add_file("a.txt", name="inner/a.txt")
    run.log_artifact(first, aliases=["prod"], tags=["good"]).wait()
    Path("a.txt").write_text("two")
    second = wandb.Artifact("table", "dataset")
    second.add_file("a.txt")
    second.add_reference("http://127.0.0.1:1/there", name="there", checksum=False)
    run.log_artifact(second, aliases=["next"]).wait()
with wandb.init(project="songs", id="use") as run:
    used = run.use_artifact("table:v0")
    model = wandb.Artifact("model", "model")
    model.add_reference(used.get_entry("inner/a.txt").ref_url(), name="data.txt")
    run.log_artifact(model).wait()
    again = wandb.Artifact("table", "dataset", metadata={"rows": 1})
    Path("a.txt").write_text("one")
    again.add_file("a.txt", name="inner/a.txt")
    run.log_artifact(again).wait()
with wandb.init(project="songs", id="gone") as run:
    orphan = wandb.Artifact("orphan", "dataset")
    orphan.add_file("a.txt")
    run.log_artifact(orphan)
wandb.Api().run("songs/gone").delete()
try:
    with wandb.init(project="songs", id="fail"):
        raise ValueError("on purpose")
except ValueError:
    pass
"""


@pytest.fixture(scope="module")
def run_python(python: WarmPython) -> Run:
    """Runs Python in a folder; gives the exit code and all that was printed."""

    def run(home: Path, base_url: str, *words: str, **variables: str) -> tuple[int, str]:
        home.mkdir(exist_ok=True)
        environment = os.environ | sdk_environment(base_url, home) | {"PYTHONPATH": str(ROOT)}
        done = python.run(*words, cwd=home, env=environment | variables, libraries=("wandb",))
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def source(
    tmp_path_factory: pytest.TempPathFactory, nursery: WarmPython, run_python: Run
) -> Iterator[LiveServer]:
    """A server with the project `songs`."""
    server = LiveServer(tmp_path_factory.mktemp("source"), nursery)
    code, text = run_python(server.folder.parent / "home", server.base_url, "-c", PROGRAM)
    assert code == 0, text
    yield server
    server.stop()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, nursery: WarmPython) -> Iterator[LiveServer]:
    server = LiveServer(tmp_path_factory.mktemp("target"), nursery)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def publish(source: LiveServer, target: LiveServer, run_python: Run) -> Publish:
    """Publishes a project of the source at the target; gives what `run_python` does."""

    def publish(*words: str, project: str = "songs", **variables: str) -> tuple[int, str]:
        command = ("-m", "wandb_server", "publish", project, "--to", target.base_url, *words)
        # Where the shell's SDK points to mustn't matter, nor what it would do to runs.
        own = {"WANDB_SERVER_DIR": str(source.folder), "WANDB_RUN_ID": "not-this"}
        home = source.folder.parent / "publisher"
        return run_python(home, source.base_url, *command, **own, **variables)

    return publish


RUNS = """query Runs($entity: String!, $project: String!) {
  project(name: $project, entityName: $entity) { runs(first: 100, order: "+created_at") { edges {
    node {
      name displayName state group jobType tags notes config summaryMetrics
      logLineCount
      history(samples: 1000)
      files(first: 100) { edges { node { name md5 } } }
      inputArtifacts(first: 100) { edges { node { digest } } }
      outputArtifacts(first: 100) { edges { node { digest } } }
    } } } }
}"""
VERSIONS = """query Versions($entity: String!, $project: String!) {
  project(name: $project, entityName: $entity) { artifactTypes { edges { node { name
    artifactCollections { edges { node { name
      artifacts(order: "+createdAt") { edges { version node {
        digest description metadata
        aliases { alias } tags { name }
        createdBy { __typename ... on Run { name } }
        usedBy { edges { node { name } } }
        files { edges { node { name md5 sizeBytes } } }
      } } } } } } } } } }
}"""
# What the SDK measures itself, so that a copy has its own.
MEASURED = ("_runtime", "_wandb", "wandb")


def runs(server: LiveServer, project: str = "songs") -> dict[str, Any]:
    """Read all runs of a project as they should be the same on both sides."""
    found = server.data(RUNS, entity="local", project=project)["project"]["runs"]["edges"]
    return {
        edge["node"]["name"]: plain_run(edge["node"])
        for edge in found
        if edge["node"]["name"] != ORPHANS
    }


def plain_run(node: dict[str, Any]) -> dict[str, Any]:
    axes = json.loads(node["config"]).get("_wandb", {}).get("value", {}).get("m", [])
    return node | {
        "config": comparable(json.loads(node["config"])),
        "axes": name_axes(axes),
        "summaryMetrics": comparable(json.loads(node["summaryMetrics"])),
        "history": [comparable(json.loads(row)) for row in node["history"]],
        # A version that was there before others has an earlier row.
        "outputArtifacts": sorted(e["node"]["digest"] for e in node["outputArtifacts"]["edges"]),
    }


def name_axes(axes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give defined metrics by name, their axis too: the SDK lists them in no certain order."""
    named = {axis["1"]: dict(axis) for axis in axes}
    for axis in named.values():
        if "5" in axis:
            axis["5"] = axes[axis["5"] - 1]["1"]
    return named


def comparable(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is measured, and ids, which are each server's own."""
    table = {"table": fields["table"] | {"artifact_path": None}} if "table" in fields else {}
    kept = {key: value for key, value in (fields | table).items() if key not in MEASURED}
    return {key: repr(value) if value != value else value for key, value in kept.items()}


def versions(server: LiveServer, project: str = "songs") -> Any:
    found = server.data(VERSIONS, entity="local", project=project)["project"]
    text = json.dumps(found, sort_keys=True).replace('"metadata": null', '"metadata": "{}"')
    stand_in = json.dumps({"__typename": "Run", "name": ORPHANS})
    return ordered(json.loads(text.replace(stand_in, '{"__typename": "User"}')))


def ordered(value: Any) -> Any:
    """Sort aliases: their order tells only which one moved last."""
    if isinstance(value, list):
        return [ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: sorted(item, key=str) if key == "aliases" else ordered(item)
        for key, item in value.items()
    }


def test_a_dry_run_names_everything_and_sends_nothing(target: LiveServer, publish: Publish) -> None:
    before = stored(target)
    code, text = publish("--dry-run", "--project", "dry")
    assert code == 0, text
    assert "local/dry at" in text
    assert ": 8 to send, 0 there already, 0 failed." in text
    assert stored(target) == before


def test_a_project_is_published_whole_and_only_once(
    source: LiveServer, target: LiveServer, publish: Publish
) -> None:
    code, text = publish()
    assert code == 0, text
    assert runs(target) == runs(source)
    assert versions(target) == versions(source)
    before = stored(target)
    code, text = publish()
    assert code == 0, text
    assert ": 0 sent, 8 there already, 0 failed." in text
    assert stored(target) == before


def stored(server: LiveServer) -> list[Any]:
    """Read every row that a second publication could have changed."""
    tables = (
        "project",
        "run",
        "run_line",
        "run_file",
        "artifact",
        "alias",
        "run_input",
        "run_output",
    )
    with closing(sqlite3.connect(server.folder / "wandb.sqlite3")) as connection:
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables]  # noqa: S608


SHARED = """
import json, sys, wandb

writer, rows = sys.argv[1], json.loads(sys.argv[2])
settings = wandb.Settings(mode="shared", x_label=writer, x_primary=writer == "one")
with wandb.init(project="shared", id="both", settings=settings) as run:
    for row in rows:
        run.log(row)
"""


def test_rows_of_a_shared_run_are_joined_by_step_and_what_that_hides_is_told(
    source: LiveServer, target: LiveServer, run_python: Run, publish: Publish
) -> None:
    def write(writer: str, *rows: dict[str, int]) -> None:
        home = source.folder.parent / "home"
        code, text = run_python(home, source.base_url, "-c", SHARED, writer, json.dumps(rows))
        assert code == 0, text

    def history() -> list[dict[str, Any]]:
        rows = runs(target, "shared")["both"]["history"]
        return [{key: row[key] for key in row if not key.startswith("_")} for row in rows]

    write("one", {"a": 1}, {"a": 2})
    write("two", {"b": 3}, {"b": 4})
    code, text = publish(project="shared")
    assert code == 0, text
    assert history() == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    write("three", {"a": 5}, {"a": 2}, {"a": 6})
    hidden = "1 value under step and key of another writer's: only one can be sent"
    code, text = publish(project="shared")
    assert code == 1, text
    assert hidden in text
    before = stored(target)
    code, text = publish(project="shared")
    assert code == 1, text
    assert hidden in text
    assert stored(target) == before  # what can't be sent is no reason to open the run again


USER = """
import sys, wandb
with wandb.init(project="other", id="user") as run:
    run.use_artifact("raw/table:v1", use_as="input")
    made = wandb.Artifact("made", "dataset")
    made.add_reference(wandb.Api().artifact("raw/table:v1").get_entry("a.txt").ref_url(), name="b")
    run.log_artifact(made).wait()
"""


def test_the_use_of_another_projects_version_is_sent_once_that_project_is_published(
    source: LiveServer, target: LiveServer, run_python: Run, publish: Publish
) -> None:
    for program in (SMALL.replace("small", "raw"), USER):
        code, text = run_python(source.folder.parent / "small", source.base_url, "-c", program)
        assert code == 0, text
    code, text = publish(project="other")
    assert code == 1, text
    assert re.search(
        r"^FAILED +lineage +user used local/raw/table:v1 +local/raw there has no such version: "
        r"publish local/raw under this name as well, then this project again$",
        text,
        re.MULTILINE,
    )
    assert publish(project="raw")[0] == 0
    code, text = publish(project="other")
    assert code == 0, text
    assert re.search(r"^sent +lineage +user used local/raw/table:v1$", text, re.MULTILINE)
    assert runs(target, "other") == runs(source, "other")
    assert versions(target, "other") == versions(source, "other")
    code, text = publish(project="other")
    assert code == 0, text
    assert ": 0 sent, 2 there already, 0 failed." in text


PART = """
import json, os, sys, wandb
from pathlib import Path

rows = json.loads(sys.argv[1])
run = wandb.init(project="part", id="make")
for row in rows:
    run.log(row, step=row["_step"])
run.write_logs("a line on the console")
Path("a.txt").write_text("one")
first = wandb.Artifact("table", "dataset", description="rows", metadata={"rows": 1})
first.add_file("a.txt", name="inner/a.txt")
run.log_artifact(first).wait()
run.finish(exit_code=1)
"""


@pytest.mark.exhaustive
def test_a_publication_that_was_cut_off_is_completed(
    source: LiveServer, target: LiveServer, run_python: Run, publish: Publish
) -> None:
    rows = [json.loads(row) for row in first_rows(source, 2)]
    home = target.folder.parent / "part"
    code, text = run_python(home, target.base_url, "-c", PART, json.dumps(rows))
    assert code == 0, text
    code, text = publish("--project", "part")
    assert code == 0, text
    assert "there   version    table:v0" in text
    assert runs(target, "part") == runs(source)
    assert versions(target, "part") == versions(source)


def first_rows(server: LiveServer, count: int) -> list[str]:
    found = server.data(RUNS, entity="local", project="songs")["project"]["runs"]["edges"]
    return next(edge["node"]["history"] for edge in found if edge["node"]["name"] == "make")[:count]


SMALL = """
import wandb
from pathlib import Path

with wandb.init(project="small", id="one") as run:
    run.log({"x": 1.5})
    for text in ("first", "second"):
        Path("a.txt").write_text(text)
        version = wandb.Artifact("table", "dataset")
        version.add_file("a.txt")
        run.log_artifact(version).wait()
"""


def test_a_run_that_was_deleted_at_the_target_is_named_as_that(
    source: LiveServer, target: LiveServer, run_python: Run, publish: Publish
) -> None:
    program = SMALL.replace("small", "dropped")
    code, text = run_python(source.folder.parent / "small", source.base_url, "-c", program)
    assert code == 0, text
    assert publish(project="dropped")[0] == 0
    found = target.data(
        'query { project(name: "dropped", entityName: "local") { run(name: "one") { id } } }'
    )
    row = found["project"]["run"]["id"]
    target.data("mutation ($r: ID!) { deleteRun(input: {id: $r}) { clientMutationId } }", r=row)
    code, text = publish(project="dropped")
    assert code == 1, text
    assert re.search(r"^FAILED +run +one +it was deleted there.*--project$", text, re.MULTILINE)


def test_a_damaged_version_is_reported_and_follows_in_its_order_once_it_is_mended(
    source: LiveServer, target: LiveServer, run_python: Run, publish: Publish
) -> None:
    code, text = run_python(source.folder.parent / "small", source.base_url, "-c", SMALL)
    assert code == 0, text
    digest = client.hex_md5(b"first")
    blob = source.folder / "blobs" / digest[:2] / digest
    blob.write_bytes(b"FIRST")
    code, text = publish(project="small")
    assert code == 1
    assert re.search(r"^FAILED +version +table:v0 .*was altered", text, re.MULTILINE)
    assert re.search(r"^FAILED +version +table:v1 +table:v0, which comes", text, re.MULTILINE)
    assert ": 1 sent, 0 there already, 2 failed." in text
    blob.write_bytes(b"first")
    code, text = publish(project="small")
    assert code == 0, text
    assert runs(target, "small") == runs(source, "small")
    assert versions(target, "small") == versions(source, "small")


def test_nothing_is_sent_with_a_wrong_key(target: LiveServer, publish: Publish) -> None:
    before = stored(target)
    code, text = publish("--project", "refused", WANDB_API_KEY="0" * 40)
    assert code == 1
    assert "nothing was sent" in text
    assert "wandb login --host=" in text
    assert stored(target) == before


def test_the_key_of_the_source_goes_to_no_other_server(tmp_path: Path) -> None:
    key = load_or_create_key(tmp_path)
    environment = {"WANDB_API_KEY": key, "WANDB_PROJECT": "x", "HOME": "h"}
    found = point_sdk(environment, tmp_path, "https://example.org/", tmp_path / "scratch")
    assert found["WANDB_BASE_URL"] == "https://example.org"
    assert not {"WANDB_API_KEY", "WANDB_PROJECT"} & found.keys()
    other = point_sdk({"WANDB_API_KEY": KEY}, tmp_path, "https://example.org", tmp_path)
    assert other["WANDB_API_KEY"] == KEY


def test_an_address_without_a_scheme_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="give one such as https://"):
        point_sdk({}, tmp_path, "example.org", tmp_path)


def test_an_entity_of_somebody_else_is_refused(publish: Publish) -> None:
    code, text = publish("--entity", "stranger")
    assert code == 1
    assert "'stranger' is none of your entities" in text


def test_a_run_at_the_target_that_is_no_copy_is_known_as_such(core: Core) -> None:
    log_version(core, "songs", {"a.txt": b"one"}, run="r1")
    with core.database.read() as connection:
        (run,) = read_source(connection, "songs").runs
    run = replace(run, first=1.5, last_step=3)
    copy = TargetRun("finished", 1.5, 2, 0, {}, {}, {}, {})
    assert foreign(run, copy) is None
    assert foreign(run, replace(copy, first=None, last_step=-1)) is None
    assert "holds more" in (foreign(run, replace(copy, last_step=4)) or "")
    assert "another one" in (foreign(run, replace(copy, first=2.5)) or "")


def test_versions_keep_the_order_of_their_commits_and_runs_that_of_their_making(core: Core) -> None:
    for run, content in (("r1", b"1"), ("r2", b"2"), ("r1", b"3")):
        log_version(core, "songs", {"a.txt": content}, run=run)
    with core.database.read() as connection:
        source = read_source(connection, "songs")
    sessions = plan_sessions(source.runs, source.versions, {"r1", "r2"})
    assert [
        (s.run, [v.artifact.version_index for v in s.versions], s.is_last) for s in sessions
    ] == [
        ("r1", [0], False),
        ("r2", [1], True),
        ("r1", [2], True),
    ]


def test_a_project_that_is_not_there_is_named_with_those_that_are(core: Core) -> None:
    log_version(core, "songs", {"a.txt": b"one"}, run="r1")
    with core.database.read() as connection, pytest.raises(ServerError, match="local/songs"):
        read_source(connection, "song")
