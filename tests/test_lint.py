"""Style and types are checked like everything else."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import STEPS

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {
    "ruff check": (".", ["ruff", "check", "."]),
    "ruff format": (".", ["ruff", "format", "--check", "."]),
    "mypy": (".", ["mypy", "main.py", "pipeline", "wandb_server", "hydra_plugins"]),
    # Each component is a program of its own, which imports the modules beside it.
    **{f"mypy {step}": (step, ["mypy", "--config-file=../pyproject.toml", "."]) for step in STEPS},
}


@pytest.mark.parametrize(("folder", "command"), COMMANDS.values(), ids=COMMANDS)
def test_the_linters_have_nothing_to_say(folder: str, command: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT / folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr
