"""What a run streams is there once, however often it is sent, and tells the run's state."""

import gzip
import json
from typing import Any

import pytest

from tests.server.conftest import Core, LiveServer
from wandb_server import clock, runs
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.filestream import apply_post, read_post
from wandb_server.history import thin_out

UPSERT = "mutation ($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id } } }"
START = {"name": "r", "modelName": "p", "host": "h"}
PATH = ("local", "p", "r")


def _history(first: int, *values: Any) -> dict[str, Any]:
    lines = [json.dumps({"_step": first + i, "v": value}) for i, value in enumerate(values)]
    return {"files": {"wandb-history.jsonl": {"offset": first, "content": lines}}}


@pytest.fixture
def started(core: Core) -> Core:
    core.data(UPSERT, i=START)
    return core


def _post(core: Core, post: dict[str, Any], writer: str = "") -> dict[str, Any]:
    with core.database.write() as connection:
        return apply_post(connection, PATH, post, writer)


def _run(core: Core, fields: str) -> dict[str, Any]:
    query = 'query { project(name: "p") { run(name: "r") { %s } } }'
    return core.data(query % fields)["project"]["run"]


def test_a_post_that_comes_twice_counts_once(started: Core) -> None:
    for post in (_history(0, 1, 2), _history(2, 3), _history(2, 3), _history(0, 1, 2)):
        _post(started, post)
    run = _run(started, "history historyKeys historyLineCount")
    assert [json.loads(line)["v"] for line in run["history"]] == [1, 2, 3]
    assert run["historyLineCount"] == 3
    assert run["historyKeys"]["lastStep"] == 2
    assert run["historyKeys"]["keys"]["v"] == {
        "typeCounts": [{"type": "number", "count": 3}],
        "previousValue": 3,
    }


def test_values_inside_a_dict_are_keys_of_their_own_and_media_are_not(started: Core) -> None:
    _post(started, _history(0, {"inner": {"deep": 1.5}, "image": {"_type": "image-file"}}))
    keys = _run(started, "historyKeys")["historyKeys"]["keys"]
    assert set(keys) == {"_step", "v.inner.deep", "v.image"}
    assert keys["v.image"]["typeCounts"] == [{"type": "image-file", "count": 1}]
    sampled = 'sampledHistory(specs: ["{\\"keys\\": [\\"v.inner.deep\\"]}"])'
    assert _run(started, sampled) == {"sampledHistory": [[{"v.inner.deep": 1.5}]]}


def test_a_console_line_that_changes_replaces_itself(started: Core) -> None:
    for text in ("50%", "100%"):
        content = [f"2026-01-01T00:00:00.000001 {text}", "ERROR 2026-01-01T00:00:00.1 oh"]
        _post(started, {"files": {"output.log": {"offset": 0, "content": content}}})
    lines = _run(started, "logLines(first: 9) { edges { node { line level timestamp } } }")
    nodes = [edge["node"] for edge in lines["logLines"]["edges"]]
    assert nodes == [
        {"line": "100%", "level": "", "timestamp": "2026-01-01T00:00:00.000001"},
        {"line": "oh", "level": "error", "timestamp": "2026-01-01T00:00:00.1"},
    ]


def test_console_lines_are_read_in_both_forms_and_as_they_were_printed(started: Core) -> None:
    texts = ["[INFO] ready", '{"ts": "printed", "content": "by a program"}', "unfinished", "{"]
    structured = {"level": "error", "ts": "2026-01-01T00:00:00.2", "label": "node-1"}
    content = [f"2026-01-01T00:00:00.1 {text}" for text in texts]
    content += [json.dumps({**structured, "content": text}) for text in texts]
    _post(started, {"files": {"output.log": {"offset": 0, "content": content}}})
    lines = _run(started, "logLines { edges { node { line level timestamp label } } }")
    nodes = [edge["node"] for edge in lines["logLines"]["edges"]]
    plain = {"level": "", "timestamp": "2026-01-01T00:00:00.1", "label": ""}
    told = {"level": "error", "timestamp": "2026-01-01T00:00:00.2", "label": "node-1"}
    assert nodes == [{"line": text, **how} for how in (plain, told) for text in texts]


@pytest.mark.parametrize(
    ("end", "state"),
    [
        ({"complete": True, "exitcode": 0}, "finished"),
        ({"complete": True, "exitcode": 3}, "failed"),
        ({"preempting": True}, "preempting"),
        ({}, "running"),
    ],
)
def test_the_last_post_tells_the_state(started: Core, end: dict[str, Any], state: str) -> None:
    _post(started, end)
    assert _run(started, "state")["state"] == state


