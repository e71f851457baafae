"""What is asked of a long history costs what is answered, not what is stored."""

import json
import sqlite3
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.conftest import Core
from wandb_server.filestream import apply_post
from wandb_server.history import sample_lines, sample_rows
from wandb_server.lines import read_history, read_steps

LINES = 10_001
STEPS_OF_SQLITE = 100  # between two calls of the counter
UPSERT = "mutation ($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id } } }"


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, int]]:
    """A connection, and the run with steps 1 to LINES; each tenth line has the key `rare`."""
    core = Core(tmp_path_factory.mktemp("long"))
    core.data(UPSERT, i={"entityName": "local", "modelName": "p", "name": "r"})
    rows = [{"_step": step, "x": step, "text": "x" * 100} for step in range(1, LINES + 1)]
    for row in rows[::10]:
        row["rare"] = {"deep": row["x"]}
    chunk = {"offset": 0, "content": list(map(json.dumps, rows))}
    with core.database.write() as connection:
        apply_post(connection, ("local", "p", "r"), {"files": {"wandb-history.jsonl": chunk}}, "")
    with core.database.read() as connection:
        yield connection, connection.execute("SELECT id FROM run").fetchone()[0]
    core.database.close()


def test_a_page_of_steps_is_found_without_a_look_at_the_others(
    long: tuple[sqlite3.Connection, int],
) -> None:
    connection, run = long
    calls: list[None] = []
    connection.set_progress_handler(lambda: calls.append(None), STEPS_OF_SQLITE)
    try:
        lines = read_steps(connection, run, 1, 11)
    finally:
        connection.set_progress_handler(None, 0)
    assert [json.loads(line)["_step"] for line in lines] == list(range(1, 11))
    assert len(calls) * STEPS_OF_SQLITE < LINES


@pytest.mark.parametrize(
    ("first", "end", "found"),
    [
        (0, None, (1, LINES)),
        (-(1 << 63), (1 << 63) - 1, (1, LINES)),
        (LINES, None, (LINES, LINES)),
        (5, 6, (5, 5)),
        (6, 5, None),
        (LINES + 1, None, None),
    ],
)
def test_the_first_step_is_in_a_range_and_the_end_is_not(
    long: tuple[sqlite3.Connection, int],
    first: int,
    end: int | None,
    found: tuple[int, int] | None,
) -> None:
    steps = [step for step, _ in read_history(*long, end, first)]
    assert steps == ([] if found is None else list(range(found[0], found[1] + 1)))


def test_a_sample_has_both_ends_and_rows_that_hold_all_keys(
    long: tuple[sqlite3.Connection, int],
) -> None:
    lines = sample_lines(*long, 3)
    assert [json.loads(line)["_step"] for line in lines] == [1, 5001, LINES]
    spec: dict[str, Any] = {"keys": ["x", "rare.deep"], "samples": 3, "minStep": 2, "maxStep": 501}
    assert sample_rows(*long, spec) == [{"x": x, "rare.deep": x} for x in (11, 251, 501)]
    assert [row["x"] for row in sample_rows(*long, {"samples": 2})] == [1, LINES]
    assert sample_rows(*long, {"keys": ["none"]}) == []


@pytest.mark.parametrize("keys", [[], ["x"]])
def test_a_sample_holds_no_more_than_it_gives(
    long: tuple[sqlite3.Connection, int], keys: list[str]
) -> None:
    tracemalloc.start()
    try:
        assert len(sample_rows(*long, {"keys": keys, "samples": 10})) == 10
        assert len(sample_lines(*long, 10)) == 10
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LINES * 50  # bytes: a line has over a hundred
