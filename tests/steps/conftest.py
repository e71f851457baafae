"""What the tests of all steps share."""

import importlib
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def load_step():
    """Return a function from a step's name to its modules: load_step("download").fetch."""

    @cache
    def load(step: str) -> SimpleNamespace:
        folder = ROOT / step
        tests = {*folder.glob("test_*.py"), folder / "conftest.py"}
        names = [path.stem for path in folder.glob("*.py") if path not in tests]
        sys.path.insert(0, str(folder))
        try:
            return SimpleNamespace(**{name: importlib.import_module(name) for name in names})
        finally:
            sys.path.remove(str(folder))
            # Every step has a run.py: the next one must find its own.
            for name in names:
                sys.modules.pop(name, None)

    return load
