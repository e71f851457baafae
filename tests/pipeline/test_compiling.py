"""Where nothing is compiled yet, another process compiles what comes later."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.root import ROOT

# Waits for a compiled file that it doesn't make itself, or tells that it is alone.
PROGRAM = """
import importlib.util, os, sys, time
from pathlib import Path
from pipeline.compiling import compiled_ahead

compiled = {name: Path(importlib.util.find_spec(name).cached) for name in ("wandb", "sqlalchemy")}
if sys.argv[1:] == ["used"]:
    compiled["wandb"].parent.mkdir(parents=True)
    compiled["wandb"].touch()
with compiled_ahead():
    others = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    while others and not compiled["sqlalchemy"].exists():
        time.sleep(0.01)
print(len(others), "sqlalchemy" in sys.modules)
"""


@pytest.mark.parametrize(("words", "others"), [([], 1), (["used"], 0)], ids=["new", "used"])
def test_another_process_compiles_where_nobody_has_used_an_environment(
    words: list[str], others: int, tmp_path: Path
) -> None:
    variables = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=os.environ | variables | {"PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{others} False\n", "")
