"""`export` writes a project as tables and files, `import` makes the same project of them."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.server import client
from tests.server.conftest import Core
from tests.server.stored import log_run_file, log_version, version_id
from wandb_server import ids
from wandb_server.__main__ import main
from wandb_server.filestream import apply_post

UPSERT = """mutation ($p: String!, $r: String!, $c: JSONString, $t: [String!]) {
    upsertBucket(input: {modelName: $p, name: $r, config: $c, tags: $t, groupName: "g"}) {
        bucket { id } } }"""
USE = """mutation ($a: ID!, $p: String!, $r: String!) { useArtifact(input: {
    artifactID: $a, entityName: "local", projectName: $p, runName: $r}) { artifact { id } } }"""
DELETE = """mutation ($a: ID!) {
    deleteArtifact(input: {artifactID: $a, deleteAliases: true}) { artifact { id } } }"""
ALL = """query ($p: String!) { project(name: $p, entityName: "local") {
  runs(first: 100, order: "+created_at") { edges { node {
    name displayName state group jobType tags notes config summaryMetrics createdAt heartbeatAt
    historyKeys history(samples: 1000) events(samples: 1000) logLineCount
    logLines(first: 100) { edges { node { number line timestamp } } }
    files(first: 100) { edges { node { name md5 sizeBytes } } }
    inputArtifacts(first: 100) { edges { node { digest } } }
    outputArtifacts(first: 100) { edges { node { digest } } }
  } } }
  artifactTypes { edges { node { name artifactCollections { edges { node { name
    artifacts { edges { version node {
      digest description metadata size fileCount createdAt state
      aliases { alias } tags { name } createdBy { __typename ... on Run { name } }
      usedBy { edges { node { name } } }
      files { edges { node { name md5 sizeBytes } } }
    } } } } } } } } }
} }"""
HISTORY = ['{"_step":0,"loss":0.5,"nan":NaN}', '{"_step":3,"loss":1,"deep":{"a":[1,"x"]}}']
Command = Callable[..., int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command on a data folder."""

    def run(folder: Path, *words: object) -> int:
        monkeypatch.setenv("WANDB_SERVER_DIR", str(folder))
        return main([str(word) for word in words])

    return run


@pytest.fixture
def filled(core: Core) -> Core:
    """A project of two runs and, after a deletion, three versions, one of them a reference."""
    core.data(UPSERT, p="songs", r="r1", c='{"depth":{"value":3},"x":{"value":null}}', t=["a"])
    post = {
        "files": {
            "wandb-history.jsonl": {"offset": 0, "content": HISTORY},
            "wandb-events.jsonl": {"offset": 0, "content": ['{"system.cpu":1.5}']},
            "output.log": {"offset": 0, "content": ["2026-01-01T00:00:00.000000 hello"]},
            "wandb-summary.json": {"offset": 0, "content": ['{"loss":1,"nan":NaN}']},
        },
        "complete": True,
        "exitcode": 0,
    }
    with core.database.write() as connection:
        apply_post(connection, ("local", "songs", "r1"), post)
    log_run_file(core, "songs", "r1", "media/a.txt", b"a picture")
    for content in (b"one", b"two", b"three"):
        log_version(core, "songs", {"in/a.txt": content}, run="r1", metadata='{"rows": 1}')
    core.data(DELETE, a=version_id(core, 2))
    core.data(UPSERT, p="songs", r="r2")
    core.data(USE, a=version_id(core, 1), p="songs", r="r2")
    log_reference(core, "songs", version_id(core, 1))
    return core


def log_reference(core: Core, project: str, to: str) -> None:
    """Log a version whose one file is in another version."""
    made = client.create(
        core.data, project, {}, artifactCollectionName="link", runName="r2", digest="ab" * 16
    )
    address = f"wandb-artifact://{ids.base64.b64decode(to).hex()}/in/a.txt"
    entry = {"digest": client.md5(b"one"), "size": 3, "ref": address}
    text = json.dumps({"version": 1, "contents": {"a.txt": entry}}).encode()
    client.announce(core.data, made["id"], text)
    core.blobs.write(text)
    client.commit(core.data, made["id"])


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Core]:
    """Another data folder, with a version in it, so that rows have other numbers there."""
    other = Core(tmp_path / "other")
    log_version(other, "elsewhere", {"a.txt": b"x"}, run="r1")
    yield other
    other.database.close()


def everything(core: Core, project: str) -> dict[str, Any]:
    """Read all of a project, with JSON texts as what they say: they may be spaced otherwise."""
    found = core.data(ALL, p=project)
    for edge in found["project"]["runs"]["edges"] if found["project"] else []:
        node = edge["node"]
        node |= {key: parse(node[key]) for key in ("config", "summaryMetrics")}
        node |= {key: [parse(row) for row in node[key]] for key in ("history", "events")}
    return found


