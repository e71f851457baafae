"""The tools that measure the server against several SDK releases and the SDK's own tests."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sdk import gone, matrix, report
from tests.server.conftest import KEY, LiveServer

XML = """<testsuites><testsuite>
<testcase classname="a.test_core" name="test_one[x]" />
<testcase classname="a.test_core" name="test_two"><skipped message="no torch">t</skipped></testcase>
<testcase classname="a.test_core" name="test_three"><failure message="AssertionError">line
E   assert 1 == 2
E
</failure></testcase>
<testcase classname="a.test_wandb_artifacts_full" name="test_storage_policy_storage_region">
<error message="refused">E   refused</error></testcase>
</testsuite></testsuites>"""


@pytest.fixture(scope="module")
def found(live: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> matrix.Outcome:
    """What came of some checks with the SDK that is installed here."""
    folder = tmp_path_factory.mktemp("matrix")
    given = {"WANDB_BASE_URL": live.base_url, "WANDB_API_KEY": KEY}
    environment = matrix.client_environment(folder, given)
    checks = ("log_a_run", "log_artifacts", "change_artifacts", "use_registries", "find_runs")
    return matrix.run_scenario([sys.executable], environment, folder, checks)


def test_a_release_of_the_sdk_passes_the_scenario(found: matrix.Outcome) -> None:
    passed = [name for name, text in found.checks.items() if text == "ok"]
    assert passed == ["log_a_run", "log_artifacts", "change_artifacts", "use_registries"]
    assert found.unknown == []
    assert found.served > 100
    assert "| log a run | ok |" in matrix.table([found])


def test_a_failed_check_is_told(found: matrix.Outcome) -> None:
    (failure,) = found.failures()  # the runs that it looks for aren't all there
    assert "find_runs: Traceback" in failure
    assert "| find runs | fails |" in matrix.table([found])


def test_the_table_shows_what_fails() -> None:
    outcome = matrix.Outcome("1.2.3", {"find_runs": "Traceback"}, 1, 2, ["a.py:New"])
    assert matrix.table([outcome]).splitlines()[2] == "| find runs | fails |"
    assert outcome.failures() == ["wandb 1.2.3: find_runs: Traceback", "wandb 1.2.3: a.py:New"]


@pytest.fixture
def results(tmp_path: Path) -> dict[str, list[report.Result]]:
    (tmp_path / "report.xml").write_text(XML)
    return {"test_core": report.read_results(tmp_path / "report.xml", "1.2.3")}


def test_results_are_counted_by_outcome_and_reason(
    results: dict[str, list[report.Result]],
) -> None:
    lines = report.table(results, "1.2.3").splitlines()
    assert lines[2] == "| test_core | 4 | 1 | 1 | 1 | 1 | 50.0% |"
    assert lines[-1].startswith("| 1 | wants an object store")


def test_a_failure_without_a_reason_is_told_with_its_last_words(
    results: dict[str, list[report.Result]],
) -> None:
    told = report.failures(results)
    assert told == ["FAILED test_core/test_core::test_three: assert 1 == 2"]


def test_a_reason_holds_for_its_releases_only() -> None:
    message = "E   AttributeError: 'Run' object has no attribute 'get_url'"
    assert report.find_excuse("test_wandb::test_run_url", message, "0.28.2") is None
    why = report.find_excuse("test_wandb::test_run_url", message, "0.31.0")
    assert why is not None
    assert "moved or removed" in why


@pytest.mark.parametrize("use", [lambda thing: thing(), lambda thing: thing.part])
def test_a_name_that_the_sdk_has_lost_can_be_imported_and_its_use_is_told_as_that(
    use: Callable[[Any], Any],
) -> None:
    thing = gone.GoneModule("wandb.lost").Thing
    with pytest.raises(AttributeError, match="Thing, which this release") as caught:
        use(thing)
    why = report.find_excuse("test_any::test_any", str(caught.value), "0.31.0")
    assert why is not None
    assert "moved or removed" in why
