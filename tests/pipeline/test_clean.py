"""Cleaning shows before it removes, and leaves alone what is in use, linked, or not ours."""

import os
import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import wandb
from mlflow.projects.utils import load_project

from pipeline.environments import activation, locate, lock_folder, unfinished_mark
from pipeline.errors import ArtifactError
from pipeline.locks import locked
from pipeline.root import ROOT
from pipeline.upkeep.clean import CleanError, Wishes, clean, format_removals
from pipeline.upkeep.leftovers import (
    find_environments,
    find_outputs,
    find_staged,
    find_wandb_files,
)
from pipeline.upkeep.removal import Removal, measure, parse_size, readable
from pipeline.upkeep.versions import OldVersions
from pipeline.usage import list_made, nobody_works, note_made, note_used, working
from pipeline.wandb_target import WandbTarget
from wandb_server import ensure_running

OLD = time.time() - 40 * 86_400
NOTHING = Wishes(10**12, 30, None, [])


def names(found: Iterable[Removal | str]) -> list[str]:
    return [item.name if isinstance(item, Removal) else item for item in found]


def age(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (OLD, OLD), follow_symlinks=False)


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    folder = tmp_path / "envs"
    folder.mkdir()
    return folder


def make_environment(environments: Path, name: str, *users: Path) -> Path:
    """Make the folder of an environment as a pipeline would, for components that used it."""
    folder = environments / name
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "module.py").write_text("x" * 10_000)
    for user in users:
        note_made(folder, user)
    return folder


def test_an_environment_goes_when_no_component_leads_to_it_any_more(
    component: Path, environments: Path
) -> None:
    activation(load_project(str(component)), component, "uv")
    used = locate(load_project(str(component)), component)
    assert names(find_environments(ROOT)) == []

    conda = component / "conda.yml"
    conda.write_text(conda.read_text().replace("six==1.17.0", "six==1.16.0"))
    (found,) = find_environments(ROOT)
    found.remove()

    assert used.name in found.name
    assert str(component) in found.name
    assert found.size > 0
    assert (used.exists(), list_made(environments)) == (False, [])
    assert not unfinished_mark(used).exists()


def test_environments_of_others_and_those_that_a_clone_uses_stay(
    component: Path, environments: Path, tmp_path: Path
) -> None:
    make_environment(environments, "mlflow-of-another-project")
    note_used(environments / "mlflow-of-another-project", component)  # made by mlflow run
    used = locate(load_project(str(component)), component)
    make_environment(environments, used.name, tmp_path / "a clone that is gone", component)
    target = make_environment(tmp_path / "elsewhere", "mlflow-linked")
    (environments / "mlflow-linked").symlink_to(target)
    note_made(environments / "mlflow-linked", tmp_path / "gone")

    assert names(find_environments(ROOT)) == []


def test_a_half_built_environment_goes_unless_somebody_is_making_it(environments: Path) -> None:
    folder = make_environment(environments, "mlflow-half")
    unfinished_mark(folder).touch()

    with locked(lock_folder() / folder.name, "it is free"):
        assert names(find_environments(ROOT)) == []
    (found,) = find_environments(ROOT)
    found.remove()

    assert found.name == "mlflow-half, half-built"
    assert [path for path in environments.iterdir() if "half" in path.name] == []


@pytest.fixture
def stale(environments: Path, tmp_path: Path) -> Path:
    return make_environment(environments, "mlflow-stale", tmp_path / "gone")


