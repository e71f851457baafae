"""`gc` removes what nothing refers to and what has had its time, and nothing else."""

import os
import re
import threading
from collections.abc import Callable

import pytest

from tests.server import client
from tests.server.conftest import Core
from tests.server.stored import (
    UPSERT,
    age,
    blob_files,
    blob_path,
    log_run_file,
    log_version,
    refer,
    upload,
    version_id,
    version_row,
)
from wandb_server.__main__ import main
from wandb_server.lines import store_lines
from wandb_server.upkeep.check import GRACE_SECONDS, check_store
from wandb_server.upkeep.collect import Collection, collect
from wandb_server.upkeep.retention import Rules
from wandb_server.upkeep.store import opened

DELETE = """mutation ($a: ID!) { deleteArtifact(input: {artifactID: $a, deleteAliases: true}) {
    artifact { id } } }"""
LINK = """mutation ($a: ID!, $p: String!) { linkArtifact(input: {artifactID: $a,
    entityName: "local", projectName: $p, artifactPortfolioName: "best"}) { versionIndex } }"""
ALIAS = """mutation ($a: ID!, $p: String!) { addAliases(input: {artifactID: $a, aliases: [{
    entityName: "local", projectName: $p, artifactCollectionName: "table", alias: "kept"}]}) {
    success } }"""
TTL = """mutation ($a: ID!, $s: Int64!) { updateArtifact(input: {artifactID: $a,
    ttlDurationSeconds: $s}) { artifact { id } } }"""
USE = """mutation ($a: ID!) { useArtifact(input: {artifactID: $a, entityName: "local",
    projectName: "p", runName: "used"}) { artifact { id } } }"""
# Columns that hold the digest of something else than a stored file.
NO_FILES = {"artifact.digest", "artifact.digest_algorithm"}
FILES = {"run_file.digest", "artifact_file.digest", "artifact.manifest_digest", "manifest.digest"}

RUBBISH = Rules()  # nothing that is in use


def gc(core: Core, rules: Rules = RUBBISH, *, delete: bool = True) -> Collection:
    with opened(core.folder) as store:
        return collect(store, rules, GRACE_SECONDS, delete=delete)


def names(core: Core) -> list[str]:
    """The versions that are left in the project."""
    return sorted(client.versions(core.data, "p"))


def assert_whole(core: Core) -> None:
    with opened(core.folder) as store:
        report = check_store(store, lambda _size: None)
    assert not report.damaged


def test_files_that_only_a_deleted_version_had_go_and_shared_ones_stay(core: Core) -> None:
    log_version(core, "p", {"a": b"own", "b": b"shared"})
    log_version(core, "p", {"b": b"shared"})
    log_run_file(core, "p", "r", "f", b"shared too")
    core.data(DELETE, a=version_id(core, 1))
    age(core)
    done = gc(core)
    assert done.versions == []
    assert done.files == 2  # the version's own file and its manifest
    assert not blob_path(core, b"own").exists()
    assert blob_path(core, b"shared").exists()
    assert_whole(core)
    assert gc(core).files == 0


def test_a_dry_run_tells_what_would_go_and_changes_nothing(core: Core) -> None:
    for number in range(3):
        log_version(core, "p", {"a": b"%d" % number})
    age(core, days=40)
    before = blob_files(core)
    told = gc(core, Rules(older_than_days=30), delete=False)
    assert [item.label for item in told.versions] == ["local/p/table:v0", "local/p/table:v1"]
    assert told.files == 4
    assert (blob_files(core), names(core)) == (before, ["v0", "v1", "v2"])
    assert gc(core, Rules(older_than_days=30)) == told
    assert len(blob_files(core)) == len(before) - 4
    assert_whole(core)


def test_age_gives_up_only_what_has_no_alias_no_link_and_no_referrer(core: Core) -> None:
    for number in range(5):  # v0 ... v4: aliased, linked, referred to, plain, latest
        log_version(core, "p", {"a": b"%d" % number})
    log_version(core, "other", {"a": b"other"})
    log_version(core, "other", {"a": b"other's latest"})
    core.data(ALIAS, a=version_id(core, 1), p="p")
    core.data(LINK, a=version_id(core, 2), p="p")
    refer(core, 7, to=3)
    age(core, days=40)
    assert gc(core, Rules(older_than_days=41)).versions == []
    done = gc(core, Rules(older_than_days=30, projects=("local/p",)))
    assert [item.label for item in done.versions] == ["local/p/table:v3"]
    assert done.versions[0].reason == "older than 30 days, without an alias"
    done = gc(core, Rules(older_than_days=30))
    assert [item.label for item in done.versions] == ["local/other/table:v0"]
    assert_whole(core)


