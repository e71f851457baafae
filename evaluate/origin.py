"""Where a model comes from: the data and runs behind it, and the commit of this code."""

import os
import subprocess
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import wandb

# File that tells this code's repository from another one around it.
TRACKED = "run.py"
# Files that count as code though nobody has added them yet.
CODE = (".py", ".yaml", ".yml", ".txt", "MLproject")


@dataclass(frozen=True)
class Commit:
    """State of the code.

    Attributes:
        sha: The commit; None if the code isn't in a git repository, or there is no git.
        dirty: Whether files differ from it, or code isn't in it; None if there is no commit.
    """

    sha: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True)
class Ancestor:
    """An artifact that a model comes from.

    Attributes:
        name: name:vN.
        rows: Its number of rows; None if its metadata has none.
        maker: Job type of the run that made it, None if that is unknown.
        commit: Commit of that run, None if that is unknown.
        run: Path of that run in W&B, None if that is unknown.
    """

    name: str
    rows: int | None
    maker: str | None
    commit: str | None
    run: str | None = None


def read_commit(folder: Path) -> Commit:
    """Ask git for the commit that the code in a folder is from.

    Args:
        folder: Holds TRACKED, which must be in the commit: a copy of the code inside of another
            repository is not of that one's commit.
    """
    sha = ask_git(folder, "rev-parse", "HEAD", f"HEAD:./{TRACKED}")
    status = ask_git(folder, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    if sha is None or status is None:
        return Commit()
    changes = [
        entry
        for entry in status.split("\0")
        if entry and (not entry.startswith("??") or entry.endswith(CODE))
    ]
    return Commit(sha.split()[0], bool(changes))


def ask_git(folder: Path, *arguments: str) -> str | None:
    """Return what git says in a folder; None if it fails, or there is no git."""
    # git sets variables for its hooks that would lead to another repository.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def find_user() -> str:
    """Return the name by which W&B knows the user."""
    return str(wandb.Api().viewer.username)


def find_ancestors(artifacts: Sequence[wandb.Artifact]) -> list[Ancestor]:
    """Return what artifacts come from, and themselves, the oldest first.

    Args:
        artifacts: Versions that are stored.
    """
    found: dict[str, Ancestor] = {}
    seen: set[str] = set()

    def visit(artifact: wandb.Artifact) -> None:
        name = f"{artifact.name.rpartition(':')[0]}:{artifact.version}"
        if name in seen:
            return
        seen.add(name)
        run = artifact.logged_by()
        for source in run.used_artifacts() if run else []:
            visit(source)
        rows = artifact.metadata.get("rows")
        found[name] = Ancestor(
            name,
            rows if isinstance(rows, int) else None,
            run.job_type if run else None,
            run.commit if run else None,
            "/".join(run.path) if run else None,
        )

    for artifact in artifacts:
        visit(artifact)
    return list(found.values())


def find_made(run: str) -> list[str]:
    """Return names and versions of what a run made, new or with equal content known before.

    Args:
        run: Its path in W&B.
    """
    return [str(made.name) for made in wandb.Api().run(run).logged_artifacts()]


def find_leak(
    model: str,
    train: str | None,
    test: str,
    ancestors: Sequence[Ancestor],
    find_made: Callable[[str], Collection[str]] = find_made,
) -> str:
    """Say so if a model was trained on another split than the test rows are of.

    Rows that are test rows now may have been training rows of another split.

    Args:
        model: Its name and version.
        train: Name and version of the data that it was trained on; None if unknown.
        test: Those of the test rows.
        ancestors: All that the model and the test rows come from.
        find_made: Returns what a run made.

    Returns:
        A sentence or two; empty if both are of one split, or if that is unknown.
    """
    makers = {ancestor.name: ancestor.run for ancestor in ancestors}
    split, other = makers.get(train or ""), makers.get(test)
    if not train or split is None or other is None or split == other:
        return ""
    # A split that was made again with equal content is that of the first run that made it.
    if test in find_made(split) or train in find_made(other):
        return ""
    return (
        f"{model} was trained on {train}, which is of another split than {test}: it may have seen "
        "some of these test rows in training, so its scores may be too good. To score it on test "
        "rows of its own split, name them in main.versions."
    )
