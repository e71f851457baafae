"""What is acknowledged is on the disk first: the bytes, then the name, then the version."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server import client
from tests.server.conftest import Core
from tests.server.stored import UPSERT, log_version, version_id
from wandb_server.blobs import BlobStore

RUN_FILES = """mutation ($p: String, $f: [String!]!) {
    createRunFiles(input: {projectName: $p, runName: "r", files: $f}) { files { uploadUrl } }
}"""
FILES = {"a.txt": b"alpha", "b.txt": b"beta"}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """What is synced and renamed from now on, in order."""
    seen: list[tuple[str, Path]] = []
    sync, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        seen.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    def rename(source: Path, target: Path) -> Path:
        seen.append(("rename", target))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    return seen


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_blob_is_synced_then_named_then_its_folders_are_synced(
    tmp_path: Path, steps: list[tuple[str, Path]], size: int
) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    digest, _ = asyncio.run(blobs.receive(_chunks(bytes(size)), None))
    place = blobs.path(digest)
    (first, incoming), (second, target), *rest = steps
    assert (first, incoming.parent.name) == ("sync", "incoming")
    assert (second, target) == ("rename", place)
    assert set(rest) == {("sync", place.parent), ("sync", tmp_path / "blobs")}


def test_a_name_is_settled_later_where_many_are_settled_at_once(
    tmp_path: Path, steps: list[tuple[str, Path]]
) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    digest, _ = asyncio.run(blobs.receive(_chunks(b"x"), None, settled=False))
    assert [step for step, _ in steps] == ["sync", "rename"]
    blobs.settle([digest])
    assert set(steps[2:]) == {("sync", blobs.path(digest).parent), ("sync", tmp_path / "blobs")}


def test_a_folder_that_is_durable_by_its_name_is_synced_alone(
    tmp_path: Path, steps: list[tuple[str, Path]]
) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    digest = blobs.write(b"x")
    steps.clear()
    assert blobs.write(b"x") == digest
    folder = blobs.path(digest).parent
    assert steps[1:] == [("rename", blobs.path(digest)), ("sync", folder)]


def test_a_commit_syncs_the_folders_of_its_files_whoever_stored_them(
    core: Core, steps: list[tuple[str, Path]]
) -> None:
    artifact = client.create(core.data, "p", FILES)
    digests = [core.blobs.write(content) for content in (*FILES.values(), client.manifest(FILES))]
    client.announce(core.data, artifact["id"], client.manifest(FILES))
    steps.clear()
    assert client.commit(core.data, artifact["id"]) == 0
    assert {("sync", core.blobs.path(digest).parent) for digest in digests} <= set(steps)


def test_what_mends_a_version_is_synced_before_it_counts(
    core: Core, steps: list[tuple[str, Path]]
) -> None:
    log_version(core, "p", FILES)
    core.blobs.path(client.hex_md5(b"alpha")).unlink()
    core.blobs.write(b"alpha")
    steps.clear()
    assert client.commit(core.data, version_id(core, 1)) == 0
    digests = map(client.hex_md5, FILES.values())
    assert {("sync", core.blobs.path(digest).parent) for digest in digests} <= set(steps)


def test_the_database_is_synced_at_each_commit(core: Core) -> None:
    with core.database.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_mutation_that_changes_nothing_writes_nothing(core: Core) -> None:
    core.data(UPSERT, p="p", r="r")
    journal = core.folder / "wandb.sqlite3-wal"
    before = journal.stat().st_mtime_ns
    answer = core.data(RUN_FILES, p="p", f=["config.yaml"])["createRunFiles"]
    assert answer["files"][0]["uploadUrl"]
    assert journal.stat().st_mtime_ns == before
    core.data(UPSERT, p="p", r="another")
    assert journal.stat().st_mtime_ns > before
