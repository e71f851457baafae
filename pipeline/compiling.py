"""Python's compiled files, where nobody has used an environment yet."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Half of what a pipeline imports, and the half that it imports last.
_LATER = ("sqlalchemy.orm", "wandb.apis.public.artifacts", "alembic.command", "git")


@contextmanager
def compiled_ahead() -> Iterator[None]:
    """Have another process import what this one imports later, if it isn't compiled yet.

    Python compiles what it imports for the first time, which takes longer than the import, and on
    one core.
    """
    spec = importlib.util.find_spec("wandb")
    compiled = spec.cached if spec else None
    if sys.dont_write_bytecode or compiled is None or Path(compiled).exists():
        yield
        return
    words = [sys.executable, "-P", "-c", f"import {', '.join(_LATER)}"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        try:
            yield
        finally:
            other.kill()
