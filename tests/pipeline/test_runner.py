"""What a pipeline finds out for itself, before and between its steps."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.root import ROOT
from pipeline.runner import absolute_source
from tests.warm import WarmPython

TELEMETRY = """
import main
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client())
"""


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.csv",
        "http://example.com/a",
        "file:///a/b.csv",
        "file:/a.csv",
        "s3://bucket/a.csv",
        "/a.csv",
    ],
)
def test_an_absolute_source_stays_as_it_is(url: str) -> None:
    assert absolute_source(url) == url


def test_a_relative_source_starts_at_the_project_and_a_tilde_at_home() -> None:
    assert absolute_source("sample_data/x.csv") == str(ROOT / "sample_data/x.csv")
    assert absolute_source("~/x.csv") == str(Path.home() / "x.csv")


def test_a_w_and_b_that_can_t_be_used_is_told(tmp_path: Path, python: WarmPython) -> None:
    # A process of its own: where wandb has no key, it takes another host's of the same process.
    result = python.run(
        "-m",
        "pipeline",
        "history",
        cwd=ROOT,
        env={
            "HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
            "WANDB_BASE_URL": "http://127.0.0.1:9",
        },
        libraries=("hydra", "wandb.apis.public"),
    )

    assert result.returncode == 1
    assert re.search(
        r"127\.0\.0\.1:9 .WANDB_BASE_URL.*can't be used.*main\.wandb=local", result.stderr
    ), result.stderr
    assert "Traceback" not in result.stderr


def test_mlflow_prints_no_links_between_the_steps_with_a_server() -> None:
    asked = "from mlflow.environment_variables import MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT as url"
    program = f"import pipeline; {asked}; raise SystemExit(not url.get())"

    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_mlflow_s_telemetry_is_off_unless_asked_for() -> None:
    # MLflow switches it off by itself where it sees a test or CI.
    hidden = ("MLFLOW_DISABLE_TELEMETRY", "CI", "PYTEST_CURRENT_TEST", "PYTEST_VERSION")
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    result = subprocess.run(
        [sys.executable, "-c", TELEMETRY],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout.strip() == "None"
