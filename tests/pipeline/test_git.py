"""What git knows of the code is known exactly, and nothing in the repository changes by asking."""

from pathlib import Path

import pytest

from pipeline import git as git_module
from pipeline.git import GitError, git, read_code

IDENTITY = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com")


def commit(folder: Path) -> str:
    git("add", ".", folder=folder)
    git(*IDENTITY, "commit", "--quiet", "-m", "Change", folder=folder)
    return git("rev-parse", "HEAD", folder=folder).decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the project in its folder `inner`."""
    inner = tmp_path / "outer" / "inner"
    (inner / "step").mkdir(parents=True)
    git("init", "--quiet", folder=inner.parent)
    (inner / "main.py").write_text("1\n")
    (inner / "step" / "run.py").write_text("2\n")
    (inner / ".gitignore").write_text("ignored/\n")
    commit(inner.parent)
    return inner


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_clean_tree_is_its_commit(repository: Path) -> None:
    (repository / "ignored").mkdir()
    (repository / "ignored" / "run.py").write_text("ignored")
    (repository / "table.parquet").write_bytes(b"data, which no run's code is made of")

    code = read_code(repository)

    assert code.commit == git("rev-parse", "HEAD", folder=repository).decode().strip()
    assert (code.folder, code.remote, code.trouble) == ("inner/", "", "")
    assert (code.dirty, code.patch) == (False, b"")


def test_all_that_differs_is_in_the_patch_and_the_repository_stays_as_it_was(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "main.py").write_text("staged\n")
    git("add", "inner/main.py", folder=repository.parent)
    (repository / "main.py").write_text("and changed again\n")
    (repository / "step" / "run.py").unlink()
    (repository / "step" / "ä name with spaces.py").write_text("new\n")
    (repository / "step" / "binary.txt").write_bytes(bytes(range(256)))
    before = everything(repository.parent)

    code = read_code(repository)

    assert everything(repository.parent) == before
    assert code.dirty
    twin = tmp_path / "twin"
    git("clone", "--quiet", str(repository.parent), str(twin), folder=tmp_path)
    (tmp_path / "patch").write_bytes(code.patch)
    git("apply", "--binary", str(tmp_path / "patch"), folder=twin)
    assert everything(twin / "inner") == everything(repository)


def test_a_patch_that_is_too_large_is_told_and_not_kept(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_module, "LARGEST_PATCH", 100)
    (repository / "main.py").write_text("long\n" * 100)

    code = read_code(repository)

    assert (code.dirty, code.patch) == (True, b"")
    assert "bytes, more than 100" in code.trouble


def test_a_remote_is_known_without_the_password_in_it(repository: Path) -> None:
    url = "https://me:secret@example.com/a.git"
    git("remote", "add", "origin", url, folder=repository)

    assert read_code(repository).remote == "https://example.com/a.git"


def test_a_project_that_isn_t_in_git_is_told(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "unpacked").mkdir()
    (repository.parent / "other").mkdir()
    (repository.parent / "other" / "main.py").write_text("in somebody else's repository")

    assert "not a git repository" in read_code(tmp_path / "unpacked").trouble
    assert "other/main.py" in read_code(repository.parent / "other").trouble
    assert read_code(repository.parent / "other").commit == ""


def test_git_that_is_missing_or_fails_is_told_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(GitError, match="not a git command"):
        git("no-such-word", folder=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "git can't be run" in read_code(tmp_path).trouble
