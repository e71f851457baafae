"""Python's compiled files, where nobody has used an environment yet.

Python compiles what it imports for the first time, which takes longer than the import itself.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Half of what a pipeline imports, and the half that it imports last.
_LATER = ("sqlalchemy.orm", "wandb.apis.public.artifacts", "alembic.command", "git")
_CACHE = "__pycache__"


@contextmanager
def compiled_ahead() -> Iterator[None]:
    """Have another process import what this one imports later, if it isn't compiled yet.

    Otherwise one core would compile it all.
    """
    if not _will_compile("wandb"):
        yield
        return
    words = [sys.executable, "-P", "-c", f"import {', '.join(_LATER)}"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        try:
            yield
        finally:
            other.kill()


def _will_compile(package: str) -> bool:
    """Tell whether Python would write a compiled file of a package that has none."""
    spec = importlib.util.find_spec(package)
    compiled = spec.cached if spec else None
    return not (sys.dont_write_bytecode or compiled is None or Path(compiled).exists())


def take_from_caller() -> None:
    """Take what is compiled in the environment of `mlflow run`, if this one is new.

    MLflow has put this environment before that one on the path.
    """
    if _will_compile("hydra"):
        own = Path(sys.executable).parent
        folders = [name for name in os.environ["PATH"].split(os.pathsep) if Path(name) != own]
        caller = shutil.which("mlflow", path=os.pathsep.join(folders))
        if caller:
            take_compiled(Path(sys.prefix), [Path(caller).parents[1]])


def take_compiled(environment: Path, others: Iterable[Path]) -> None:
    """Link what Python has compiled in other environments into one, where the sources are the same.

    uv links the files of one version of a package into all environments that hold it. What Python
    makes of such a file holds for each of them: it compares size and time of the source, and
    corrects the path (Lib/importlib/_bootstrap_external.py, `SourceLoader.get_code`). Files that
    are merely equal aren't looked for; what isn't linked is compiled as it would have been.

    Args:
        environment: Folder of an environment.
        others: Folders of environments that have been used.
    """
    for own in environment.glob("lib/python*/site-packages"):
        for other in {*others} - {environment}:
            packages = other / own.relative_to(environment)
            for name, folders, _ in os.walk(packages):
                if _CACHE in folders:
                    folders.remove(_CACHE)
                    _link(Path(name), own / Path(name).relative_to(packages))


def _link(used: Path, new: Path) -> None:
    """Link the compiled files of one folder of modules into another one."""
    for compiled in (used / _CACHE).glob("*.pyc"):
        source = f"{compiled.name.partition('.')[0]}.py"
        # It isn't there, or another one, or compiled already; or nobody may write there.
        with suppress(OSError):
            if (used / source).samefile(new / source):
                (new / _CACHE).mkdir(exist_ok=True)
                (new / _CACHE / compiled.name).hardlink_to(compiled)
