"""The databases of earlier programs are brought up to date and lose nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.server import client
from tests.server.conftest import Core
from tests.server.make_database_asset import ASSETS, PROJECT, RUN, VALUES, fill
from tests.server.stored import log_version
from wandb_server.__main__ import main
from wandb_server.upkeep.check import check_store
from wandb_server.upkeep.store import opened

READ = """query ($p: String, $r: String!) { project(name: $p) { run(name: $r) {
    displayName state tags config history files { edges { node { name sizeBytes } } }
    outputArtifacts { edges { node { versionIndex metadata } } }
} sweeps { edges { node { config } } } } }"""


def read(core: Core) -> dict[str, Any]:
    """Collect what `fill` logged, as clients see it."""
    project = core.data(READ, p=PROJECT, r=RUN)["project"]
    tables = {name: client.versions(core.data, PROJECT, name) for name in ("table", "best")}
    return {**project, **tables}


@pytest.mark.parametrize("asset", sorted(ASSETS.iterdir()), ids=lambda path: path.stem)
def test_a_database_of_an_earlier_schema_reads_and_takes_more(
    asset: Path, core: Core, tmp_path: Path
) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    shutil.copy(asset, folder / "wandb.sqlite3")
    old = Core(folder)
    fill(core)
    before = read(old)
    assert before == read(core)
    assert [json.loads(line)["loss"] for line in before["run"]["history"]] == VALUES
    assert log_version(old, PROJECT, {"a.txt": b"three"}) == 2
    with opened(folder) as store:
        assert check_store(store, lambda _size: None).database == []
    old.database.close()


def test_a_server_refuses_a_newer_database_and_names_its_version(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core = Core(data_folder)
    with core.database.write() as connection:
        connection.execute("INSERT INTO migration VALUES ('m999_future', '2099')")
    core.database.close()
    for command in ("start", "status", "check"):
        assert main([command]) == 1
        told = capsys.readouterr().err
        assert "the database is at version m999_future" in told
        assert "use the newer program, or another data folder" in told
