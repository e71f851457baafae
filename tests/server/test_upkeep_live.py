"""Damage, locks and new keys as the real SDK meets them."""

import json
import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
import requests

from tests.server import client
from tests.server.conftest import KEY, LiveServer, sdk_environment
from tests.warm import WarmPython
from wandb_server import Server, ensure_running, faults, ids, paths
from wandb_server.__main__ import main
from wandb_server.auth import Signer
from wandb_server.upkeep.check import check_store
from wandb_server.upkeep.repair import repair
from wandb_server.upkeep.store import opened
from wandb_server.urls import Urls

DOWNLOAD = """
import sys, wandb
for name in sys.argv[1:]:
    try:
        wandb.Api().artifact(name).download("again", skip_cache=True)
    except Exception as error:
        print(type(error).__name__, error)
"""


def _blob(live: LiveServer, content: bytes) -> Path:
    digest = client.hex_md5(content)
    return live.folder / "blobs" / digest[:2] / digest


def _log(wandb: ModuleType, project: str, **files: bytes) -> None:
    """Log an artifact for each name, with the one file `<name>.csv`."""
    with wandb.init(project=project) as run:
        for name, content in files.items():
            artifact = wandb.Artifact(name, "dataset")
            with artifact.new_file(f"{name}.csv", mode="wb") as file:
                file.write(content)
            run.log_artifact(artifact).wait()


def test_a_damaged_file_fails_by_name_and_at_once(
    live: LiveServer, wandb: ModuleType, python: WarmPython, project: str, tmp_path: Path
) -> None:
    altered, deleted = f"altered {project}".encode(), f"deleted {project}".encode()
    _log(wandb, project, altered=altered, deleted=deleted)
    _blob(live, altered).write_bytes(altered.upper())
    _blob(live, deleted).unlink()
    names = [f"{project}/{name}:v0" for name in ("altered", "deleted")]
    done = python.run(
        *("-c", DOWNLOAD, *names),
        env=os.environ | sdk_environment(live.base_url, tmp_path),
        cwd=tmp_path,
        libraries=("wandb",),
        timeout=120,  # the SDK would repeat a 500 for twenty minutes
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("HTTPError 410 Client Error: Gone for url")
    assert first.endswith("/altered.csv")
    assert second.endswith("/deleted.csv")
    assert list(tmp_path.glob("again/*")) == []


def test_logging_lost_content_again_brings_it_back(
    live: LiveServer, wandb: ModuleType, project: str, tmp_path: Path
) -> None:
    content = f"lost {project}".encode()
    _log(wandb, project, table=content)
    _blob(live, content).unlink()
    _log(wandb, project, table=content)
    assert client.versions(live.data, project) == {"v0": ["latest"]}
    folder = wandb.Api().artifact(f"{project}/table:v0").download(str(tmp_path), skip_cache=True)
    assert (Path(folder) / "table.csv").read_bytes() == content


def test_a_manifest_that_was_written_anew_serves_the_sdk(
    live: LiveServer, wandb: ModuleType, project: str, tmp_path: Path
) -> None:
    content = f"manifest {project}".encode()
    _log(wandb, project, table=content)
    artifact = wandb.Api().artifact(f"{project}/table:v0")
    with opened(live.folder) as store:
        row = store.connection.execute(
            "SELECT manifest_digest FROM artifact WHERE id = ?",
            (ids.decode("Artifact", artifact.id),),
        ).fetchone()
        store.blobs.path(row["manifest_digest"]).unlink()
        said: list[str] = []
        repair(store, check_store(store, lambda _size: None, quick=True), said.append)
    assert f"wrote the manifest of local/{project}/table:v0 anew" in said
    again = wandb.Api().artifact(f"{project}/table:v0")
    folder = again.download(str(tmp_path), skip_cache=True)
    assert (Path(folder) / "table.csv").read_bytes() == content
    again.verify(folder)


def test_what_was_found_whole_is_found_altered_later(live: LiveServer) -> None:
    content = os.urandom(1000)
    path = Urls(live.base_url, Signer(KEY)).download(client.hex_md5(content), "f")
    upload = Urls(live.base_url, Signer(KEY)).upload_blob(client.hex_md5(content))
    assert live.request("PUT", upload, content, key=None)[0] == 200
    blob = _blob(live, content)
    before = blob.stat()
    for _ in range(2):
        assert live.request("GET", path, key=None)[2] == content
    with blob.open("r+b") as file:
        file.write(b"x" if content[:1] != b"x" else b"y")
    os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))
    for headers in ({}, {"Range": "bytes=500-599"}):
        status, _, answer = live.request("GET", path, headers=headers, key=None)
        assert status == 410
        assert str(blob) in answer.decode()
    assert live.request("PUT", upload, content, key=None)[0] == 200
    assert live.request("GET", path, key=None)[2] == content


