"""No name from a client reaches the database or the disk unchecked."""

import json

import pytest

from tests.server.conftest import LiveServer
from wandb_server import ids
from wandb_server.errors import ClientError
from wandb_server.names import check_alias, check_artifact_name, check_file_path, check_label

HOSTILE = [
    "",
    "..",
    ".",
    "a/../b",
    "/etc/passwd",
    "a\x00b",
    "a\nb",
    "x" * 5000,
    "a\\..\\b",
    "\ud800",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_labels_are_refused(name: str) -> None:
    with pytest.raises(ClientError, match="project name"):
        check_label("project", name)


@pytest.mark.parametrize("name", [*HOSTILE, "with space", "ümlaut", "a:b", "a/b"])
def test_hostile_artifact_names_are_refused(name: str) -> None:
    with pytest.raises(ClientError, match="artifact name"):
        check_artifact_name(name)


@pytest.mark.parametrize("path", [name for name in HOSTILE if name != "."])
def test_hostile_paths_are_refused(path: str) -> None:
    with pytest.raises(ClientError, match="run file"):
        check_file_path("run file", path)


@pytest.mark.parametrize("alias", ["v0", "v12", "a:b", "a/b", "", "a\tb"])
def test_aliases_that_would_be_ambiguous_are_refused(alias: str) -> None:
    with pytest.raises(ClientError, match="alias"):
        check_alias(alias)


def test_ordinary_names_pass_unchanged() -> None:
    assert check_label("run", "lauf 7 ü") == "lauf 7 ü"
    assert check_artifact_name("a-b_c.parquet") == "a-b_c.parquet"
    assert check_file_path("run file", "media/images/a b..c.png") == "media/images/a b..c.png"
    assert check_alias("best-v3") == "best-v3"


@pytest.mark.parametrize(
    "text", ["", "x", "Run:1", "UnVuOng=", "UnVuOi0x", ids.encode("Artifact", 1)]
)
def test_an_id_of_another_kind_or_shape_is_refused(text: str) -> None:
    with pytest.raises(ClientError):
        ids.decode("Run", text)


@pytest.mark.parametrize("name", HOSTILE[1:])
def test_hostile_file_names_never_get_an_upload_address(
    live: LiveServer, project: str, name: str
) -> None:
    upsert = (
        'mutation ($p: String) { upsertBucket(input: {name: "r", modelName: $p}) { inserted } }'
    )
    live.data(upsert, p=project)
    query = """mutation ($p: String, $f: [String!]!) {
        createRunFiles(input: {projectName: $p, runName: "r", files: $f}) { runID }
    }"""
    body = json.dumps({"query": query, "variables": {"p": project, "f": [name]}})
    status, _, answer = live.request("POST", "/graphql", body.encode())
    assert status == 200
    assert "run file" in json.loads(answer)["errors"][0]["message"]
