"""The run table: what people may write into the filter, and what they get."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import QueryParams

from wandb_server.database import Database
from wandb_server.errors import ClientError
from wandb_server.filters import Document, parse_filter
from wandb_server.pages.expressions import read_expression
from wandb_server.pages.run_table import (
    PAGE_SIZE,
    choose_columns,
    cut_page,
    find_runs,
    group_runs,
    known_columns,
)
from wandb_server.pages.run_view import RunView, read_view
from wandb_server.projects import ensure_project
from wandb_server.runs import create_run, update_run

RUNS: list[dict[str, Any]] = [
    {
        "displayName": "forest",
        "groupName": "my group",
        "jobType": "train",
        "tags": ["best", "kept"],
        "config": {"max_depth": {"value": 13}, "model": {"value": {"trees": 10, "kind": "gini"}}},
        "summaryMetrics": {"test/roc_auc_ovo": 0.97, "loss": 0.5, "done": True},
    },
    {
        "displayName": "Tree",
        "groupName": "other",
        "jobType": "train",
        "notes": "about a Forest",
        "config": {"max_depth": {"value": 5}, "model": {"value": {"trees": 1, "kind": "gini"}}},
        "summaryMetrics": {"test/roc_auc_ovo": 0.91, "loss": float("nan"), "val loss": 3},
    },
    {
        "displayName": "broken",
        "state": "failed",
        "config": {"max_depth": {"value": "13"}, "a.b": {"value": None}},
        "summaryMetrics": {"loss": 0.7},
    },
]


def fill(folder: Path) -> Database:
    database = Database(folder / "wandb.sqlite3")
    with database.write() as connection:
        project = ensure_project(connection, "local", "songs")
        for number, fields in enumerate(RUNS):
            run = create_run(connection, project.id, f"id{number}", "finished")
            texts = {name: json.dumps(fields[name]) for name in ("config", "summaryMetrics")}
            update_run(connection, run.id, fields | texts)
    return database


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The runs, which no test changes."""
    database = fill(tmp_path_factory.mktemp("table"))
    yield database
    database.close()


def find(database: Database, **fields: Any) -> list[Document]:
    with database.read() as connection:
        wanted = ("name", "config.", "summary.", "duration")
        return find_runs(connection, 1, RunView(**fields), wanted)


def names(database: Database, **fields: Any) -> list[str]:
    return [str(run["displayName"]) for run in find(database, **{"sort": "created", **fields})]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["forest", "Tree", "broken"]),
        ("test/roc_auc_ovo > 0.95", ["forest"]),
        ("summary.test/roc_auc_ovo>0.9", ["forest", "Tree"]),
        ("config.max_depth = 13", ["forest", "broken"]),
        ("max_depth = 13 and state = finished", ["forest"]),
        ("max_depth < 10, loss", []),
        ('max_depth = "13"', ["broken"]),
        ("model.trees >= 10", ["forest"]),
        ("config.model.kind = gini", ["forest", "Tree"]),
        ("config.a.b = none and state = failed", ["broken"]),
        ("state != finished", ["broken"]),
        ("state = failed or tag = best", ["forest", "broken"]),
        ("(state = failed or tag = best) and not group ~ GROUP", ["broken"]),
        ('group = "my group"', ["forest"]),
        ("job_type = train tag = kept", ["forest"]),
        ("forest", ["forest", "Tree"]),
        ('"a forest"', ["Tree"]),
        ("FOREST and notes ~ about", ["Tree"]),
        ("name !~ e", []),
        ("done = true", ["forest"]),
        ('"val loss" = 3', ["Tree"]),
        ("id = id2", ["broken"]),
        ("tag ~ KEP", ["forest"]),
        ("loss >= 0", ["forest", "broken"]),
        ("duration < 60", ["forest", "Tree", "broken"]),
    ],
)
def test_filters_find_the_runs_that_they_describe(
    database: Database, text: str, found: list[str]
) -> None:
    assert names(database, filter=text) == found


@pytest.mark.parametrize(
    "text",
    [
        "loss >",
        "> 3",
        "(loss > 3",
        "loss > 3)",
        "not",
        "a = = b",
        "a and",
        '"open',
        "x" * 1001,
        "(" * 999,
    ],
)
def test_an_unreadable_filter_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ClientError, match="filter"):
        read_expression(text)


