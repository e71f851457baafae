"""What the doctor looks at beyond the machine: the data source, W&B, MLflow's store."""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.errors import WandbError
from pipeline.schema import Config
from pipeline.source import identify
from pipeline.upkeep.finding import Finding, fail, ok, warn
from pipeline.wandb_target import WandbTarget, find_remote
from wandb_server import ServerError, faults, paths, running
from wandb_server.version import API_VERSION

TIMEOUT = 10.0  # seconds for a server to answer


def check_source(config: Config, root: Path) -> Finding:
    """Look whether the data set's source is there.

    Args:
        config: It names the source.
        root: Folder of main.py.
    """
    name, url = "data source", config.dataset.url
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        if identify(url):
            return ok(name, url)
        said = f"{url} doesn't answer, or doesn't say which state of the data it has"
        return warn(name, said, f"curl -I {url}")
    local = url2pathname(parts.path) if parts.scheme == "file" else str(Path(url).expanduser())
    path = root / local
    if path.is_file() and os.access(path, os.R_OK):
        return ok(name, f"{url}, {path.stat().st_size / 1e6:.1f} MB")
    said = f"{path} is not there, or can't be read"
    return fail(name, said, "python main.py dataset.url=<path or URL of the table>")


def check_wandb(config: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Look which W&B a run would use, and whether it can; starts no server.

    Args:
        config: It may name the W&B.
        environment: Variables of this process.
    """
    mode = environment.get("WANDB_MODE", "online")
    if mode not in ("online", "shared"):
        said = f"WANDB_MODE={mode}: steps pass artifacts through W&B, which that mode refuses"
        yield fail("W&B", said, "unset WANDB_MODE")
        environment = {**environment, "WANDB_MODE": "online"}
    try:
        remote = find_remote(config.main.wandb, environment)
    except WandbError as error:
        yield fail("W&B", str(error), "wandb login, or main.wandb=local")
        return
    yield _check_remote(remote, config.main.project_name) if remote else _check_local()


def _check_remote(target: WandbTarget, project: str) -> Finding:
    import requests  # takes a tenth of a second

    from pipeline.registry import Registry  # its wandb takes longer

    mend = "mend the network, or WANDB_BASE_URL; main.wandb=local needs neither"
    try:
        requests.head(target.address, timeout=TIMEOUT)
    except requests.RequestException as error:
        return fail("W&B", f"{target.address} ({target.reason}) doesn't answer: {error}", mend)
    try:
        Registry(target, project)
    except WandbError as error:
        return fail("W&B", str(error), "wandb login --relogin, or main.wandb=local")
    return ok("W&B", f"{target.address} answers ({target.reason})")


def _check_local() -> Finding:
    folder = paths.data_dir()
    if not folder.exists():
        return ok("W&B", f"local server; the first run starts it, with its data in {folder}")
    try:
        server = running()
    except ServerError as error:
        return fail("W&B", f"local server: {error}", "python -m wandb_server status")
    if server is None:
        return ok("W&B", f"local server; not running, the next run starts it. Data in {folder}")
    if server.health.api_version > API_VERSION:
        said = f"the local server at {server.base_url} is too new ({server.health.version})"
        return fail("W&B", said, f"kill {server.health.pid}; or update this project")
    fault = faults.ask(server.base_url, server.api_key)
    if fault:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(fault.at))
        said = f"the local server at {server.base_url} couldn't store something at {when}: "
        return warn("W&B", said + fault.message, "make room on its disk, and run again")
    return ok("W&B", f"local server at {server.base_url}, data in {folder}")


def check_store() -> Finding:
    """Look whether MLflow's store can be used: there, readable, and of this MLflow's form."""
    import mlflow  # takes a second

    address = mlflow.get_tracking_uri()
    if urlsplit(address).scheme != "sqlite":
        return _check_server(address)
    path = Path(urlsplit(address).path.removeprefix("/"))
    if not path.exists():
        return ok("MLflow store", f"{path.absolute()}; the first run makes it")
    return check_database(path)


def check_database(path: Path) -> Finding:
    """Look whether an MLflow database has the form that the installed MLflow needs.

    Args:
        path: An existing SQLite file.
    """
    from mlflow.store.db.utils import _get_latest_schema_revision

    name, aside = "MLflow store", f"mv {path} {path}.broken"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            (damage,) = database.execute("PRAGMA quick_check(1)").fetchone()
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
            found = (
                database.execute("SELECT version_num FROM alembic_version").fetchone()
                if "alembic_version" in tables
                else None
            )
    except sqlite3.Error as error:
        return fail(name, f"{path} can't be read: {error}", aside)
    if damage != "ok":
        return fail(name, f"{path} is damaged: {damage}", aside)
    if not tables:
        return ok(name, f"{path} is empty; the next run fills it")
    if found is None or "experiments" not in tables:
        return fail(name, f"{path} is half-made: its migration was cut off", aside)
    if found[0] != _get_latest_schema_revision():
        said = f"{path} is of another version of MLflow (its schema is {found[0]})"
        return fail(name, said, f"cp {path} {path}.before; mlflow db upgrade sqlite:///{path}")
    return ok(name, f"{path.absolute()}, migrated")


def _check_server(address: str) -> Finding:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    # Else MLflow asks for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(round(TIMEOUT)))
    try:
        MlflowClient(address).search_experiments(max_results=1)
    except MlflowException as error:
        reason = str(error).split("\n")[0]
        mend = "start that server, or unset MLFLOW_TRACKING_URI for a file in this folder"
        return fail("MLflow store", f"{address} doesn't answer: {reason}", mend)
    return ok("MLflow store", f"{address} answers")
