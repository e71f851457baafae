"""One request, one transaction; the client's mistakes and the server's faults told apart."""

import json
import sqlite3
from contextlib import closing

import pytest

from tests.server.conftest import Core, LiveServer
from wandb_server.errors import ClientError, StorageError
from wandb_server.graphql_endpoint import Query, read_query

UPSERT = "mutation ($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id name } } }"
RUN = "query ($p: String, $r: String) { project(name: $p) { run(name: $r) { %s } } }"


def test_an_empty_operation_name_means_none(live: LiveServer) -> None:
    assert live.data("query A { viewer { entity } }")["viewer"]["entity"] == "local"
    assert read_query(b'{"query": "{ a }", "operationName": ""}') == Query("{ a }", {}, None)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"query": 1}', b'{"query": "", "variables": 1}', b"\xff"]
)
def test_a_body_that_is_no_request_is_refused(live: LiveServer, body: bytes) -> None:
    status, _, answer = live.request("POST", "/graphql", body)
    assert status == 400
    assert json.loads(answer)["error"]


def test_values_that_no_column_holds_are_refused(live: LiveServer, project: str) -> None:
    for value in ("\ud800", 2**70):
        fields = {"name": "r", "modelName": project, "notes": value}
        body = json.dumps({"query": UPSERT, "variables": {"i": fields}})
        status, _, answer = live.request("POST", "/graphql", body.encode())
        assert status == 400 or json.loads(answer)["errors"]
    deep = b'{"query":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert live.request("POST", "/graphql", deep)[0] == 400


def test_nan_is_answered_as_text_where_json_has_no_word_for_it(core: Core) -> None:
    core.data(UPSERT, i={"name": "r", "modelName": "p", "summaryMetrics": '{"x": NaN}'})
    with core.database.write() as connection:
        connection.execute("UPDATE run SET history_keys = '{\"lastStep\": NaN}'")
    run = core.data(RUN % "summaryMetrics historyKeys", p="p", r="r")["project"]["run"]
    assert run == {"summaryMetrics": '{"x": NaN}', "historyKeys": {"lastStep": "NaN"}}
    json.dumps(run, allow_nan=False)


def test_a_mutation_that_fails_half_way_leaves_nothing(core: Core) -> None:
    query = """mutation ($i: UpsertBucketInput!) {
        upsertBucket(input: $i) { bucket { id } }
        commitArtifact(input: {artifactID: "QXJ0aWZhY3Q6OTk="}) { artifact { id } }
    }"""
    assert "artifact 99" in core.error(query, i={"name": "r", "modelName": "p"})
    assert core.data('{ project(name: "p") { id } }')["project"] is None


def test_a_database_that_stays_locked_is_a_fault_that_names_the_file(live: LiveServer) -> None:
    path = live.folder / "wandb.sqlite3"
    body = json.dumps({"query": UPSERT, "variables": {"i": {"name": "r", "modelName": "p"}}})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        status, _, answer = live.request("POST", "/graphql", body.encode())
        other.execute("ROLLBACK")
    assert status == 503
    assert str(path) in json.loads(answer)["error"]
    assert live.request("POST", "/graphql", body.encode())[0] == 200


def test_a_full_database_is_a_fault_and_keeps_what_it_has(core: Core) -> None:
    core.data(UPSERT, i={"name": "r", "modelName": "p"})
    with core.database.write() as connection:
        connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StorageError, match="database or disk is full"):
        core.ask(UPSERT, i={"name": "r", "modelName": "p", "notes": "x" * 1_000_000})
    assert core.data(RUN % "notes", p="p", r="r")["project"]["run"] == {"notes": None}


def test_an_upsert_does_not_tell_its_line_count_and_a_query_does(core: Core) -> None:
    query = UPSERT.replace("id name", "historyLineCount")
    fields = {"name": "r", "modelName": "p"}
    assert core.data(query, i=fields)["upsertBucket"]["bucket"] == {"historyLineCount": None}
    run = core.data(RUN % "historyLineCount", p="p", r="r")["project"]["run"]
    assert run == {"historyLineCount": 0}


def test_a_null_field_changes_nothing(core: Core) -> None:
    core.data(UPSERT, i={"name": "r", "modelName": "p", "notes": "n", "tags": ["t"]})
    core.data(UPSERT, i={"name": "r", "modelName": "p", "notes": None, "jobType": "j"})
    run = core.data(RUN % "notes tags jobType", p="p", r="r")["project"]["run"]
    assert run == {"notes": "n", "tags": ["t"], "jobType": "j"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"config": "[1]"}, "JSON object"),
        ({"config": "{"}, "not valid JSON"),
        ({"state": "asleep"}, "must be one of"),
        ({"name": "../r"}, "run name"),
        ({"modelName": "a/b"}, "project name"),
    ],
)
def test_an_upsert_that_makes_no_sense_is_refused(
    core: Core, fields: dict[str, str], message: str
) -> None:
    assert message in core.error(UPSERT, i={"name": "r", "modelName": "p", **fields})


def test_pages_go_on_where_the_last_one_ended(core: Core) -> None:
    names = [f"run-{number}" for number in range(5)]
    for name in names:
        core.data(UPSERT, i={"name": name, "modelName": "p"})
    query = """query ($after: String, $order: String) { project(name: "p") {
        runs(first: 2, after: $after, order: $order) {
            edges { node { name } } pageInfo { endCursor hasNextPage }
    } } }"""

    def page(after: str | None) -> tuple[list[str], str | None]:
        runs = core.data(query, after=after, order="-created_at")["project"]["runs"]
        more = runs["pageInfo"]["endCursor"] if runs["pageInfo"]["hasNextPage"] else None
        return [edge["node"]["name"] for edge in runs["edges"]], more

    first, cursor = page(None)
    core.data(UPSERT, i={"name": "newer", "modelName": "p"})
    second, cursor = page(cursor)
    third, cursor = page(cursor)
    assert first + second + third == names[::-1]
    assert cursor is None


def test_a_broken_query_body_names_what_is_missing() -> None:
    with pytest.raises(ClientError, match="no query"):
        read_query(b"{}")
