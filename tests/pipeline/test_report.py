"""The summary says what was made, how good it is and who is in production."""

import logging
from typing import Any

import pytest

from pipeline.registry import Version
from pipeline.report import Report, format_seconds, format_table
from pipeline.schema import Config
from pipeline.steps import Artifact, Made, Step, StepResult
from pipeline.wandb_target import WandbTarget

CLOUD = WandbTarget("https://wandb.example.com", "WANDB_API_KEY is set", {}, is_local=False)


@pytest.fixture
def report(config: Config, caplog: pytest.LogCaptureFixture) -> Report:
    caplog.set_level(logging.INFO)
    return Report(CLOUD, config)


def evaluated(**facts: Any) -> StepResult:
    summary = {f"promotion/{name}": value for name, value in facts.items()}
    numbers = {"rows": 1200, "test/accuracy": 0.5}
    page = "https://wandb.example.com/me/songs"
    return StepResult("evaluate", "done", 3.04, [], {**numbers, **summary}, page=page)


def test_the_first_lines_say_where_and_what(
    report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    report.begin(["train_random_forest", "evaluate"])
    version = Version("train_data.parquet:v2", "abc")
    artifact = Artifact("train_data.parquet", "segregate", version)
    step = Step("evaluate", {"a": artifact, "b": Made("x"), "c": 3}, ())
    report.start_step(step, "c 2 -> 3")

    assert "W&B: https://wandb.example.com (WANDB_API_KEY is set)" in caplog.text
    assert "Project songs, experiment development: train_random_forest > evaluate" in caplog.text
    assert "[2/2] evaluate takes train_data.parquet:v2 (c 2 -> 3)" in caplog.text


def test_the_summary_has_rows_versions_scores_and_the_address(
    report: Report, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {"val/accuracy": 0.6, "val/roc_auc_ovo": 0.9}
    rows = {"rows/train": 70, "rows/validation": 30}
    report.add(StepResult("train_random_forest", "done", 61.2, ["m:v3"], {**scores, **rows}))
    report.add(evaluated())
    caplog.clear()

    report.end()

    assert caplog.messages[0].split("\n") == [
        "step                 time       rows                      made",
        "-------------------  ---------  ------------------------  ----",
        "train_random_forest  1 min 1 s  70 train + 30 validation  m:v3",
        "evaluate             3.0 s      1,200",
        "",
        "metric       validation  test",
        "-----------  ----------  ------",
        "roc_auc_ovo  0.9000      -",
        "f1_macro     -           -",
        "accuracy     0.6000      0.5000",
        "",
    ]
    assert capsys.readouterr().out == "See it at https://wandb.example.com/me/songs\n"


def test_the_validation_score_is_that_of_the_first_metric(report: Report) -> None:
    assert report.validation_score is None
    scores = {"val/accuracy": 0.6, "val/roc_auc_ovo": 0.9}
    report.add(StepResult("train_random_forest", "done", 1.0, [], scores))

    assert report.validation_score == 0.9


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            {"promoted": True, "challenger": "m:v1", "reason": "It won."},
            "m:v1 is now tagged prod: It won.",
        ),
        (
            {"promoted": False, "challenger": "m:v1", "champion": "m:v0", "reason": "It lost."},
            "m:v0 stays tagged prod: It lost.",
        ),
        (
            {"promoted": False, "challenger": "m:v1", "champion": None, "reason": "Never."},
            "No version is tagged prod: Never.",
        ),
    ],
)
def test_who_is_in_production_is_said_in_one_sentence(
    facts: dict[str, Any], sentence: str, report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    report.add(evaluated(**facts))
    report.end()

    assert sentence in caplog.text


def test_a_skipped_step_says_why(report: Report, caplog: pytest.LogCaptureFixture) -> None:
    report.begin(["evaluate"])
    report.add(StepResult("evaluate", "skipped", note="train_random_forest exported nothing"))
    report.end()

    assert "evaluate  skipped        train_random_forest exported nothing" in caplog.text


def test_a_reused_step_shows_as_that_with_what_it_made(
    report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    report.begin(["download"])
    rows = {"rows": 4000}
    report.add(StepResult("download", "reused", 0, ["raw:v0"], rows, note="0123abcd"))
    report.end()

    assert caplog.messages[1] == "[1/1] download reused from 0123abcd: raw:v0"
    assert caplog.messages[2].startswith("\nstep ")
    assert "download  reused  4,000  raw:v0" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.44, "59.4 s"), (60, "1 min 0 s"), (3725, "62 min 5 s")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_tables_are_aligned_without_trailing_spaces() -> None:
    assert format_table(("a", "bcd"), [("xx", ""), ("y", "z")]) == "a   bcd\n--  ---\nxx\ny   z"
