"""Nobody reads what a program says any more: a pipeline goes on, a tool ends."""

import os
import subprocess
import sys
from pathlib import Path

from pipeline.root import ROOT

# The real config around a task that takes no time.
PIPELINE = f"""
import logging
from pathlib import Path
import hydra
from pipeline.console import tell
from pipeline.schema import register_schema

register_schema()

@hydra.main(version_base="1.3", config_path={str(ROOT)!r}, config_name="config")
def program(config):
    tell("See it at ...")
    for number in range(3):
        logging.getLogger("step").info("step %d", number)
    Path("ended").touch()

program()
"""
TOOL = """
from pathlib import Path
from pipeline.console import say

say("one", "two")
Path("went_on").touch()
"""


def run_unread(program: str, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a program whose output goes into a pipe that is closed at its other end."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        os.close(writer)


def test_a_pipeline_and_a_sweep_go_on_quietly_and_the_log_file_has_it_all(tmp_path: Path) -> None:
    for words in (["hydra.run.dir=one"], ["-m", "hydra.sweep.dir=many", "main.random_seed=1"]):
        (tmp_path / "ended").unlink(missing_ok=True)

        done = run_unread(PIPELINE, tmp_path, *words)

        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "ended").exists()
    for log in (tmp_path.glob("one/*.log"), tmp_path.glob("many/0/*.log")):
        assert next(log).read_text() == "step 0\nstep 1\nstep 2\n"


def test_a_tool_ends_quietly_with_the_exit_code_of_a_broken_pipe(tmp_path: Path) -> None:
    done = run_unread(TOOL, tmp_path)

    assert (done.returncode, done.stderr) == (141, "")
    assert not (tmp_path / "went_on").exists()
