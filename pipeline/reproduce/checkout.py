"""The code of a recorded run, in a folder of its own."""

from pathlib import Path

from pipeline.git import Code, GitError, git
from pipeline.reproduce.errors import ReproduceError


def check_out(code: Code, folder: Path, root: Path) -> Path:
    """Put the code of a run into a new folder.

    Args:
        code: What the run recorded.
        folder: Folder to make.
        root: A folder of the repository that is at hand; the recorded remote comes next.

    Returns:
        The project's folder in there.

    Raises:
        ReproduceError: The commit can't be had, or isn't all there was to the code.
    """
    if not code.commit:
        raise ReproduceError(
            f"The run's code isn't known: {code.trouble}. Only what runs in a git repository can "
            "be run again."
        )
    if code.trouble:
        raise ReproduceError(
            f"The run was made with uncommitted changes, which aren't recorded: {code.trouble}. "
            f"The commit below them is {code.commit}."
        )
    folder.mkdir()
    git("init", "--quiet", folder=folder)
    _fetch(code, folder, root)
    git("checkout", "--quiet", "--detach", "FETCH_HEAD", folder=folder)
    if code.patch:
        patch = folder / ".git" / "changes.patch"
        patch.write_bytes(code.patch)
        git("apply", "--binary", "--whitespace=nowarn", str(patch), folder=folder)
    return folder / code.folder


def _fetch(code: Code, folder: Path, root: Path) -> None:
    said = []
    for source in [_repository(root), code.remote]:
        if source:
            try:
                # Also commits that no branch leads to; only version 2 hands those out.
                fetch = ("-c", "protocol.version=2", "fetch", "--quiet", "--depth=1", "--no-tags")
                git(*fetch, source, code.commit, folder=folder)
            except GitError as error:
                why, _, _ = str(error).partition("\n")  # git goes on to say the same again
                said.append(f"{source}: {why}")
            else:
                return
    tried = "\n  ".join(said) or "there is no repository here, and none is recorded"
    raise ReproduceError(
        f"The commit {code.commit} can't be had. Tried:\n  {tried}\nFetch it into a clone of this "
        "project, and call this there."
    )


def _repository(root: Path) -> str:
    try:
        return git("rev-parse", "--show-toplevel", folder=root).decode().removesuffix("\n")
    except GitError:
        return ""  # the project was unpacked, not cloned: what is recorded may lead further