def test_every_filter_is_one_that_the_api_takes_too() -> None:
    passes = parse_filter(json.dumps(read_expression("a = 1 and (b ~ x or not c != 2)")))
    assert passes({"config": {"a": 1, "b": "X"}})
    assert not passes({"config": {"a": 1, "b": "y", "c": 3}})


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("-summary.test/roc_auc_ovo", ["forest", "Tree", "broken"]),
        ("summary.loss", ["forest", "broken", "Tree"]),
        ("-summary.loss", ["broken", "forest", "Tree"]),
        ("config.max_depth", ["Tree", "forest", "broken"]),
        ("-name", ["forest", "broken", "Tree"]),
    ],
)
def test_tables_are_sorted_and_what_has_no_number_comes_last(
    database: Database, sort: str, found: list[str]
) -> None:
    assert names(database, sort=sort) == found


def test_groups_have_counts_means_and_a_filter_that_finds_their_runs(database: Database) -> None:
    view = RunView(group="config.model.kind")
    runs = find(database, group=view.group)
    groups, count = group_runs(runs, view, ["summary.test/roc_auc_ovo", "summary.loss"])
    assert count == 2
    gini, without = groups
    assert (gini.value, gini.count) == ("gini", 2)
    assert gini.means == [pytest.approx(0.94), 0.5]  # NaN isn't counted
    assert gini.ranges[0] == (0.91, 0.97)
    assert (without.value, without.count, without.means[0]) == (None, 1, None)
    assert names(database, filter=str(gini.filter)) == ["forest", "Tree"]
    assert names(database, filter=str(without.filter)) == ["broken"]


def test_columns_are_chosen_by_what_tells_runs_apart(database: Database) -> None:
    runs = find(database)
    chosen = choose_columns(runs, RunView(sort="-config.model.trees"))
    assert "config.model.trees" in chosen  # what the table is sorted by
    assert len(chosen) == len(set(chosen))
    assert "summary.test/roc_auc_ovo" in chosen
    assert "config.max_depth" in chosen
    assert "config.model.kind" not in chosen  # the same everywhere
    assert "config.model.trees" in known_columns(runs)


def test_details_of_a_metric_take_no_column_from_metrics() -> None:
    results = {"standard_error/val/loss": 0.1, **{f"val/{name}": 1 for name in "abcdef"}}
    runs = [{"config": {}, "summary_metrics": results}]
    assert "summary.val/f" in (chosen := choose_columns(runs, RunView()))
    assert "summary.standard_error/val/loss" not in chosen


def test_pages_hold_fifty_runs_and_the_last_one_answers_for_those_beyond(tmp_path: Path) -> None:
    database = fill(tmp_path)
    with database.write() as connection:
        for number in range(PAGE_SIZE):
            create_run(connection, 1, f"more{number}", "finished")
    with database.read() as connection:
        found = find_runs(connection, 1, RunView())
        first, last, beyond = (cut_page(connection, found, number) for number in (1, 2, 99))
    assert (len(first.runs), len(last.runs), first.total, first.pages) == (PAGE_SIZE, 3, 53, 2)
    assert beyond.runs[0]["name"] == last.runs[0]["name"]
    database.close()


def test_an_address_holds_the_whole_view() -> None:
    view = RunView("a > 1 & b", "-summary.x,y", "group", ("state", "config.a b"), 3)
    assert read_view(QueryParams(view.pairs(page=3))) == view
    assert read_view(QueryParams([])) == RunView()
    assert RunView().pairs() == []


def test_another_order_or_filter_starts_at_the_first_page() -> None:
    assert read_view(QueryParams(RunView(page=3).pairs(sort="name"))).page == 1


@pytest.mark.parametrize(
    "query", ["sort=nothing", "column=config.", "group=x", "page=0", "page=two", "page=٣"]
)
def test_an_impossible_view_is_refused(query: str) -> None:
    with pytest.raises(ClientError):
        read_view(QueryParams(query))


def test_too_many_columns_are_refused() -> None:
    with pytest.raises(ClientError, match="41 columns"):
        read_view(QueryParams([("column", f"config.{number}") for number in range(41)]))