def _await_locked(live: LiveServer, since: float) -> None:
    """Wait until the server has refused somebody because the database is locked."""
    pause = threading.Event()
    while time.time() < since + 60:
        fault = json.loads(live.request("GET", faults.PATH)[2])
        if fault and fault["at"] > since and "database is locked" in fault["message"]:
            return
        pause.wait(0.1)
    raise TimeoutError("nobody was refused")


def test_the_sdk_asks_again_while_another_process_holds_the_database(
    live: LiveServer, wandb: ModuleType, project: str
) -> None:
    held, released = threading.Event(), threading.Event()

    def hold() -> None:
        database = live.folder / paths.DATABASE
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            held.set()
            _await_locked(live, time.time())
            other.execute("ROLLBACK")
            released.set()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    with wandb.init(project=project) as run:
        run.log({"value": 1})
    holder.join()
    assert released.is_set()
    assert [row["value"] for row in wandb.Api().run(run.path).scan_history()] == [1]


def _ask(server: Server, key: str) -> int:
    return requests.post(
        f"{server.base_url}/graphql",
        json={"query": "{ viewer { id } }"},
        auth=("api", key),
        timeout=10,
    ).status_code


def test_a_new_key_ends_the_old_one_and_all_that_was_made_with_it(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    link, url = server.sign_in_url(), Urls(server.base_url, Signer(server.api_key))
    assert _ask(server, server.api_key) == 200
    assert main(["rotate-key"]) == 0
    told = capsys.readouterr().out
    assert "The old one is refused" in told
    assert 'eval "$(python -m wandb_server env)"' in told
    new = ensure_running()
    assert new.base_url == server.base_url
    assert new.api_key != server.api_key
    assert (_ask(new, new.api_key), _ask(new, server.api_key)) == (200, 401)
    assert requests.get(link, timeout=10).status_code == 401
    assert requests.put(url.upload_blob("0" * 32), b"x", timeout=10).status_code == 403


def test_a_new_key_starts_no_server_where_none_ran(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_folder / paths.KEY).write_text("damaged")
    assert main(["rotate-key"]) == 0
    assert "started" not in capsys.readouterr().out
    assert len((data_folder / paths.KEY).read_text().strip()) == 64
    assert (data_folder / paths.KEY).stat().st_mode & 0o777 == 0o600
    assert not (data_folder / paths.DATABASE).exists()


def test_a_running_server_is_checked_and_measured_by_project(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = _asker(server)
    shared, own = b"s" * 50_000, b"o" * 20_000
    _upload(ask, "a", {"x": shared})
    _upload(ask, "b", {"x": shared, "y": own})
    assert main(["status"]) == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    # Each project has a manifest, too, of less than 200 bytes.
    assert rows["local/a"] == ["local/a", "0", "1", "50.1", "kB"]
    assert rows["local/b"] == ["local/b", "0", "1", "70.1", "kB"]
    assert rows["all,"][-2:] == ["70.2", "kB"]
    assert main(["check"]) == 0
    assert main(["backup", str(tmp_path / "all.tar")]) == 0
    assert main(["gc", "--delete", "--grace", "0"]) == 0
    assert main(["check"]) == 0


def _upload(ask: client.Ask, project: str, files: dict[str, bytes]) -> None:
    """Log a version; its files and manifest are put where the server says."""
    artifact_id = client.create(ask, project, files)["id"]
    targets = client.ask_uploads(ask, artifact_id, files)
    manifest = client.manifest(files)
    place = client.announce(ask, artifact_id, manifest)
    for target, content in zip([*targets, place], [*files.values(), manifest], strict=True):
        if target is not None:
            assert requests.put(target, content, timeout=10).ok
    client.commit(ask, artifact_id)


def _asker(server: Server) -> client.Ask:
    def ask(query: str, **variables: object) -> object:
        answer = requests.post(
            f"{server.base_url}/graphql",
            json={"query": query, "variables": variables},
            auth=("api", server.api_key),
            timeout=10,
        ).json()
        assert "errors" not in answer
        return answer["data"]

    return ask
