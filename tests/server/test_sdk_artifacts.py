"""Artifacts, from logging to deletion, through the real SDK."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.server.conftest import LiveServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def log(wandb: ModuleType, project: str) -> Iterator[Callable[..., Any]]:
    """Log a version of files (name to text) in the test's own run, and wait for it."""
    with wandb.init(project=project, reinit="create_new") as run:

        def log(name: str, files: dict[str, str], type_: str = "dataset", **options: Any) -> Any:
            artifact = wandb.Artifact(name, type=type_, metadata=options.pop("metadata", None))
            for path, text in files.items():
                with artifact.new_file(path) as file:
                    file.write(text)
            return run.log_artifact(artifact, **options).wait()

        yield log


def download_anew(artifact: Any, folder: Path) -> str:
    """Download a version past the SDK's cache.

    Its own `skip_cache` would hold for the whole process from then on, and have the threads of
    later downloads share one target.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_CACHE_DIR", str(folder / "cache"))
        return str(artifact.download())


def test_versions_count_up_and_equal_content_makes_none(log: Callable[..., Any]) -> None:
    first = log("table", {"table": "one"}, aliases=["raw"], tags=["small"])
    second = log("table", {"table": "two"})
    same = log("table", {"table": "two"}, aliases=["again"])
    assert (first.version, second.version, same.version) == ("v0", "v1", "v1")
    assert first.tags == ["small"]
    assert set(same.aliases) == {"latest", "again"}


def test_logging_older_content_moves_latest_back_to_it(
    wandb: ModuleType, log: Callable[..., Any], project: str
) -> None:
    log("table", {"table": "one"})
    log("table", {"table": "two"})
    assert log("table", {"table": "one"}).version == "v0"
    assert wandb.Api().artifact(f"{project}/table:latest").version == "v0"


def test_folders_and_references_download_and_verify(
    wandb: ModuleType, project: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    (source / "in side").mkdir(parents=True)
    (source / "in side" / "ä b.txt").write_text("deep")
    (tmp_path / "elsewhere.txt").write_text("referred to")
    artifact = wandb.Artifact("folder", type="dataset", metadata={"rows": 3})
    artifact.add_dir(str(source))
    artifact.add_reference((tmp_path / "elsewhere.txt").as_uri())
    with wandb.init(project=project) as run:
        run.log_artifact(artifact).wait()
    found = wandb.Api().artifact(f"{project}/folder:v0")
    root = Path(found.download(root=str(tmp_path / "root")))
    assert (root / "in side" / "ä b.txt").read_text() == "deep"
    assert (root / "elsewhere.txt").read_text() == "referred to"
    found.verify(root=str(root))
    assert (found.metadata, found.file_count, found.size) == ({"rows": 3}, 2, 15)
    assert {file.name for file in found.files()} == {"in side/ä b.txt", "elsewhere.txt"}
    (root / "in side" / "ä b.txt").write_text("changed")
    with pytest.raises(ValueError, match="Digest mismatch"):
        found.verify(root=str(root))
    (root / "of mine.txt").write_text("not in the version")
    found.checkout(root=str(root))
    assert {path.name for path in root.rglob("*.txt")} == {"ä b.txt", "elsewhere.txt"}
    found.verify(root=str(root))


def test_references_are_fetched_or_kept_by_what_they_are(
    wandb: ModuleType, live: LiveServer, project: str, tmp_path: Path
) -> None:
    artifact = wandb.Artifact("references", type="dataset")
    artifact.add_reference(f"{live.base_url}/healthz", name="over http")
    artifact.add_reference("hdfs://cluster/table", name="elsewhere")
    with wandb.init(project=project) as run:
        run.log_artifact(artifact).wait()
    found = wandb.Api().artifact(f"{project}/references:v0")
    kept = {name: entry.ref for name, entry in found.manifest.entries.items()}
    assert kept == {"over http": f"{live.base_url}/healthz", "elsewhere": "hdfs://cluster/table"}
    path = found.get_path("over http").download(root=str(tmp_path))
    assert "wandb_server" in Path(path).read_text()


def test_lineage_names_the_runs_on_both_sides(
    wandb: ModuleType, log: Callable[..., Any], project: str
) -> None:
    log("raw", {"raw": "1"})
    with wandb.init(project=project, id="middle", reinit="create_new") as run:
        assert run.use_artifact("raw:latest").file()
        made = wandb.Artifact("clean", type="dataset")
        with made.new_file("clean") as file:
            file.write("2")
        run.log_artifact(made).wait()
    middle = wandb.Api().run(f"{project}/middle")
    assert [item.name for item in middle.used_artifacts()] == ["raw:v0"]
    assert [item.name for item in middle.logged_artifacts()] == ["clean:v0"]
    assert wandb.Api().artifact(f"{project}/clean:v0").logged_by().id == "middle"
    assert [run.id for run in wandb.Api().artifact(f"{project}/raw:v0").used_by()] == ["middle"]


def test_aliases_move_and_metadata_is_saved(
    wandb: ModuleType, log: Callable[..., Any], project: str
) -> None:
    log("model", {"model": "1"}, "model", aliases=["prod"], metadata={"auc": 1})
    log("model", {"model": "2"}, "model")
    newer = wandb.Api().artifact(f"{project}/model:v1")
    newer.aliases.append("prod")
    newer.metadata["auc"] = 2
    newer.description = "better"
    newer.ttl = timedelta(days=2)
    newer.tags = ["checked"]
    newer.save()
    prod = wandb.Api().artifact(f"{project}/model:prod")
    assert (prod.version, prod.metadata, prod.description) == ("v1", {"auc": 2}, "better")
    assert (prod.ttl, prod.tags) == (timedelta(days=2), ["checked"])
    assert wandb.Api().artifact(f"{project}/model:v0").aliases == []
    prod.aliases.remove("prod")
    prod.tags.remove("checked")
    prod.ttl = None
    prod.save()
    plain = wandb.Api().artifact(f"{project}/model:v1")
    assert (plain.aliases, plain.tags, plain.ttl) == (["latest"], [], None)
    assert not wandb.Api().artifact_exists(f"{project}/model:prod")


def test_versions_with_aliases_are_deleted_only_on_purpose(
    wandb: ModuleType, log: Callable[..., Any], project: str
) -> None:
    log("table", {"table": "one"})
    log("table", {"table": "two"})
    with pytest.raises(wandb.errors.CommError, match="has the aliases latest"):
        wandb.Api().artifact(f"{project}/table:v1").delete()
    wandb.Api().artifact(f"{project}/table:v1").delete(delete_aliases=True)
    assert wandb.Api().artifact(f"{project}/table:latest").version == "v0"
    assert log("table", {"table": "three"}).version == "v2"


def test_portfolios_link_versions_and_let_them_go(
    wandb: ModuleType, log: Callable[..., Any], project: str
) -> None:
    version = log("model", {"model": "1"}, "model")
    linked = version.link(f"{project}/shelf", aliases=["prod"])
    assert (linked.name, linked.source_name) == ("shelf:v0", "model:v0")
    again = version.link(f"{project}/shelf", aliases=["test"])
    assert (again.version, set(again.aliases)) == ("v0", {"latest", "prod", "test"})
    assert [item.name for item in version.linked_artifacts] == ["shelf:v0"]
    wandb.Api().artifact(f"{project}/shelf:prod").unlink()
    assert not wandb.Api().artifact_exists(f"{project}/shelf:prod")
    assert wandb.Api().artifact_exists(f"{project}/model:v0")


def test_collections_are_listed_renamed_retyped_and_deleted(
    wandb: ModuleType, log: Callable[..., Any], project: str
) -> None:
    log("table", {"table": "one"}, aliases=["first"])
    log("table", {"table": "two"})
    path = f"local/{project}/table"
    assert [item.name for item in wandb.Api().artifact_types(f"local/{project}")] == ["dataset"]
    for order, expected in ((None, ["v1", "v0"]), ("+version_index", ["v0", "v1"])):
        found = wandb.Api().artifacts("dataset", path, order=order)
        assert [item.version for item in found] == expected
    collection = wandb.Api().artifact_collection("dataset", path)
    assert sorted(collection.aliases) == ["first", "latest"]
    collection.name, collection.description, collection.tags = "renamed", "text", ["kept"]
    collection.save()
    collection.change_type("other")
    again = wandb.Api().artifact_collection("other", f"local/{project}/renamed")
    assert (again.description, again.tags) == ("text", ["kept"])
    again.delete()
    assert not wandb.Api().artifact_exists(f"{project}/renamed:v0")


def test_drafts_and_tables_refer_to_files_of_other_versions(
    wandb: ModuleType, project: str
) -> None:
    with wandb.init(project=project) as run:
        first = wandb.Artifact("first", type="tables")
        pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
        first.add(wandb.Table(columns=["a"], data=[[1]]), "numbers")
        first.add(wandb.Table(columns=["b"], data=[[wandb.Image(pixels)]]), "pictures")
        run.log_artifact(first).wait()
        second = wandb.Artifact("second", type="tables")
        second.add(first.get("numbers"), "same")
        second.add(first.get("pictures"), "seen")
        run.log_artifact(second).wait()
        draft = first.new_draft()
        with draft.new_file("more.txt") as file:
            file.write("more")
        run.log_artifact(draft).wait()
    again = wandb.Api().artifact(f"{project}/second:v0")
    assert again.get("same").data == [[1]]
    assert np.array_equal(again.get("seen").data[0][0].image, pixels)
    # The second one holds references alone, and none of the files.
    assert again.size < 500
    assert all(entry.ref for entry in again.manifest.entries.values())
    third = wandb.Api().artifact(f"{project}/first:v1")
    names = set(third.manifest.entries)
    assert names > {"numbers.table.json", "pictures.table.json", "more.txt"}
    assert third.get("numbers").data == [[1]]


def test_what_is_not_there_or_not_allowed_is_named(
    wandb: ModuleType, log: Callable[..., Any], project: str
) -> None:
    log("table", {"table": "one"})
    with pytest.raises(wandb.errors.CommError, match="'nothing:v3' not found"):
        wandb.Api().artifact(f"{project}/nothing:v3")
    with pytest.raises(ValueError, match="already exists with type 'dataset'"):
        log("table", {"table": "two"}, "model")
    with pytest.raises(ValueError, match="v and a number names a version"):
        log("table", {"table": "two"}, aliases=["v7"])
    assert not wandb.Api().artifact_exists(f"{project}/table:v1")


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.exhaustive)])
def test_many_files_make_one_version(log: Callable[..., Any], count: int) -> None:
    version = log("many", {f"part/{number}.txt": str(number % 100) for number in range(count)})
    assert version.file_count == count
    assert len(version.manifest.entries) == count


def test_an_incremental_version_keeps_the_files_of_its_base(
    wandb: ModuleType, log: Callable[..., Any], project: str, tmp_path: Path
) -> None:
    log("grown", {"old.txt": "old", "both.txt": "first"})
    more = wandb.Artifact("grown", type="dataset", incremental=True)
    for name in ("new.txt", "both.txt"):
        with more.new_file(name) as file:
            file.write("second")
    with wandb.init(project=project, reinit="create_new") as run:
        run.log_artifact(more).wait()
    found = wandb.Api().artifact(f"{project}/grown:latest")
    assert found.version == "v1"
    root = Path(download_anew(found, tmp_path))
    assert (root / "old.txt").read_text() == "old"
    assert (root / "both.txt").read_text() == (root / "new.txt").read_text() == "second"
    found.verify(root=str(root))
    assert found.digest == found.manifest.digest()


def test_several_runs_make_one_distributed_version(
    wandb: ModuleType, project: str, tmp_path: Path
) -> None:
    for number in range(3):
        part = wandb.Artifact("joint", type="dataset")
        with part.new_file(f"part-{number}") as file:
            file.write(str(number))
        with wandb.init(project=project, group="together") as run:
            if number < 2:
                run.upsert_artifact(part, distributed_id="together")
            else:
                run.finish_artifact(part, distributed_id="together").wait()
    found = wandb.Api().artifact(f"{project}/joint:latest")
    assert found.version == "v0"
    assert set(found.manifest.entries) == {"part-0", "part-1", "part-2"}
    found.verify(root=download_anew(found, tmp_path))