def test_a_version_that_only_expired_ones_refer_to_goes_with_them(core: Core) -> None:
    for number in range(3):
        log_version(core, "p", {"a": b"%d" % number})
    refer(core, 2, to=1)
    age(core, days=40)
    assert len(gc(core, Rules(older_than_days=30)).versions) == 2
    assert names(core) == ["v2"]


def test_a_time_to_live_ends_a_version_unless_it_has_an_alias_of_its_own(core: Core) -> None:
    for number in range(3):
        log_version(core, "p", {"a": b"%d" % number})
        core.data(TTL, a=version_id(core, number + 1), s=86400 * (10 if number == 1 else 1))
    core.data(ALIAS, a=version_id(core, 1), p="p")
    age(core, days=2)
    done = gc(core)
    assert [(item.label, item.reason) for item in done.versions] == [
        ("local/p/table:v2", "its time to live is over")
    ]
    assert client.versions(core.data, "p") == {"v1": ["latest"], "v0": ["kept"]}


def test_an_upload_in_flight_loses_nothing(core: Core) -> None:
    files = {"a": b"in flight"}
    artifact_id = client.create(core.data, "p", files)["id"]
    assert gc(core).files == 0
    core.blobs.write(b"of a manifest yet to come")
    upload(core, artifact_id, files)
    assert gc(core) == Collection([], 0, 0, 1, 25)
    assert client.commit(core.data, artifact_id) == 0


def test_a_file_that_a_client_was_told_not_to_upload_stays(core: Core) -> None:
    files = {"a": b"known"}
    core.blobs.write(b"known")
    age(core)
    artifact_id = client.create(core.data, "p", files)["id"]
    assert client.ask_uploads(core.data, artifact_id, files) == [None]
    assert gc(core).files == 0
    upload(core, artifact_id, files)
    assert client.commit(core.data, artifact_id) == 0


def test_a_long_upload_of_a_run_that_lives_keeps_all_that_it_announced(core: Core) -> None:
    core.data(UPSERT, p="p", r="r")
    files = {"a": b"first of many"}
    artifact_id = client.create(core.data, "p", files, runName="r", distributedID="d")["id"]
    upload(core, artifact_id, files)
    age(core)
    with core.database.write() as connection:
        connection.execute("UPDATE run SET state = 'running'")
    assert gc(core) == Collection([], 0, 0, 0, 0)
    assert client.commit(core.data, artifact_id) == 0


def test_what_an_unfinished_increment_builds_on_stays_although_deleted(core: Core) -> None:
    log_version(core, "p", {"a": b"base"})
    artifact_id = client.create(core.data, "p", {"b": b"more"}, digest="0" * 32)["id"]
    core.blobs.write(b"more")
    part = client.manifest({"b": b"more"})
    core.blobs.write(part)
    client.announce(core.data, artifact_id, part, "INCREMENTAL")
    base = version_row(core, 1)
    with core.database.write() as connection:
        connection.execute(
            "UPDATE manifest SET base_artifact_id = ? WHERE type = 'INCREMENTAL'", (base,)
        )
    core.data(DELETE, a=version_id(core, 1))
    age(core)
    core.data(UPSERT, p="p", r="r")
    with core.database.write() as connection:
        connection.execute("UPDATE run SET state = 'running'")
        connection.execute("UPDATE artifact SET run_id = 1 WHERE state = 'PENDING'")
    assert gc(core) == Collection([], 0, 0, 0, 0)
    assert client.commit(core.data, artifact_id) == 1
    assert_whole(core)


def test_an_upload_whose_run_is_over_is_given_up(core: Core) -> None:
    files = {"a": b"half"}
    artifact_id = client.create(core.data, "p", files)["id"]
    core.blobs.write(b"half")
    assert gc(core).versions == []
    age(core)
    (given_up,) = gc(core).versions
    assert (given_up.label, given_up.reason) == ("local/p/table", "its upload was never completed")
    assert blob_files(core) == []
    assert "was deleted" in core.error(client.COMMIT, a=artifact_id)
    assert log_version(core, "p", files) == 0


