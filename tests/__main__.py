"""Run pytest with options given as one text, as MLflow passes them."""

import os
import shlex
import signal
import subprocess
import sys
from importlib.util import cache_from_source, find_spec
from pathlib import Path

import pytest


def is_compiled(package: str) -> bool:
    """Tell whether a package was imported before in this environment."""
    spec = find_spec(package)
    return bool(spec and spec.origin and Path(cache_from_source(spec.origin)).exists())


if __name__ == "__main__":
    # Whoever stops what takes too long, as CI does, sets a limit below its own: then pytest still
    # says what has failed.
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(int(os.environ.get("TESTS_SECONDS", "0")))
    # In a new environment each worker would compile all that the tests import, at the same time.
    if not is_compiled("mlflow"):
        collect = [sys.executable, "-m", "pytest", "--collect-only", "--quiet"]
        subprocess.run(collect, stdout=subprocess.DEVNULL, check=False)
    sys.exit(pytest.main([word for argument in sys.argv[1:] for word in shlex.split(argument)]))
