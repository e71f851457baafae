"""The steps' environments as they lie on the disk: ready, half-built, broken, or nobody's."""

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mlflow.projects.utils import load_project
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.environments import environment_root, locate, lock_folder, unfinished_mark
from pipeline.lock import LockError, find_environments, is_stale, read_requirements
from pipeline.upkeep.finding import Finding, fail, ok, warn
from pipeline.upkeep.machine import find_packages
from pipeline.usage import list_made, read_users


class State(Enum):
    """How an environment is."""

    missing = "to be made"
    ready = "ready"
    unfinished = "half-built"
    busy = "being made"
    broken = "broken"


@dataclass(frozen=True)
class StepEnvironment:
    """An environment that a component leads to.

    Attributes:
        component: Name of the component's folder.
        folder: The environment's folder.
        state: How it is.
        lacks: Packages that should be there.
    """

    component: str
    folder: Path
    state: State
    lacks: tuple[str, ...] = ()


def find_used(root: Path) -> list[StepEnvironment]:
    """Return the environment of the project and of each of its components.

    Args:
        root: Folder of main.py.
    """
    return [_look(conda.parent) for conda in find_environments(root)]


def _look(component: Path) -> StepEnvironment:
    folder = locate(load_project(str(component)), component)
    if unfinished_mark(folder).exists():
        state = State.busy if is_locked(folder) else State.unfinished
        return StepEnvironment(component.name, folder, state)
    if not folder.exists():
        return StepEnvironment(component.name, folder, State.missing)
    lacks = tuple(find_lacking(folder, component / "conda.yml"))
    return StepEnvironment(component.name, folder, State.broken if lacks else State.ready, lacks)


def is_locked(folder: Path) -> bool:
    """Tell whether somebody makes an environment right now."""
    lock = lock_folder() / folder.name
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def find_lacking(folder: Path, conda_file: Path) -> list[str]:
    """Return what an environment lacks of the direct dependencies that it is for.

    Args:
        folder: The environment.
        conda_file: The conda.yml that it was made from.
    """
    if not (folder / "bin" / "python").exists():  # or it leads to a Python that is gone
        return ["python"]
    places = list(folder.glob("lib/python3*/site-packages"))
    packages = find_packages(places[0]) if places else {}
    wanted = [Requirement(line).name for line in read_requirements(conda_file)[1]]
    return [name for name in wanted if canonicalize_name(name) not in packages]


def find_stale(root: Path) -> list[Path]:
    """Return the environments that pipelines made and that no component leads to any more.

    Args:
        root: Folder of main.py; components of other clones count as well, as long as they exist.
    """
    used = {item.folder for item in find_used(root)}
    return [
        folder
        for folder in list_made(environment_root())
        if folder.is_dir()
        and not folder.is_symlink()
        and folder not in used
        and not any(_leads_to(user, folder) for user in read_users(folder))
    ]


def _leads_to(component: Path, folder: Path) -> bool:
    """Tell whether a component, which may be gone, still leads to an environment."""
    if not (component / "MLproject").exists() or not (component / "conda.yml").exists():
        return False
    return locate(load_project(str(component)), component) == folder


def find_half_built() -> list[Path]:
    """Return the environments whose making was cut off, and that nobody makes now."""
    root = environment_root()
    marks = root.glob("*.unfinished") if root.is_dir() else iter(())
    folders = [mark.with_name(mark.name.removesuffix(".unfinished")) for mark in sorted(marks)]
    return [folder for folder in folders if not folder.is_symlink() and not is_locked(folder)]


def check_environments(root: Path) -> Iterator[Finding]:
    """Look at the environments of the project and at those that it left behind.

    Args:
        root: Folder of main.py.
    """
    name = "environments"
    yield from _check_pins(root)
    # Components that ask for the same share one.
    found = list({item.folder: item for item in find_used(root)}.values())
    for item in found:
        if item.state == State.broken:
            said = f"that of {item.component} lacks {', '.join(item.lacks)}"
            yield fail(name, said, f"rm -r {item.folder}")
    shown = []
    for state in State:
        names = [item.component for item in found if item.state == state]
        which = "" if state == State.ready else f" ({', '.join(names)})"
        shown += [f"{len(names)} {state.value}{which}"] if names else []
    yield ok(name, f"{', '.join(shown)} (in {environment_root()})")
    clean = "python -m pipeline clean --delete"
    if half := find_half_built():
        said = f"{len(half)} left half-built; the next run that needs one makes it afresh"
        yield warn(name, said, clean)
    if stale := find_stale(root):
        yield warn(name, f"{len(stale)} made here, to which no component leads any more", clean)


def _check_pins(root: Path) -> Iterator[Finding]:
    for conda in find_environments(root):
        place = conda.relative_to(root)
        try:
            if is_stale(conda):
                said = f"{place} has changed since its constraints.txt was made"
                yield warn("pins", said, "python -m pipeline lock")
        except LockError as error:
            yield fail("pins", str(error), f"mend {place}")
