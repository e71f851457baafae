"""Filters and orders mean what the SDK documents."""

import json
import math
from typing import Any

import pytest

from tests.server.conftest import Core
from wandb_server.errors import ClientError
from wandb_server.filters import parse_filter, parse_order, sort_documents

RUN = {
    "state": "finished",
    "displayName": "blue-sky",
    "tags": ["a", "b"],
    "config": {"lr": {"value": 0.5}, "net": {"value": {"depth": 3}}, "a.b": {"value": 1}},
    "summary_metrics": {"loss": 0.25, "best.auc": 0.9, "odd": math.nan},
    "sweep": None,
}


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"state": "finished"},
        {"state": {"$eq": "finished"}, "tags": "a"},
        {"state": {"$ne": "failed"}},
        {"state": {"$in": ["finished", "failed"]}},
        {"state": {"$nin": ["failed"]}},
        {"tags": {"$in": ["b", "c"]}},
        {"tags": {"$all": ["a", "b"]}},
        {"tags": {"$size": 2}},
        {"config.lr": 0.5},
        {"config.lr.value": {"$gte": 0.5, "$lte": 0.5}},
        {"config.net.depth": {"$gt": 2, "$lt": 4}},
        {"config.net.value.depth": 3},
        {"config.a.b": 1},
        {"summary_metrics.loss": {"$lt": 1}},
        {"summary_metrics.best.auc": 0.9},
        {"summary_metrics.loss": {"$exists": True}},
        {"summary_metrics.none": {"$exists": False}},
        {"summary_metrics.none": None},
        {"sweep": None},
        {"displayName": {"$regex": "^blue.*"}},
        {"displayName": {"$not": {"$regex": "red"}}},
        {"displayName": {"$contains": "e-s"}},
        {"$and": [{"state": "finished"}, {"tags": "b"}]},
        {"$or": [{"state": "failed"}, {"tags": "b"}]},
        {"$nor": [{"state": "failed"}, {"tags": "c"}]},
        {"$not": {"state": "failed"}},
    ],
)
def test_a_filter_that_fits_lets_the_run_pass(filters: dict[str, Any]) -> None:
    assert parse_filter(json.dumps(filters))(RUN)


@pytest.mark.parametrize(
    "filters",
    [
        {"state": "failed"},
        {"state": {"$ne": "finished"}},
        {"state": {"$nin": ["finished"]}},
        {"tags": "c"},
        {"config.lr": {"$gt": 0.5}},
        {"config.lr": {"$gt": "0"}},
        {"config.none": {"$lt": 1}},
        {"summary_metrics.odd": {"$gt": 0}},
        {"summary_metrics.none": {"$exists": True}},
        {"displayName": {"$regex": "^sky"}},
        {"$and": [{"state": "finished"}, {"tags": "c"}]},
        {"$or": []},
        {"$nor": [{"tags": "a"}]},
    ],
)
def test_a_filter_that_does_not_fit_stops_the_run(filters: dict[str, Any]) -> None:
    assert not parse_filter(json.dumps(filters))(RUN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "JSON object is wanted"),
        ('{"$xor": []}', "no operator '\\$xor'"),
        ('{"a": {"$near": 1}}', "no operator '\\$near'"),
        ('{"$and": {}}', "wants a list"),
        ('{"a": {"$in": 1}}', "wants a list"),
        ('{"a": {"$regex": "("}}', "\\$regex"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(ClientError, match=message):
        parse_filter(text)


def test_runs_sort_by_fields_and_those_without_come_last() -> None:
    documents = [
        {"n": 1, "summary_metrics": {"loss": 2}},
        {"n": 2, "summary_metrics": {}},
        {"n": 3, "summary_metrics": {"loss": 1}},
        {"n": 4, "summary_metrics": {"loss": 2}},
    ]

    def order(text: str) -> list[int]:
        return [item["n"] for item in sort_documents(documents, parse_order(text))]

    assert order("+summary_metrics.loss") == [3, 1, 4, 2]
    assert order("-summary_metrics.loss") == [1, 4, 3, 2]
    assert order("-summary_metrics.loss,-n") == [4, 1, 3, 2]
    assert order("") == [1, 2, 3, 4]


def test_runs_are_found_by_every_field_that_the_sdk_documents(core: Core) -> None:
    run = {"modelName": "p", "name": "r", "displayName": "shown", "groupName": "g", "host": "h"}
    run |= {"jobType": "train", "tags": ["t"], "config": '{"lr": {"value": 0.5}}'}
    run |= {"entityName": "team", "summaryMetrics": '{"loss": 1}'}
    core.data("mutation ($i: UpsertBucketInput!) { upsertBucket(input: $i) { inserted } }", i=run)
    count = """query ($f: JSONString) {
        project(name: "p", entityName: "team") { runCount(filters: $f) }
    }"""
    fitting = {
        "createdAt": {"$gt": "2020-01-01T00:00:00Z"},
        "displayName": "shown",
        "duration": {"$lt": 600},
        "entity": "team",
        "group": "g",
        "host": "h",
        "jobType": "train",
        "name": "r",
        "state": "running",
        "tags": "t",
        "username": "local",
        "config.lr": 0.5,
        "summary_metrics.loss": {"$gte": 1},
    }
    for field, condition in fitting.items():
        for expected, filters in ((1, {field: condition}), (0, {"$nor": [{field: condition}]})):
            found = core.data(count, f=json.dumps(filters))
            assert found == {"project": {"runCount": expected}}, field