def test_nothing_is_removed_before_it_is_asked_for(
    stale: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []

    assert clean(NOTHING, said.append, delete=False) == 0
    assert stale.exists()
    assert "With --delete, this would free 1" in said[-1]
    clean(NOTHING, said.append, delete=True)
    assert not stale.exists()
    assert "this freed 1" in said[-1]
    clean(NOTHING, said.append, delete=True)
    assert said[-1] == "There is nothing to remove."


def test_while_a_pipeline_works_environments_stay(
    stale: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []

    with working(lock_folder()), working(lock_folder()):
        clean(NOTHING, said.append, delete=True)
        with nobody_works(lock_folder()) as idle:
            assert not idle

    assert stale.exists()
    assert "A pipeline is at work: environments and wandb's files are left alone." in said


def test_what_can_t_be_removed_is_told_and_the_rest_goes(
    stale: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = make_environment(stale.parent, "mlflow-another", tmp_path / "gone")

    def refuse(path: Path) -> None:
        if path == other:
            raise PermissionError(13, "Permission denied", str(path))
        real(path)

    real = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(CleanError, match=r"mlflow-another.* is still there: .*Permission denied"):
        clean(NOTHING, lambda _: None, delete=True)

    assert (stale.exists(), other.exists()) == (False, True)


def make_run(here: Path, name: str, mark: str = ".hydra/config.yaml") -> Path:
    folder = here / name
    (folder / mark).parent.mkdir(parents=True)
    (folder / mark).write_text("x")
    (folder / "main.log").write_text("x")
    return folder


def test_old_folders_of_hydra_go_and_nothing_that_looks_like_them(tmp_path: Path) -> None:
    gone = [
        make_run(tmp_path, "outputs/2026-01-01/10-00-00-1"),
        make_run(tmp_path, "multirun/2026-01-01/10-00-00-1", "multirun.yaml"),
    ]
    kept = [
        make_run(tmp_path, "outputs/2026-01-02/10-00-00-1"),
        make_run(tmp_path, "outputs/mine/10-00-00-1"),
        make_run(tmp_path, "outputs/2026-01-03/notes"),
        make_run(tmp_path, "outputs/2026-01-03/10-00-00-1", "results.csv"),
    ]
    elsewhere = make_run(tmp_path, "elsewhere/10-00-00-1")
    (tmp_path / "outputs/2026-01-04").symlink_to(elsewhere.parent)
    (gone[0] / "link").symlink_to(elsewhere)
    for folder in [*gone, *kept, elsewhere]:
        age(folder)
    (kept[0] / "main.log").write_text("still written to")

    found = list(find_outputs(tmp_path, days=30))
    for item in found:
        item.remove()

    assert names(found) == [str(folder.relative_to(tmp_path)) for folder in gone]
    assert not gone[0].parent.exists()
    assert all(folder.exists() for folder in [*kept, elsewhere / "main.log"])


def test_staged_files_beyond_a_size_go_the_oldest_first_but_no_young_ones(tmp_path: Path) -> None:
    folder = tmp_path / "staging"
    folder.mkdir()
    for number in range(4):
        path = folder / f"{number}"
        path.write_bytes(b"x" * 100)
        os.utime(path, (number, number if number < 3 else time.time()))

    assert names(find_staged(folder, 250, before=1e6)) == [str(folder / f"{n}") for n in (0, 1)]
    assert len(list(find_staged(folder, 0, before=1e6))) == 3


def test_wandb_s_cache_is_cut_by_wandb_itself_and_never_through_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    place = tmp_path / "cache" / "artifacts" / "obj" / "md5" / "aa"
    place.mkdir(parents=True)
    for number in range(3):
        (place / f"{number}").write_bytes(bytes(100_000))
        os.utime(place / f"{number}", (number, number))

    assert list(find_wandb_files(10**6)) == []
    (found,) = find_wandb_files(150_000)
    assert isinstance(found, Removal)
    found.remove()
    assert [path.name for path in place.iterdir()] == ["2"]
    (place / "link").symlink_to(tmp_path)
    (left_alone,) = find_wandb_files(0)
    assert isinstance(left_alone, str)
    assert "holds links to elsewhere" in left_alone


@pytest.fixture(scope="module")
def target() -> WandbTarget:
    server = ensure_running()
    return WandbTarget(server.base_url, "test", server.environment(), is_local=True)


@pytest.fixture(scope="module")
def project(target: WandbTarget) -> OldVersions:
    """A project with five versions of a table, and a model made from the first of them."""
    key = target.variables["WANDB_API_KEY"]
    settings = wandb.Settings(base_url=target.address, api_key=key, silent=True)
    with wandb.init(project="tidy", settings=settings) as run:
        for number in range(5):
            table = wandb.Artifact("table", type="data")
            with table.new_file("number.txt") as file:
                file.write(str(number))
            run.log_artifact(table).wait()
    with wandb.init(project="tidy", settings=settings) as run:
        run.use_artifact("table:v0")
        model = wandb.Artifact("model", type="model")
        with model.new_file("model.txt") as file:
            file.write("model")
        run.log_artifact(model, aliases=["prod"]).wait()
    wandb.teardown()
    return OldVersions(target, "tidy")


def test_old_versions_go_but_not_aliased_ones_nor_what_those_were_made_from(
    project: OldVersions,
) -> None:
    assert names(project.find(keep=3)) == []
    (found,) = project.find(keep=2)
    assert (found.name, found.is_late) == ("table:v1", True)

    for item in project.find(keep=1):
        item.remove()

    left = [f"table:v{number}" for number in range(5) if project.find_version(f"table:v{number}")]
    assert left == ["table:v0", "table:v3", "table:v4"]


def test_a_project_that_isn_t_there_is_told(target: WandbTarget) -> None:
    with pytest.raises(ArtifactError, match="There is no project 'local/tidi': name another one"):
        list(OldVersions(target, "tidi").find(keep=1))


def test_what_the_local_server_frees_later_is_told_apart(
    stale: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Removal("versions", "table:v1", 2_000, lambda: None, is_late=True)
    monkeypatch.setattr("pipeline.upkeep.clean._find_versions", lambda *_: [late])
    monkeypatch.chdir(tmp_path)
    said: list[str] = []

    clean(replace(NOTHING, versions=1), said.append, delete=True)
    assert not stale.exists()
    assert re.search(r"freed 1.* kB, and 2\.0 kB once `python -m wandb_server gc", said[-1])
    clean(replace(NOTHING, versions=1), said.append, delete=False)
    assert "this would free 2.0 kB once" in said[-1]


def test_only_what_nobody_else_links_to_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    empty = measure(folder)
    (folder / "alone").write_bytes(bytes(8192))
    (tmp_path / "cache").write_bytes(bytes(8192))
    os.link(tmp_path / "cache", folder / "shared")
    (folder / "link").symlink_to(tmp_path)
    alone = (folder / "alone").stat().st_blocks * 512

    assert measure(folder) == empty + alone + (folder / "link").lstat().st_blocks * 512


@pytest.mark.parametrize(
    ("text", "size"), [("5GB", 5 * 10**9), ("0", 0), ("1.5 mb", 1_500_000), ("10k", None)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int | None) -> None:
    if size is None:
        with pytest.raises(ValueError, match="'10k' is no size: write 5GB, 500MB or 0"):
            parse_size(text)
    else:
        assert parse_size(text) == size


def test_groups_are_told_with_the_largest_first() -> None:
    found = [Removal("outputs", f"run {n}", n * 1000, lambda: None) for n in range(12)]

    lines = list(format_removals(found))

    assert lines[0].split() == ["outputs", "66.0", "kB"]
    assert lines[1].split() == ["11.0", "kB", "run", "11"]
    assert lines[-1].split() == ["1.0", "kB", "2", "more"]
    assert (readable(999), readable(10**13)) == ("999 B", "10.0 TB")
