"""Makes the database that the tests keep of a schema: `python -m tests.server.make_database_asset`.

Run it once a release that changes the schema, and commit the file. The files of earlier releases
stay as they are: they are what users have.
"""

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.server.conftest import Core
from tests.server.stored import log_run_file, log_version
from wandb_server.filestream import apply_post
from wandb_server.migrations import MIGRATIONS

ASSETS = Path(__file__).with_name("databases")
PROJECT, RUN, VALUES = "songs", "r1", [1.0, 0.5, 0.25]
_SMALL_PAGE = 1024  # bytes: most tables hold a few rows

_DESCRIBE = """mutation { upsertBucket(input: {modelName: "songs", name: "r1", displayName: "first",
    config: "{\\"lr\\": {\\"value\\": 0.1}}", tags: ["kept"], groupName: "g"}) { inserted } }"""
_LINK = """mutation ($a: ID!) { linkArtifact(input: {artifactID: $a, entityName: "local",
    projectName: "songs", artifactPortfolioName: "best",
    aliases: [{artifactCollectionName: "best", alias: "prod"}]}) { versionIndex } }"""
_SWEEP = """mutation { upsertSweep(input: {projectName: "songs", config:
    "method: grid\\nparameters: {lr: {values: [1, 2]}}"}) { sweep { name } } }"""
_FIRST = """query { project(name: "songs") { artifact(name: "table:v0") { id } } }"""


def fill(core: Core) -> None:
    """Log something of each kind."""
    log_run_file(core, PROJECT, RUN, "output.log", b"hello")
    core.data(_DESCRIBE)
    lines = [f'{{"_step": {step}, "loss": {value}}}' for step, value in enumerate(VALUES)]
    with core.database.write() as connection:
        files = {"wandb-history.jsonl": {"offset": 0, "content": lines}}
        post = {"files": files, "complete": True, "exitcode": 0}
        apply_post(connection, ("local", PROJECT, RUN), post, "")
    for content in (b"one", b"two"):
        log_version(core, PROJECT, {"a.txt": content}, run=RUN, metadata='{"rows": 3}')
    core.data(_LINK, a=core.data(_FIRST)["project"]["artifact"]["id"])
    core.data(_SWEEP)


def main() -> None:
    target = ASSETS / f"{MIGRATIONS[-1].__name__}.sqlite3"
    if target.exists():
        sys.exit(f"{target} exists: it is what users of that schema have, so it stays")
    with tempfile.TemporaryDirectory() as work:
        core = Core(Path(work) / "core")
        fill(core)
        core.database.close()
        with closing(sqlite3.connect(core.folder / "wandb.sqlite3")) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute(f"PRAGMA page_size={_SMALL_PAGE}")
            connection.execute("VACUUM")
        ASSETS.mkdir(exist_ok=True)
        target.write_bytes((core.folder / "wandb.sqlite3").read_bytes())


if __name__ == "__main__":
    main()
