"""The graph of runs and versions around one version, for the pages."""

import sqlite3
from collections import deque
from dataclasses import dataclass

from wandb_server.artifact.lineage import list_inputs, list_outputs, list_users
from wandb_server.artifact.lookups import get_artifact
from wandb_server.database import fetch
from wandb_server.queries import VersionRow, version_row
from wandb_server.runs import Run

_LIMIT = 200


@dataclass(frozen=True)
class Lineage:
    """What a version comes from and what came of it.

    `runs` and `versions` by row id; `edges` are pairs of node names such as
    `("version:3", "run:7")`, in the direction of the data.
    """

    runs: dict[int, Run]
    versions: dict[int, VersionRow]
    edges: list[tuple[str, str]]


def lineage(connection: sqlite3.Connection, artifact_id: int) -> Lineage:
    """Follow a version back to where it comes from, and on to what came of it.

    Stops after a few hundred versions, so that a page stays readable.
    """
    found = Lineage({}, {}, [])
    edges: dict[tuple[str, str], None] = {}
    for onward in (False, True):
        _follow(connection, artifact_id, found, edges, onward=onward)
    return Lineage(found.runs, found.versions, list(edges))


def _follow(
    connection: sqlite3.Connection,
    start: int,
    found: Lineage,
    edges: dict[tuple[str, str], None],
    *,
    onward: bool,
) -> None:
    """Walk breadth first in one direction of the data."""
    waiting = deque([start])
    seen = {start}
    while waiting and len(found.versions) < _LIMIT:
        version = waiting.popleft()
        found.versions[version] = version_row(connection, get_artifact(connection, version))
        for run in _runs_next_to(connection, version, onward=onward):
            found.runs[run.id] = run
            ends = (f"version:{version}", f"run:{run.id}")
            edges[ends if onward else ends[::-1]] = None
            for other in _versions_next_to(connection, run.id, onward=onward):
                ends = (f"run:{run.id}", f"version:{other}")
                edges[ends if onward else ends[::-1]] = None
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)


def _runs_next_to(connection: sqlite3.Connection, artifact_id: int, *, onward: bool) -> list[Run]:
    if onward:
        return list_users(connection, artifact_id)
    return fetch(
        connection,
        Run,
        "SELECT run.* FROM run JOIN artifact ON run_id = run.id WHERE artifact.id = ?",
        artifact_id,
    )


def _versions_next_to(connection: sqlite3.Connection, run_id: int, *, onward: bool) -> list[int]:
    artifacts = list_outputs(connection, run_id) if onward else list_inputs(connection, run_id)
    return [artifact.id for artifact in artifacts]