def test_logging_goes_on_while_unused_files_are_collected(core: Core) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def collect_on() -> None:
        try:
            while not stop.is_set():
                gc(core)
        except BaseException as error:  # handed to the test
            failures.append(error)

    collector = threading.Thread(target=collect_on)
    collector.start()
    try:
        for number in range(40):
            files = {name: f"{name} {number}".encode() for name in "abc"}
            for content in files.values():
                # As old as what gc takes away, from the moment at which it has its name.
                os.utime(core.blobs.path(core.blobs.write(content)), (0, 0))
            assert log_version(core, "p", files) == number
    finally:
        stop.set()
        collector.join()
    assert failures == []
    assert_whole(core)


def test_every_column_that_names_a_stored_file_is_known_to_the_collector(core: Core) -> None:
    with core.database.read() as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
        columns = {
            f"{table}.{row['name']}"
            for table in tables
            for row in connection.execute(f"PRAGMA table_info({table})")
            if "digest" in row["name"]
        }
    assert columns == FILES | NO_FILES, "add it to upkeep/references.py, else gc removes its files"


@pytest.fixture
def command(core: Core, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.setenv("WANDB_SERVER_DIR", str(core.folder))
    return lambda *words: main(["gc", *words])


def test_the_command_shows_first_and_deletes_when_told(
    core: Core, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        log_version(core, "p", {"a": b"%d" % number})
    age(core, days=40)
    assert command("--older-than", "30", "--project", "p") == 0
    core.blobs.write(b"young")
    told = capsys.readouterr().out
    assert "to delete local/p/table:v0, 1 B: older than 30 days, without an alias" in told
    assert "Nothing was removed. `gc --delete` would remove 1 version and 2 files" in told
    assert command("--older-than", "30", "--delete") == 0
    told = capsys.readouterr().out
    assert "Removed 1 version and 2 files" in told
    assert "1 file more, 5 B, stay for now: younger than 24 hours" in told
    assert names(core) == ["v1"]


def test_a_project_that_is_not_there_is_refused_with_those_that_are(
    core: Core, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    log_version(core, "p", {"a": b"1"})
    assert command("--older-than", "0", "--delete", "--project", "q") == 1
    assert "there is no project 'local/q'; there are: local/p" in capsys.readouterr().err
    assert names(core) == ["v0"]


def test_an_old_run_goes_unless_it_is_at_work_or_a_version_of_it_is_left(core: Core) -> None:
    log_version(core, "p", {"a": b"x"}, run="logged")
    for run in ("used", "plain", "at-work", "young"):
        log_run_file(core, "p", run, "f", run.encode())
    core.data(USE, a=version_id(core, 1))
    log_run_file(core, "other", "plain", "f", b"in another project")
    with core.database.write() as connection:
        connection.execute("UPDATE run SET state = 'finished', heartbeat_at = '2020'")
        connection.execute("UPDATE run SET state = 'pending' WHERE name = 'at-work'")
        connection.execute("UPDATE run SET heartbeat_at = '2999' WHERE name = 'young'")
    age(core)
    gc(core)
    rules = Rules(runs_older_than_days=30, projects=("local/p",))

    assert [run.label for run in gc(core, rules, delete=False).runs] == ["local/p/plain"]
    done = gc(core, rules)

    assert [run.label for run in done.runs] == ["local/p/plain"]
    assert done.files == 1
    assert not blob_path(core, b"plain").exists()
    assert gc(core, rules).runs == ()
    rest = [run.label for run in gc(core, Rules(runs_older_than_days=30)).runs]
    assert rest == ["local/other/plain"]
    assert_whole(core)


def test_a_compact_database_is_smaller_and_holds_the_same(
    core: Core, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    log_run_file(core, "p", "old", "f", b"x")
    with core.database.write() as connection:
        store_lines(connection, 1, "output", 0, ["x" * 1000] * 3_000)
        connection.execute("UPDATE run SET state = 'finished', heartbeat_at = '2020'")
    log_version(core, "p", {"a": b"x"})
    core.database.close()
    before = (core.folder / "wandb.sqlite3").stat().st_size
    assert names(core) == ["v0"]  # a connection stays open, as a server's does

    assert command("--runs-older-than", "30", "--delete", "--compact") == 0

    told = capsys.readouterr().out
    assert "deleted   local/p/old: an old run without a version" in told
    assert "Removed 1 run, 0 versions and 0 files" in told
    assert re.search(r"The database takes \d+\.\d MB less", told)
    assert (core.folder / "wandb.sqlite3").stat().st_size < before / 10
    assert names(core) == ["v0"]
    assert log_version(core, "p", {"a": b"y"}) == 1


def test_compacting_without_deleting_is_refused(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--compact") == 1
    assert "--compact is a part of --delete" in capsys.readouterr().err