def parse(text: str) -> Any:
    return json.loads(text, parse_constant=str)


def test_an_exported_project_is_imported_as_it_was(
    filled: Core, other: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(filled.folder, "export", "songs", tmp_path / "out") == 0
    assert "2 runs, 3 versions" in capsys.readouterr().out
    assert command(other.folder, "import", tmp_path / "out") == 0
    assert "Made the project local/songs: 2 runs, 3 versions." in capsys.readouterr().out
    assert everything(other, "songs") == everything(filled, "songs")
    assert client.versions(other.data, "songs") == {"v0": [], "v2": ["latest"]}
    assert command(other.folder, "check") == 0


def test_the_next_version_after_an_import_takes_the_number_that_it_would_have_had(
    filled: Core, other: Core, tmp_path: Path, command: Command
) -> None:
    assert command(filled.folder, "export", "songs", tmp_path / "out") == 0
    assert command(other.folder, "import", tmp_path / "out", "--project", "again") == 0
    assert log_version(other, "again", {"in/a.txt": b"four"}) == 3
    assert log_version(other, "again", {"in/a.txt": b"one"}) == 0


def test_references_lead_to_the_imported_versions(
    filled: Core, other: Core, tmp_path: Path, command: Command
) -> None:
    assert command(filled.folder, "export", "songs", tmp_path / "out") == 0
    assert command(other.folder, "import", tmp_path / "out") == 0
    with other.database.read() as connection:
        (ref,) = connection.execute("SELECT ref FROM artifact_file WHERE ref NOT NULL").fetchone()
        (row,) = connection.execute(
            "SELECT artifact.id FROM artifact JOIN collection ON collection.id = collection_id"
            " JOIN project ON project.id = project_id"
            " WHERE project.name = 'songs' AND collection.name = 'table' AND version_index = 0"
        ).fetchone()
    assert ids.encode("Artifact", row) != version_id(filled, 1)
    assert (
        ref
        == f"wandb-artifact://{ids.base64.b64decode(ids.encode('Artifact', row)).hex()}/in/a.txt"
    )


def test_tables_and_files_can_be_read_without_the_server(
    filled: Core, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "out"
    assert command(filled.folder, "export", "songs", out) == 0
    history = pq.read_table(out / "history.parquet").to_pandas()
    loss = history[history["key"] == "loss"]
    assert loss[["run", "step", "value"]].values.tolist() == [["r1", 0, 0.5], ["r1", 3, 1.0]]
    assert pq.read_table(out / "runs.parquet")["name"].to_pylist() == ["r1", "r2"]
    assert (out / "files/r1/media/a.txt").read_bytes() == b"a picture"
    assert (out / "artifacts/table/v2/in/a.txt").read_bytes() == b"three"
    assert json.loads((out / "index.json").read_text())["versions"] == 3


def test_a_project_that_is_there_is_never_imported_over(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(filled.folder, "export", "songs", tmp_path / "out") == 0
    before = everything(filled, "songs")
    assert command(filled.folder, "import", tmp_path / "out") == 1
    assert "local/songs is here already" in capsys.readouterr().err
    assert everything(filled, "songs") == before


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (shutil.rmtree, "there is no folder "),
        (lambda out: (out / "index.json").unlink(), "is no whole export"),
        (lambda out: (out / "lines.parquet").write_bytes(b"x"), "lines.parquet"),
        (lambda out: (out / "files/r1/media/a.txt").write_bytes(b"other"), "nothing was imported"),
        (lambda out: (out / "artifacts/table/v0/in/a.txt").unlink(), "a.txt"),
    ],
)
def test_nothing_is_made_of_a_damaged_export(
    filled: Core,
    other: Core,
    tmp_path: Path,
    command: Command,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    complaint: str,
) -> None:
    assert command(filled.folder, "export", "songs", tmp_path / "out") == 0
    spoil(tmp_path / "out")
    assert command(other.folder, "import", tmp_path / "out") == 1
    assert complaint in capsys.readouterr().err
    assert everything(other, "songs") == {"project": None}


def test_an_export_goes_into_no_folder_that_holds_something(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert command(filled.folder, "export", "songs", tmp_path) == 1
    assert "isn't empty" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_an_export_that_can_t_be_written_names_its_own_place(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a file").touch()
    target = tmp_path / "a file" / "songs"
    assert command(filled.folder, "export", "songs", target) == 1
    assert f"can't write the export {target}: Not a directory" in capsys.readouterr().err
