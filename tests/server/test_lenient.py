"""Inputs that only a newer SDK knows are dropped, at every depth, and the rest is kept."""

import pytest

from tests.server.conftest import Core

UPSERT = "mutation ($input: UpsertBucketInput!) { upsertBucket(input: $input) { bucket { name } } }"


def test_unknown_fields_inside_a_variable_are_dropped(core: Core) -> None:
    fields = {"name": "r", "modelName": "p", "brandNew": {"deep": 1}}
    assert core.data(UPSERT, input=fields)["upsertBucket"]["bucket"]["name"] == "r"


def test_unknown_fields_inside_a_list_of_inputs_are_dropped(core: Core) -> None:
    core.data(UPSERT, input={"name": "r", "modelName": "p"})
    query = (
        "mutation ($i: CreateArtifactInput!) { createArtifact(input: $i) { artifact { state } } }"
    )
    fields = {
        "entityName": "local",
        "projectName": "p",
        "artifactTypeName": "t",
        "artifactCollectionName": "c",
        "digest": "d",
        "aliases": [{"artifactCollectionName": "c", "alias": "a", "newer": 1}],
    }
    assert core.data(query, i=fields)["createArtifact"]["artifact"]["state"] == "PENDING"


def test_unknown_arguments_and_the_variables_they_used_are_dropped(core: Core) -> None:
    query = """mutation ($name: String, $new: Int, $other: JSONString) {
        upsertBucket(input: {name: $name, modelName: "p", brandNew: $new}, later: $other) {
            bucket { name project(shape: $new) { name } }
        }
    }"""
    bucket = core.data(query, name="r", new=1, other="{}")["upsertBucket"]["bucket"]
    assert bucket == {"name": "r", "project": {"name": "p"}}


def test_unknown_variables_are_ignored(core: Core) -> None:
    assert core.data("query { viewer { username } }", entity="x")["viewer"]["username"] == "local"


def test_a_field_that_is_asked_for_and_unknown_is_named(core: Core) -> None:
    assert "shoeSize" in core.error("query { viewer { shoeSize } }")


@pytest.mark.parametrize(
    ("query", "feature"),
    [
        ("mutation { createRunQueue(input: {a: 1}) { success } }", "launch queues"),
        ("mutation { createTeam(input: {a: 1}) { entity { id } } }", "teams"),
    ],
)
def test_a_feature_that_is_missing_is_named(core: Core, query: str, feature: str) -> None:
    message = core.error(query)
    assert "this local server doesn't have" in message
    assert feature in message
