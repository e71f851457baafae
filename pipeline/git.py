"""What git knows of the project's code: its commit, and what isn't committed."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

# Uncommitted changes beyond this many bytes are data rather than code.
LARGEST_PATCH = 5_000_000
# Files that a run may read though nobody has added them yet.
_CODE = (".py", ".yaml", ".yml", ".txt", "MLproject")


class GitError(Exception):
    """git can't do what it was asked; its own words are in it."""


@dataclass(frozen=True)
class Code:
    """The code that a run is made of.

    Attributes:
        commit: Full id of the commit; empty where git doesn't know.
        folder: The project's folder in its repository: empty, or with a slash at the end.
        remote: URL of the repository's remote, without credentials; empty if it has none.
        dirty: Whether files differ from the commit.
        patch: How, for `git apply`; empty for a clean tree, or if `trouble` says why.
        trouble: What isn't known, and why; empty if everything is.
    """

    commit: str = ""
    folder: str = ""
    remote: str = ""
    dirty: bool = False
    patch: bytes = b""
    trouble: str = ""


def git(*arguments: str, folder: Path, **variables: str) -> bytes:
    """Run git in a folder and return what it writes.

    Args:
        arguments: Its command line.
        folder: Where it works.
        variables: Environment variables beside this process's own.

    Raises:
        GitError: It isn't there, or failed.
    """
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **variables},
            capture_output=True,
            check=True,
        )
    except OSError as error:
        raise GitError(f"git can't be run: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        raise GitError(error.stderr.decode(errors="replace").strip()) from error
    return done.stdout


def read_code(root: Path) -> Code:
    """Return the state of the code in the project's folder, whatever it is.

    Args:
        root: Folder of main.py.
    """
    try:
        commit, folder = (
            git("rev-parse", "HEAD", "--show-prefix", folder=root).decode().split("\n")[:2]
        )
        # The project may lie, not added, inside of a repository that is about something else.
        git("cat-file", "-e", "HEAD:./main.py", folder=root)
        remotes = git("remote", folder=root).decode().split()
        remote = git("remote", "get-url", remotes[0], folder=root).decode() if remotes else ""
        code = Code(commit, folder, without_credentials(remote.strip()))
        changed = _changed(root)
        if not changed:
            return code
        patch = _make_patch(root, [path for state, path in changed if state == "??"])
    except GitError as error:
        return Code(trouble=str(error))
    if len(patch) <= LARGEST_PATCH:
        return Code(code.commit, code.folder, code.remote, bool(patch), patch)
    trouble = f"the changes make a patch of {len(patch):,} bytes, more than {LARGEST_PATCH:,}"
    return Code(code.commit, code.folder, code.remote, dirty=True, trouble=trouble)


def _changed(root: Path) -> list[tuple[str, str]]:
    """Return state and path of the files that differ from the commit, data left out."""
    listed = git(
        *("status", "--porcelain", "-z", "--no-renames"),
        *("--untracked-files=all", "--", "."),
        folder=root,
    ).decode(errors="surrogateescape")
    found = [(entry[:2], entry[3:]) for entry in listed.split("\0") if entry]
    return [(state, path) for state, path in found if state != "??" or path.endswith(_CODE)]


def _make_patch(root: Path, new: list[str]) -> bytes:
    """Return what differs from the commit, with an index and objects that are thrown away."""
    top = git("rev-parse", "--show-toplevel", folder=root).decode().removesuffix("\n")
    objects = git("rev-parse", "--path-format=absolute", "--git-path", "objects", folder=root)
    with tempfile.TemporaryDirectory() as scratch:
        variables = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects.decode().removesuffix("\n"),
        }
        git("read-tree", "HEAD", folder=root, **variables)
        git("add", "--update", "--", ".", folder=root, **variables)
        if new:
            git("add", "--", *new, folder=Path(top), **variables)
        return git(
            "diff", "--cached", "--binary", "--no-ext-diff", "HEAD", folder=Path(top), **variables
        )


def without_credentials(url: str) -> str:
    """Return a URL without user and password.

    >>> without_credentials("https://me:token@example.com/a.git")
    'https://example.com/a.git'
    >>> without_credentials("git@example.com:a.git")
    'git@example.com:a.git'
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