def test_a_run_that_falls_silent_is_crashed_until_it_speaks(
    started: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(started, "state")["state"] == "running"
    now = clock.ago
    monkeypatch.setattr(clock, "ago", lambda seconds: now(seconds - runs.CRASH_AFTER_SECONDS - 1))
    assert _run(started, "state")["state"] == "crashed"
    crashed = 'query { project(name: "p") { runCount(filters: "{\\"state\\": \\"crashed\\"}") } }'
    assert started.data(crashed)["project"]["runCount"] == 1
    monkeypatch.undo()
    _post(started, {})
    assert _run(started, "state")["state"] == "running"


def test_a_run_learns_that_it_is_to_stop_and_is_killed(started: Core) -> None:
    assert _post(started, {})["stopped"] is False
    run_id = _run(started, "id")["id"]
    started.data("mutation ($r: ID!) { stopRun(input: {id: $r}) { success } }", r=run_id)
    assert _post(started, {})["stopped"] is True
    _post(started, {"complete": True, "exitcode": 255})
    assert _run(started, "state")["state"] == "killed"


@pytest.mark.parametrize(
    "change",
    [{"tags": ["new"]}, {"config": '{"_wandb": {"value": {"t": {}, "e": {"w": {}}}}}'}],
    ids=["tags", "config"],
)
def test_what_a_run_at_work_changes_takes_no_stop_and_no_mark_back(
    started: Core, change: dict[str, Any]
) -> None:
    run_id = _run(started, "id")["id"]
    _post(started, {"preempting": True})
    started.data("mutation ($r: ID!) { stopRun(input: {id: $r}) { success } }", r=run_id)
    started.data(UPSERT, i={**START, "id": run_id, **change})
    assert _run(started, "state")["state"] == "preempting"
    assert _post(started, {})["stopped"] is True


def test_a_resumed_run_is_at_work_and_was_not_told_to_stop(started: Core) -> None:
    run_id = _run(started, "id")["id"]
    started.data("mutation ($r: ID!) { stopRun(input: {id: $r}) { success } }", r=run_id)
    _post(started, {"complete": True, "exitcode": 255})
    started.data(UPSERT, i={**START, "id": run_id, "config": '{"_wandb": {"value": {"t": {}}}}'})
    assert _run(started, "state")["state"] == "running"
    assert _post(started, {})["stopped"] is False


def test_a_fresh_start_forgets_the_old_lines_and_a_resume_keeps_them(started: Core) -> None:
    _post(started, _history(0, 1, 2, 3))
    run_id = _run(started, "id")["id"]
    started.data(UPSERT, i={"id": run_id, "host": "h"})
    assert _run(started, "historyLineCount")["historyLineCount"] == 3
    started.data(UPSERT, i={"name": "r", "modelName": "p", "config": "{}"})
    assert _run(started, "historyLineCount")["historyLineCount"] == 3
    started.data(UPSERT, i=START)
    assert _run(started, "historyLineCount historyKeys") == {
        "historyLineCount": 0,
        "historyKeys": None,
    }


def test_writers_of_a_shared_run_do_not_overwrite_each_other(started: Core) -> None:
    line = {"offset": 0, "content": ['{"a": 1}']}
    other = {"offset": 0, "content": ['{"b": 2}']}
    for writer, chunk in (("one", line), ("two", other), ("one", line)):
        files = {"wandb-history.jsonl": chunk, "wandb-summary.json": chunk}
        _post(started, {"files": files}, writer)
    run = _run(started, "history summaryMetrics")
    assert sorted(run["history"]) == ['{"a": 1}', '{"b": 2}']
    assert json.loads(run["summaryMetrics"]) == {"a": 1, "b": 2}


def test_a_shared_run_that_was_ended_stays_so_until_it_is_started_again(started: Core) -> None:
    _post(started, {"complete": True, "exitcode": 0}, writer="one")
    _post(started, _history(0, 1), writer="two")
    assert _run(started, "state historyLineCount") == {"state": "finished", "historyLineCount": 1}
    started.data(UPSERT, i=START)
    assert _run(started, "state")["state"] == "running"


def test_a_run_that_does_not_exist_is_not_found(core: Core) -> None:
    with pytest.raises(NotFoundError, match="local/p/r"):
        _post(core, {})


@pytest.mark.parametrize(
    "chunk",
    [
        None,
        [],
        {"offset": -1, "content": []},
        {"offset": 2**60, "content": []},
        {"offset": "0", "content": []},
        {"offset": 0, "content": [1]},
        {"offset": 0},
    ],
)
def test_a_chunk_of_the_wrong_shape_is_refused_whole(started: Core, chunk: Any) -> None:
    post = _history(0, 1)
    post["files"]["output.log"] = chunk
    with pytest.raises(ClientError, match=r"output\.log"):
        _post(started, post)
    assert _run(started, "historyLineCount")["historyLineCount"] == 0


def test_bodies_are_read_plain_and_compressed() -> None:
    body = b'{"complete": true}'
    assert read_post(body, "") == read_post(gzip.compress(body), "gzip") == {"complete": True}
    for broken, encoding in ((b"{", ""), (b"[]", ""), (b"x", "gzip"), (b'{"files": [1]}', "")):
        with pytest.raises(ClientError, match="body"):
            read_post(broken, encoding)


def test_a_post_over_http_is_answered(live: LiveServer, project: str) -> None:
    live.data(UPSERT, i={**START, "modelName": project})
    path = f"/files/local/{project}/r/file_stream"
    status, _, answer = live.request("POST", path, json.dumps(_history(0, 1)).encode())
    assert (status, json.loads(answer)["stopped"]) == (200, False)
    assert live.request("POST", path.replace("/r/", "/none/"), b"{}")[0] == 404


def test_thinning_keeps_both_ends_and_the_order() -> None:
    assert thin_out(range(10), 4) == [0, 3, 6, 9]
    assert thin_out(range(3), 10) == [0, 1, 2]
    assert thin_out(range(3), 1) == [0]
    assert thin_out([], 5) == []
