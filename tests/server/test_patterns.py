"""A regular expression of a client finds what Python's would, and never stops the server."""

import time

import pytest

from tests.server.conftest import Core
from wandb_server import patterns
from wandb_server.errors import ClientError
from wandb_server.patterns import Pattern

UPSERT = """mutation ($n: String) {
    upsertBucket(input: {name: "r", modelName: "p", displayName: $n}) { inserted }
}"""
COUNT = 'query ($f: JSONString) { project(name: "p") { runCount(filters: $f) } }'
# For each letter it goes back over all the others in all orders.
ENDLESS = r"^(\\w|\\w\\w|\\w\\w\\w)*?$"


@pytest.mark.parametrize(
    ("text", "found"),
    [("^run", True), ("n-1$", True), ("RUN", False), ("(?i)RUN", True), (r"\d{2}", False)],
)
def test_a_pattern_is_searched_for_as_in_python(text: str, found: bool) -> None:
    assert Pattern(text).finds("run-1") is found


@pytest.mark.parametrize("text", ["(", "*", "[a", "a{1000}{1000}{1000}"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ClientError, match=r"filters: \$regex"):
        Pattern(text)


def test_a_pattern_that_is_too_long_is_refused() -> None:
    with pytest.raises(ClientError, match="1000 characters at most"):
        Pattern("a" * 1001)


def test_a_pattern_that_takes_for_ever_is_given_up(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    core.data(UPSERT, n="a" * 80 + "!")
    start = time.monotonic()
    message = core.error(COUNT, f=f'{{"display_name": {{"$regex": "{ENDLESS}"}}}}')
    assert "repeats inside of repeats" in message
    assert time.monotonic() - start < 10
    assert core.data(COUNT, f='{"display_name": {"$regex": "^a+!$"}}')["project"]["runCount"] == 1
