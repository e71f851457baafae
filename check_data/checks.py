"""Runs the checks, which are pytest tests, on a table."""

import os
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rules import Dataset

FOLDER = Path(__file__).parent
OPTIONS = (
    # No settings of a project around, and no other plugins: the checks are these, always. Without
    # the third option, every folder above would be searched, and each conftest.py there be run.
    f"--config-file={os.devnull}",
    f"--rootdir={FOLDER}",
    f"--confcutdir={FOLDER}",
    f"--override-ini=pythonpath={FOLDER}",
    "--override-ini=addopts=",
    "--override-ini=markers=columns(kind): run once for each such column",
    "--disable-plugin-autoload",
    "--import-mode=importlib",
    "-pno:cacheprovider",
    "-pno:terminal",
    "-pno:faulthandler",
    # It collects garbage in the end, which takes as long as the checks.
    "-pno:unraisableexception",
)


class CheckError(Exception):
    """The checks themselves are broken."""


@dataclass(frozen=True)
class Inputs:
    """What the checks work on.

    Attributes:
        sample: Table to check.
        reference: Table to compare its distributions with; None compares with nothing.
        no_reference: Why there is no reference, if there is none.
        dataset: What the sample must be like.
        ks_alpha: Family-wise error rate of the distribution tests, in (0, 1).
        accept_drift: Whether a changed distribution is only reported.
    """

    sample: pa.Table
    reference: pa.Table | None
    no_reference: str
    dataset: Dataset
    ks_alpha: float
    accept_drift: bool


@dataclass(frozen=True)
class Result:
    """Outcome of one check.

    Attributes:
        check: Name of the check: type, minimum, distribution...
        column: Column it looked at; empty for the table as a whole.
        outcome: passed, failed, warned (changed, but accepted) or skipped.
        message: What was found, or why it was skipped; empty if it passed.
        statistic: Statistic of a distribution test.
        p_value: Its p-value, corrected by Holm's method.
    """

    check: str
    column: str
    outcome: str
    message: str = ""
    statistic: float | None = None
    p_value: float | None = None


def run_checks(inputs: Inputs) -> list[Result]:
    """Run all checks and return their results, in the order of the test files.

    Raises:
        CheckError: pytest can't load or run the checks.
    """
    collector = Collector(inputs)
    # The variable adds options to every pytest: -x would hide all failures but the first.
    options = os.environ.pop("PYTEST_ADDOPTS", None)
    try:
        status = pytest.main([*OPTIONS, str(FOLDER)], plugins=[collector])
    finally:
        if options is not None:
            os.environ["PYTEST_ADDOPTS"] = options
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} or collector.errors:
        raise CheckError("\n".join([f"the checks can't run: {status}", *collector.errors]))
    return collector.results


@dataclass
class Collector:
    """pytest plugin that hands the inputs in and takes the results out.

    Attributes:
        inputs: What the checks work on; conftest.py finds it as the plugin "inputs".
        results: One for each check that ran.
        errors: Why check files couldn't be loaded.
    """

    inputs: Inputs
    results: list[Result] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def pytest_configure(self, config: pytest.Config) -> None:
        """Hand the inputs in."""
        config.pluginmanager.register(self.inputs, "inputs")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why a check file couldn't be loaded."""
        if report.failed:
            self.errors.append(report.longreprtext)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Take a result out, unless it only says that a column kind has no columns."""
        report = yield
        # Set-up and tear-down matter only if they fail or skip.
        is_result = report.when == "call" or not report.passed
        if is_result and "got empty parameter set" not in read_message(report):
            self.results.append(make_result(item, report))
        return report


def make_result(item: pytest.Function, report: pytest.TestReport) -> Result:
    """Return what pytest's report of a check says."""
    properties: dict[str, Any] = dict(report.user_properties)
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    outcome: str = report.outcome
    message = read_message(report)
    if report.passed and "warning" in properties:
        outcome, message = "warned", str(properties["warning"])
    return Result(
        check=item.originalname.removeprefix("test_"),
        column=str(parameters.get("column", "")),
        outcome=outcome,
        message=message,
        statistic=properties.get("statistic"),
        p_value=properties.get("p_value"),
    )


def read_message(report: pytest.TestReport) -> str:
    """Return the message of a failed or skipped check."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return report.longreprtext
