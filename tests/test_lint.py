"""Style and types are checked like everything else."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STEPS = ["download", "preprocess", "check_data", "segregate", "train_random_forest", "evaluate"]
COMMANDS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy main.py, pipeline and server": ["mypy", "main.py", "pipeline", "wandb_server"],
    "mypy steps": ["mypy", *STEPS],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_linters_have_nothing_to_say(command: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr
