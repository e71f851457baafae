"""A backup is one complete moment of the data, and restoring it never writes over anything."""

import io
import json
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.server import client
from tests.server.conftest import Core
from tests.server.stored import blob_files, blob_path, log_run_file, log_version
from wandb_server import locks, paths
from wandb_server.__main__ import main
from wandb_server.keys import load_or_create_key

Command = Callable[..., int]


@pytest.fixture
def filled(core: Core) -> Core:
    log_version(core, "songs", {"a.txt": b"one"}, run="r1")
    log_version(core, "songs", {"a.txt": b"two", "b.txt": b"shared"}, run="r1")
    log_run_file(core, "songs", "r1", "output.log", b"hello")
    return core


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command on a data folder."""

    def run(folder: Path, *words: object) -> int:
        monkeypatch.setenv("WANDB_SERVER_DIR", str(folder))
        return main([str(word) for word in words])

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "blobs").glob("??/*")}


def test_a_backup_restores_to_the_same_data(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(filled.folder, "backup", tmp_path / "all.tar") == 0
    assert f"Wrote {tmp_path / 'all.tar'}: 6 files" in capsys.readouterr().out
    assert command(tmp_path / "new", "restore", tmp_path / "all.tar") == 0
    assert "No damage." in capsys.readouterr().out
    assert contents(tmp_path / "new") == contents(filled.folder)
    again = Core(tmp_path / "new")
    assert client.versions(again.data, "songs") == client.versions(filled.data, "songs")
    again.database.close()
    assert command(tmp_path / "new", "check") == 0


def test_neither_the_key_nor_other_users_are_in_a_backup(
    filled: Core, tmp_path: Path, command: Command
) -> None:
    key = load_or_create_key(filled.folder)
    target = tmp_path / "all.tar"
    assert command(filled.folder, "backup", target) == 0
    assert key.encode() not in target.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert command(tmp_path / "new", "restore", target) == 0
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
    assert {mode & 0o077 for mode in modes} == {0}


def test_a_backup_in_the_midst_of_logging_is_one_whole_moment(
    core: Core, tmp_path: Path, command: Command
) -> None:
    stop = threading.Event()
    logged = [log_version(core, "songs", {"a": b"first"})]

    def log_on() -> None:
        while not stop.is_set():
            files = {name: f"{name} {len(logged)}".encode() for name in "abc"}
            logged.append(log_version(core, "songs", files))

    logger = threading.Thread(target=log_on)
    logger.start()
    try:
        for number in range(3):
            before = len(logged)
            assert command(core.folder, "backup", tmp_path / f"{number}.tar") == 0
            after = len(logged)
            folder = tmp_path / f"restored-{number}"
            assert command(folder, "restore", tmp_path / f"{number}.tar") == 0
            restored = Core(folder)
            found = client.versions(restored.data, "songs")
            restored.database.close()
            assert sorted(found) == sorted(f"v{index}" for index in range(len(found)))
            assert before <= len(found) <= after + 1
            assert command(folder, "check") == 0
    finally:
        stop.set()
        logger.join()


def test_a_backup_never_replaces_a_file(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "all.tar"
    target.write_text("mine")
    assert command(filled.folder, "backup", target) == 1
    assert f"{target} exists" in capsys.readouterr().err
    assert target.read_text() == "mine"
    assert command(filled.folder, "backup", tmp_path / "none" / "all.tar") == 1
    assert "No such file or directory" in capsys.readouterr().err
    assert list(tmp_path.glob("**/.all*")) == []


def test_a_backup_of_damaged_data_names_what_it_lacks(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, altered = blob_path(filled, b"shared"), blob_path(filled, b"hello")
    missing.unlink()
    altered.write_bytes(b"jello")
    assert command(filled.folder, "backup", tmp_path / "all.tar") == 4
    told = capsys.readouterr().err
    assert f"{missing}: missing" in told
    assert f"{altered}: altered" in told
    assert command(tmp_path / "new", "restore", tmp_path / "all.tar") == 4
    told = capsys.readouterr().out
    assert "version local/songs/table:v1: b.txt" in told
    assert "run local/songs/r1: output.log" in told


def test_a_repair_takes_lost_files_from_a_backup(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "all.tar"
    assert command(filled.folder, "backup", target) == 0
    log_version(filled, "songs", {"a.txt": b"after the backup"})
    missing, altered = blob_path(filled, b"shared"), blob_path(filled, b"hello")
    missing.unlink()
    altered.write_bytes(b"jello")
    blob_path(filled, b"after the backup").unlink()
    assert command(filled.folder, "check", "--from", target) == 1
    assert "parts of --repair" in capsys.readouterr().err
    assert command(filled.folder, "check", "--repair", "--from", target) == 4
    told = capsys.readouterr().out
    assert f"put back {missing}" in told
    assert f"put back {altered}" in told
    assert (missing.read_bytes(), altered.read_bytes()) == (b"shared", b"hello")
    assert command(filled.folder, "check") == 4
    told = capsys.readouterr().out
    assert "Damage: 1 lost file." in told
    assert "version local/songs/table:v2: a.txt" in told


def test_restore_refuses_a_folder_with_data_unless_told_and_then_puts_it_aside(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "all.tar"
    load_or_create_key(filled.folder)
    assert command(filled.folder, "backup", target) == 0
    log_version(filled, "songs", {"a.txt": b"three"})
    filled.database.close()
    key = (filled.folder / paths.KEY).read_text()
    assert command(filled.folder, "restore", target) == 1
    assert "holds data already" in capsys.readouterr().err
    assert command(filled.folder, "restore", target, "--replace") == 0
    told = capsys.readouterr().out
    (aside,) = filled.folder.glob("replaced.*")
    assert f"What was in {filled.folder} lies in {aside} now." in told
    assert (filled.folder / paths.KEY).read_text() == key
    assert client.hex_md5(b"three") in contents(aside)
    for folder, count in ((filled.folder, 2), (aside, 3)):
        with closing(sqlite3.connect(folder / paths.DATABASE)) as connection:
            assert connection.execute("SELECT count(*) FROM artifact").fetchone()[0] == count


def test_restore_waits_for_no_server_and_disturbs_none(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(filled.folder, "backup", tmp_path / "all.tar") == 0
    load_or_create_key(filled.folder)
    with locks.held(filled.folder / paths.SERVER_LOCK, 0):
        assert command(filled.folder, "restore", tmp_path / "all.tar", "--replace") == 1
    assert "stop it first: python -m wandb_server stop" in capsys.readouterr().err
    assert list(filled.folder.glob("re*")) == []


def _repack(source: Path, target: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> None:
    """Copy a backup with changed entries."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for entry in old:
            file = old.extractfile(entry)
            assert file is not None
            entry.name, content = change(entry.name, file.read())
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))


