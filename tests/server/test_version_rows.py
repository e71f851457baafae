"""No two servers give their versions the same ids."""

import base64
from pathlib import Path

from tests.server.conftest import Core
from tests.server.stored import log_version, version_id
from wandb_server import paths
from wandb_server.database import Database
from wandb_server.upkeep.backup import write_backup
from wandb_server.upkeep.restore import restore_backup
from wandb_server.upkeep.store import opened


def test_versions_of_two_servers_have_different_ids(tmp_path: Path) -> None:
    found = set()
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        Database(folder / paths.DATABASE).close()  # made here, rather than copied
        server = Core(folder)
        log_version(server, "p", {"a": b"x"})
        found.add(version_id(server, 1))
        server.database.close()
    assert len(found) == 2


def test_a_restored_copy_keeps_its_ids_and_gives_new_ones_of_its_own(
    core: Core, tmp_path: Path
) -> None:
    log_version(core, "p", {"a": b"1"})
    with opened(core.folder) as store:
        write_backup(store, tmp_path / "backup.tar")
    log_version(core, "p", {"a": b"2"})

    (tmp_path / "copy").mkdir()
    restore_backup(tmp_path / "backup.tar", tmp_path / "copy")

    copy = Core(tmp_path / "copy")
    log_version(copy, "p", {"a": b"3"})
    assert version_id(copy, 1) == version_id(core, 1)
    assert version_id(copy, 2) != version_id(core, 2)
    copy.database.close()


def test_an_id_says_only_what_it_is_of_and_a_number(core: Core) -> None:
    log_version(core, "p", {"a": b"x"})
    kind, _, number = base64.b64decode(version_id(core, 1)).decode().partition(":")
    assert kind == "Artifact"
    assert 0 < int(number) < 2**47
