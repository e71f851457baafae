"""Where a model comes from: the data and runs behind it, and the commit of this code."""

import os
import subprocess
from collections.abc import Sequence
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
    """

    name: str
    rows: int | None
    maker: str | None
    commit: str | None


def name_of(artifact: wandb.Artifact | None) -> str:
    """Return collection and version of an artifact, such as model_export:v3; "nobody" for None.

    An artifact's own name holds what it was asked for by, which may be an alias.
    """
    if artifact is None:
        return "nobody"
    return f"{artifact.name.rpartition(':')[0]}:{artifact.version}"


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


def find_user(run: wandb.Run) -> str:
    """Return who acts: the user that WANDB_USERNAME names, else the one whose account it is.

    An account may be shared: a service's, or that of the local server, which names the login.
    """
    return run.settings.username or str(wandb.Api().viewer.username)


def find_ancestors(artifacts: Sequence[wandb.Artifact]) -> list[Ancestor]:
    """Return what artifacts come from, and themselves, the oldest first.

    Args:
        artifacts: Versions that are stored.
    """
    found: dict[str, Ancestor] = {}
    seen: set[str] = set()

    def visit(artifact: wandb.Artifact) -> None:
        name = name_of(artifact)
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
        )

    for artifact in artifacts:
        visit(artifact)
    return list(found.values())