def _describe(**fields: object) -> Callable[[str, bytes], tuple[str, bytes]]:
    def change(name: str, content: bytes) -> tuple[str, bytes]:
        if name == "backup.json":
            content = json.dumps(json.loads(content) | fields).encode()
        return name, content

    return change


def _rename(start: str, name: str) -> Callable[[str, bytes], tuple[str, bytes]]:
    return lambda old, content: (name if old.startswith(start) else old, content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_describe(files=7), "it holds 6 of 7 files"),
        (_describe(format=2, program="9.9"), "made by version 9.9 in format 2"),
        (_rename("wandb.sqlite3", "../wandb.sqlite3"), "it holds '../wandb.sqlite3'"),
        (_rename("blobs", "blobs/ab/../../x"), "it holds 'blobs/ab/../../x'"),
        (_rename("backup.json", "other.json"), "its first entry isn't backup.json"),
    ],
)
def test_what_is_no_backup_is_refused_and_leaves_nothing(
    filled: Core,
    tmp_path: Path,
    command: Command,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[str, bytes], tuple[str, bytes]],
    words: str,
) -> None:
    assert command(filled.folder, "backup", tmp_path / "all.tar") == 0
    _repack(tmp_path / "all.tar", tmp_path / "bad.tar", change)
    assert command(tmp_path / "new", "restore", tmp_path / "bad.tar") == 1
    assert words in capsys.readouterr().err
    left = {path.name for path in (tmp_path / "new").iterdir()}
    assert left <= {paths.SERVER_LOCK}


def test_a_backup_that_was_cut_short_is_refused(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, part = tmp_path / "all.tar", tmp_path / "part.tar"
    assert command(filled.folder, "backup", whole) == 0
    size = whole.stat().st_size
    for kept in (0, 100, 2_000, size // 2, size - 11_000):
        part.write_bytes(whole.read_bytes()[:kept])
        assert command(tmp_path / "new", "restore", part) == 1
        assert f"{part} is no whole backup" in capsys.readouterr().err
    assert command(tmp_path / "new", "restore", tmp_path / "none.tar") == 1
    assert f"can't read the backup {tmp_path / 'none.tar'}" in capsys.readouterr().err


def test_a_backup_of_a_newer_program_is_refused_with_its_version(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(name: str, content: bytes) -> tuple[str, bytes]:
        if name != paths.DATABASE:
            return name, content
        (tmp_path / "db").write_bytes(content)
        with closing(sqlite3.connect(tmp_path / "db")) as connection:
            connection.execute("INSERT INTO migration VALUES ('m999_future', '2099')")
            connection.commit()
        return name, (tmp_path / "db").read_bytes()

    assert command(filled.folder, "backup", tmp_path / "all.tar") == 0
    _repack(tmp_path / "all.tar", tmp_path / "newer.tar", change)
    assert command(tmp_path / "new", "restore", tmp_path / "newer.tar") == 1
    assert "at version m999_future" in capsys.readouterr().err
    assert not (tmp_path / "new" / "blobs").exists()


def test_one_command_at_a_time_looks_after_a_folder(
    filled: Core, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with locks.held(filled.folder / "upkeep.lock", 0):
        assert command(filled.folder, "backup", tmp_path / "all.tar") == 1
    assert "is at work: wait until it has ended" in capsys.readouterr().err
    assert command(tmp_path / "none", "check") == 1
    assert "holds no data yet" in capsys.readouterr().err
    assert blob_files(filled)
