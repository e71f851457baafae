"""What may be cleaned away: which environments the pipeline made, for whom, and who is at work."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.signals import hearing_signals

_MADE = (
    ".made"  # beside the environments: for each that a pipeline made, the folders that lead to it
)
_AT_WORK = "at-work"


def note_made(environment: Path, folder: Path) -> None:
    """Record that a pipeline made an environment.

    Args:
        environment: Its folder.
        folder: The component that it is for.
    """
    record = _record(environment)
    record.parent.mkdir(exist_ok=True)
    record.touch()
    note_used(environment, folder)


def note_used(environment: Path, folder: Path) -> None:
    """Record that a component leads to an environment, if a pipeline made that.

    Args:
        environment: Its folder.
        folder: The component.
    """
    record = _record(environment)
    if record.exists() and folder.resolve() not in read_users(environment):
        with record.open("a", encoding="utf-8") as file:
            file.write(f"{folder.resolve()}\n")


def list_made(root: Path) -> list[Path]:
    """Return the folders of the environments that pipelines made, sorted by name.

    Args:
        root: Folder of all environments, those of other projects included.
    """
    records = (root / _MADE).iterdir() if (root / _MADE).is_dir() else iter(())
    return sorted(root / record.name for record in records)


def read_users(environment: Path) -> list[Path]:
    """Return the components that led to an environment when they last ran."""
    text = _record(environment).read_text(encoding="utf-8")
    return [Path(line) for line in text.split("\n") if line]


def forget(environment: Path) -> None:
    """Remove the record of an environment that is gone."""
    _record(environment).unlink(missing_ok=True)


def _record(environment: Path) -> Path:
    return environment.parent / _MADE / environment.name


@contextmanager
def working(locks: Path) -> Iterator[None]:
    """Keep others from cleaning while this process uses environments; any number may work.

    Args:
        locks: Folder of the lock files that all pipelines of a user look at.
    """
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / _AT_WORK).open("a") as file:
        with hearing_signals():
            fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def nobody_works(locks: Path) -> Iterator[bool]:
    """Keep pipelines from starting for a moment, and tell whether none is at work.

    Args:
        locks: Folder of the lock files that all pipelines of a user look at.
    """
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / _AT_WORK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
