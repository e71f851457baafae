"""`check` finds damage and names whom it concerns; `--repair` mends without losing anything."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.server import client
from tests.server.conftest import Core
from tests.server.stored import age, blob_files, blob_path, log_run_file, log_version, upload
from wandb_server.__main__ import main
from wandb_server.upkeep.check import ALTERED, MISSING, Report, check_store
from wandb_server.upkeep.repair import repair
from wandb_server.upkeep.store import Store, opened

FILES = {"a/data.csv": b"1,2,3", "b.txt": b"shared"}


@pytest.fixture
def filled(core: Core) -> Core:
    """Two versions that share a file, and a run with a file of its own."""
    log_version(core, "songs", FILES, run="r1")
    log_version(core, "songs", {"b.txt": b"shared", "c.txt": b"new"}, run="r1")
    log_run_file(core, "songs", "r1", "output.log", b"hello")
    return core


def _check(store: Store, *, quick: bool = False) -> Report:
    return check_store(store, lambda _size: None, quick=quick)


def check(core: Core, *, quick: bool = False) -> Report:
    with opened(core.folder) as store:
        return _check(store, quick=quick)


def mend(core: Core, *, forget: bool = False) -> list[str]:
    """Repair, and return what was said."""
    said: list[str] = []
    with opened(core.folder) as store:
        repair(store, _check(store), said.append, forget=forget)
    return said


def test_a_whole_store_has_no_damage(filled: Core) -> None:
    report = check(filled)
    assert not report.damaged
    assert report.read == len(blob_files(filled)) == 6


def test_a_missing_file_is_named_with_all_that_it_is_part_of(filled: Core) -> None:
    path = blob_path(filled, b"shared")
    path.unlink()
    (lost,) = check(filled).lost
    assert (lost.fault, lost.path) == (MISSING, path)
    assert [(use.owner, use.file) for use in lost.uses] == [
        ("local/songs/table:v0", "b.txt"),
        ("local/songs/table:v1", "b.txt"),
    ]


def test_a_missing_manifest_and_a_missing_run_file_are_damage(filled: Core) -> None:
    blob_path(filled, client.manifest(FILES)).unlink()
    blob_path(filled, b"hello").unlink()
    uses = [use for item in check(filled).lost for use in item.uses]
    assert [(use.kind, use.owner, use.file) for use in uses] == [
        ("run", "local/songs/r1", "output.log"),
        ("version", "local/songs/table:v0", "wandb_manifest.json"),
    ]


def test_an_altered_file_is_found_by_reading_it(filled: Core) -> None:
    path = blob_path(filled, b"hello")
    path.write_bytes(b"jello")
    (lost,) = check(filled).lost
    assert (lost.fault, lost.actual) == (ALTERED, client.hex_md5(b"jello"))
    assert [use.owner for use in lost.uses] == ["local/songs/r1"]
    assert not check(filled, quick=True).damaged


def test_a_stray_file_is_damage_and_an_old_unused_one_is_not(filled: Core) -> None:
    stray = filled.folder / "blobs" / "ab" / "note.txt"
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("what is this")
    assert [file.path for file in check(filled).stray] == [stray]
    stray.unlink()
    filled.blobs.write(b"nobody's")
    assert check(filled).unused == []
    age(filled)
    report = check(filled)
    assert [file.digest for file in report.unused] == [client.hex_md5(b"nobody's")]
    assert not report.damaged


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            "UPDATE artifact SET manifest_digest = NULL WHERE version_index = 0",
            "local/songs/table:v0 has no manifest",
        ),
        (
            "DELETE FROM membership WHERE version_index = 1",
            "local/songs/table:v1 isn't a member of its collection",
        ),
        (
            "DELETE FROM artifact_file WHERE name = 'c.txt'",
            "local/songs/table:v1 lists another number of files than it was committed with",
        ),
        ("DELETE FROM run", "row 1 of run_file refers to a row of run that isn't there"),
    ],
)
def test_records_that_contradict_each_other_are_told(
    filled: Core, change: str, complaint: str
) -> None:
    with closing(sqlite3.connect(filled.folder / "wandb.sqlite3")) as connection:
        connection.execute(change)
        connection.commit()
    assert complaint in check(filled).database


def test_an_index_that_lost_a_row_is_found_by_sqlite(filled: Core) -> None:
    with closing(sqlite3.connect(filled.folder / "wandb.sqlite3")) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, '(artifact_id)', '(id)')"
            " WHERE name = 'alias_artifact'"
        )
        connection.commit()
    assert any("alias_artifact" in complaint for complaint in check(filled).database)


def test_repair_puts_a_file_back_whose_content_lies_under_a_wrong_name(filled: Core) -> None:
    right, wrong = blob_path(filled, b"shared"), blob_path(filled, b"new")
    right.rename(wrong)
    said = mend(filled)
    assert f"put back {right}" in said
    assert right.read_bytes() == b"shared"
    (lost,) = check(filled).lost
    assert lost.path == wrong
    assert lost.fault == MISSING


def test_repair_moves_altered_and_stray_files_aside_and_deletes_nothing(filled: Core) -> None:
    altered = blob_path(filled, b"hello")
    altered.write_bytes(b"jello")
    stray = filled.folder / "blobs" / "note.txt"
    stray.write_text("mine")
    said = mend(filled)
    kept = sorted((filled.folder / "damaged").iterdir())
    assert sorted(path.read_bytes() for path in kept) == [b"jello", b"mine"]
    assert len(said) == 2
    assert {path.exists() for path in (altered, stray)} == {False}
    report = check(filled)
    assert [item.fault for item in report.lost] == [MISSING]
    assert report.stray == []


def test_repair_writes_a_lost_manifest_anew_unless_it_held_more_than_the_records(
    filled: Core,
) -> None:
    blob_path(filled, client.manifest(FILES)).unlink()
    assert mend(filled) == ["wrote the manifest of local/songs/table:v0 anew"]
    assert not check(filled).damaged
    contents = {"r": {"digest": "unknown", "size": 0, "ref": "http://host.example/file"}}
    manifest = json.dumps({"version": 1, "contents": contents}).encode()
    artifact_id = client.create(filled.data, "songs", {}, digest="0" * 32)["id"]
    client.announce(filled.data, artifact_id, manifest)
    filled.blobs.write(manifest)
    client.commit(filled.data, artifact_id)
    blob_path(filled, manifest).unlink()
    assert mend(filled) == []
    assert [use.file for use in check(filled).lost[0].uses] == ["wandb_manifest.json"]


def test_only_forget_gives_up_what_stays_lost_and_says_it(filled: Core) -> None:
    blob_path(filled, b"new").unlink()
    blob_path(filled, b"hello").unlink()
    assert mend(filled) == []
    assert len(check(filled).lost) == 2
    said = mend(filled, forget=True)
    assert sorted(said) == [
        "deleted version local/songs/table:v1 (aliases: latest), which lacks c.txt",
        "removed the name output.log from run local/songs/r1",
    ]
    assert not check(filled).damaged
    assert client.versions(filled.data, "songs") == {"v0": ["latest"]}
    assert blob_path(filled, b"shared").exists()


@pytest.mark.parametrize("content", [b"new", None], ids=["a file", "the manifest"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"other")])
def test_logging_the_same_again_makes_a_version_whole(
    filled: Core, content: bytes | None, damage: Callable[[Path], object]
) -> None:
    files = {"b.txt": b"shared", "c.txt": b"new"}
    damage(blob_path(filled, content or client.manifest(files)))
    assert check(filled).damaged
    assert log_version(filled, "songs", files) == 1
    assert not check(filled).damaged


def test_no_version_is_committed_on_a_file_that_was_altered(filled: Core) -> None:
    files = {"b.txt": b"shared", "d.txt": b"more"}
    artifact_id = client.create(filled.data, "songs", files)["id"]
    upload(filled, artifact_id, files)
    blob_path(filled, b"shared").write_bytes(b"sharde")
    assert "'b.txt' was damaged" in filled.error(client.COMMIT, a=artifact_id)
    assert log_version(filled, "songs", files) == 2
    assert not check(filled).damaged


def test_a_commit_that_brings_nothing_does_not_pass_for_a_repair(filled: Core) -> None:
    files = {"b.txt": b"shared", "c.txt": b"new"}
    artifact_id = client.create(filled.data, "songs", files)["id"]
    blob_path(filled, b"new").unlink()
    assert "'c.txt' wasn't uploaded" in filled.error(client.COMMIT, a=artifact_id)


@contextmanager
def _folder(core: Core) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_SERVER_DIR", str(core.folder))
        yield


def test_the_command_tells_by_its_exit_code_and_names_what_is_concerned(
    filled: Core, capsys: pytest.CaptureFixture[str]
) -> None:
    with _folder(filled):
        assert main(["check"]) == 0
        assert "No damage." in capsys.readouterr().out
        blob_path(filled, b"new").unlink()
        assert main(["check"]) == 4
        told = capsys.readouterr().out
        assert str(blob_path(filled, b"new")) in told
        assert "version local/songs/table:v1: c.txt" in told
        assert "Damage: 1 lost file." in told
        assert main(["check", "--repair"]) == 4
        assert "Damage remains." in capsys.readouterr().out
        assert main(["check", "--repair", "--forget"]) == 0
        assert "deleted version local/songs/table:v1" in capsys.readouterr().out
        assert main(["check"]) == 0


def test_a_repair_removes_unused_files_and_leaves_those_of_now(
    filled: Core, capsys: pytest.CaptureFixture[str]
) -> None:
    filled.blobs.write(b"nobody's")
    age(filled)
    filled.blobs.write(b"being logged")
    with _folder(filled):
        assert main(["check", "--repair"]) == 0
    assert "removed 1 file that nothing refers to" in capsys.readouterr().out
    assert not blob_path(filled, b"nobody's").exists()
    assert blob_path(filled, b"being logged").exists()


def test_a_database_that_cannot_be_read_is_damage(
    filled: Core, capsys: pytest.CaptureFixture[str]
) -> None:
    filled.database.close()
    path: Path = filled.folder / "wandb.sqlite3"
    path.write_bytes(b"overwritten by something else " * 1000)
    with _folder(filled):
        assert main(["check"]) == 4
    assert f"{path}: file is not a database" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("INSERT INTO migration VALUES ('m999_future', '2099')", "at version m999_future"),
        ("DELETE FROM migration WHERE name = 'm002_sweeps'", "the database lacks m002_sweeps"),
        ("DROP TABLE migration", "the database is empty. A database may lack what lies in"),
    ],
)
def test_a_database_of_another_version_is_left_alone(
    filled: Core, capsys: pytest.CaptureFixture[str], row: str, words: str
) -> None:
    with closing(sqlite3.connect(filled.folder / "wandb.sqlite3")) as connection:
        connection.execute(row)
        connection.commit()
    with _folder(filled):
        assert main(["check"]) == 1
        assert main(["gc", "--delete"]) == 1
    assert words in capsys.readouterr().err
