"""Ctrl-C while Python imports what the pipeline needs ends it in one line."""

import signal
import subprocess
import sys

from pipeline.root import ROOT

# Says so when main.py is about to import hydra, and waits there.
PROGRAM = """
import runpy, signal, sys

def wait(event, arguments):
    if event == "import" and arguments[0] == "hydra":
        print("here", flush=True)
        signal.pause()

sys.addaudithook(wait)
sys.path.insert(0, ".")
runpy.run_path("main.py", run_name="__main__")
"""


def test_ctrl_c_during_the_imports_ends_main_py_without_a_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert errors == "\nStopped. Nothing had begun.\n"
