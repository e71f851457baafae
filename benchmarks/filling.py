"""Fills a server's data folder with many runs and artifact versions, past the SDK."""

import base64
import hashlib
import json
import math
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wandb_server.artifact.commit import commit_artifact
from wandb_server.artifact.create import NewArtifact, create_artifact
from wandb_server.artifact.lineage import record_input
from wandb_server.artifact.manifests import FULL, add_manifest
from wandb_server.blobs import BlobStore
from wandb_server.database import Database
from wandb_server.history import extend_keys
from wandb_server.lines import HISTORY, store_lines
from wandb_server.projects import ensure_project
from wandb_server.runs import Run, create_run, update_run

PROJECT = "many"
SETTINGS = 40  # config keys of a run
_METRICS = ("train/loss", "val/loss", "val/accuracy", "val/f1", "learning_rate")
_BRANCHES, _DEPTH = 50, 3  # of the first version's lineage: 1 + 50 * (3 runs + 3 versions)
_HISTORIES = 20  # different ones; further runs get copies, which SQLite makes much faster
_MANIFEST = json.dumps({"version": 1, "contents": {}}).encode()


@dataclass(frozen=True)
class Size:
    """How much to make: runs, those of them with a history of `steps` steps, and versions."""

    runs: int = 5_000
    with_history: int = 1_000
    steps: int = 10_000
    versions: int = 2_000


def fill(folder: Path, size: Size) -> None:
    """Write a project of this size into an empty data folder that no server holds.

    The newest runs have a history, of which twenty are different. The artifact `data:v0` has a
    lineage of 301 nodes.
    """
    database = Database(folder / "wandb.sqlite3")
    blobs = BlobStore(folder / "blobs")
    blobs.write(_MANIFEST)
    rng = random.Random(0)  # noqa: S311  made-up data needs no secrecy
    with database.write() as connection:
        project = ensure_project(connection, "local", PROJECT).id
        runs = [_make_run(connection, project, number, rng) for number in range(size.runs)]
        _make_lineage(connection, blobs, project, runs, size.versions)
    newest = runs[size.runs - size.with_history :]
    for number, run in enumerate(newest):
        with database.write() as connection:
            if number < _HISTORIES:
                _make_history(connection, run, size.steps, rng)
            else:
                _copy_history(connection, newest[number % _HISTORIES], run)
    database.close()


def _make_run(connection: sqlite3.Connection, project: int, number: int, rng: random.Random) -> Run:
    run = create_run(connection, project, f"run{number:05}", "finished")
    config: dict[str, Any] = {f"group{key}": {} for key in range(4)}
    config["max_depth"] = rng.randint(1, 30)
    for key in range(SETTINGS - 1):
        config[f"group{key % 4}"][f"setting_{key}"] = _setting(key, rng)
    summary = {name: rng.random() for name in _METRICS}
    fields = {
        "displayName": f"run-{number}",
        "groupName": f"group-{number % 20}",
        "jobType": "train" if number % 2 else "evaluate",
        "tags": ["best"] if number % 100 == 0 else [],
        "config": json.dumps({name: {"value": value} for name, value in config.items()}),
        "summaryMetrics": json.dumps({**summary, "test/roc_auc_ovo": rng.random()}),
    }
    update_run(connection, run.id, fields)
    return run


def _setting(key: int, rng: random.Random) -> float | int | str:
    kinds = (rng.random(), rng.randint(0, 100), rng.choice(("gini", "entropy", "log_loss")))
    return kinds[key % 3]


def _make_history(connection: sqlite3.Connection, run: Run, steps: int, rng: random.Random) -> None:
    lines = list(_history(steps, rng))
    store_lines(connection, run.id, HISTORY, 0, lines)
    keys = extend_keys("{}", lines[:1], 0)
    connection.execute("UPDATE run SET history_keys = ? WHERE id = ?", (keys, run.id))


def _copy_history(connection: sqlite3.Connection, source: Run, run: Run) -> None:
    connection.execute(
        "INSERT INTO run_line (run_id, stream, writer, number, step, content)"
        " SELECT ?, stream, writer, number, step, content FROM run_line WHERE run_id = ?",
        (run.id, source.id),
    )
    connection.execute(
        "UPDATE run SET history_keys = (SELECT history_keys FROM run WHERE id = ?) WHERE id = ?",
        (source.id, run.id),
    )


def _history(steps: int, rng: random.Random) -> Iterator[str]:
    for step in range(steps):
        decay = math.exp(-5 * step / steps)
        row = {name: decay + 0.05 * rng.random() for name in _METRICS}
        yield json.dumps({**row, "_step": step, "_runtime": step / 10, "_timestamp": 1.7e9 + step})


def _make_lineage(
    connection: sqlite3.Connection, blobs: BlobStore, project: int, runs: list[Run], versions: int
) -> None:
    """Make one version from which many chains go out, and others beside it."""
    left = iter(runs)
    root = _make_version(connection, blobs, project, next(left), "data", 0)
    made = 1
    for _ in range(_BRANCHES):
        before = root
        for level in range(_DEPTH):
            run = next(left)
            record_input(connection, run.id, before, None)
            before = _make_version(connection, blobs, project, run, f"level{level}", made)
            made += 1
    while made < versions:
        run = next(left)
        _make_version(connection, blobs, project, run, f"other{made % 20}", made)
        made += 1


def _make_version(
    connection: sqlite3.Connection, blobs: BlobStore, project: int, run: Run, name: str, number: int
) -> int:
    new = NewArtifact(
        project_id=project,
        run_id=run.id,
        type_name="data" if name == "data" else "model",
        collection_name=name,
        digest=f"{number:032x}",
        metadata=json.dumps({"number": number}),
    )
    artifact = create_artifact(connection, new)
    digest = base64.b64encode(hashlib.md5(_MANIFEST, usedforsecurity=False).digest()).decode()
    add_manifest(connection, artifact.id, FULL, "manifest.json", digest, None)
    return commit_artifact(connection, blobs, artifact.id).id
