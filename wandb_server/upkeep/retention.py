"""Which versions have had their time: by age and by the time to live that the SDK set."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wandb_server import clock
from wandb_server.artifact.records import LATEST
from wandb_server.artifact.references import BY_CLIENT, BY_ID, find_target
from wandb_server.runs import current_state
from wandb_server.server_error import ServerError
from wandb_server.upkeep.references import BASES

_ALIVE = {"running", "pending", "preempting"}

# Committed versions with what may keep them: aliases, and places in other collections.
_CANDIDATES = """
    SELECT artifact.id, artifact.created_at, ttl_seconds, size,
        entity || '/' || project.name AS project,
        entity || '/' || project.name || '/' || collection.name || ':v' || version_index AS label,
        (SELECT group_concat(alias, ',') FROM alias WHERE artifact_id = artifact.id) AS aliases,
        (SELECT count(*) FROM membership
            WHERE artifact_id = artifact.id AND collection_id != artifact.collection_id) AS links
    FROM artifact JOIN collection ON collection.id = collection_id
    JOIN project ON project.id = project_id
    WHERE artifact.state = 'COMMITTED' ORDER BY artifact.id"""
_ABANDONED = """
    SELECT artifact.id, run.state, run.heartbeat_at,
        entity || '/' || project.name || '/' || collection.name AS label
    FROM artifact JOIN collection ON collection.id = collection_id
    JOIN project ON project.id = collection.project_id LEFT JOIN run ON run.id = run_id
    WHERE artifact.state = 'PENDING' AND artifact.updated_at < ? ORDER BY artifact.id"""

# Only what is in use keeps what it refers to.
_REFERENCES = f"""
    SELECT artifact_id, ref FROM artifact_file JOIN artifact ON artifact.id = artifact_id
    WHERE state = 'COMMITTED' AND (ref LIKE '{BY_ID}://%' OR ref LIKE '{BY_CLIENT}://%')"""  # noqa: S608


@dataclass(frozen=True)
class Rules:
    """What to give up besides what nothing refers to.

    `older_than_days`: versions without an alias and of that age; None gives up none of them.
    `runs_older_than_days`: runs that ended so long ago and have no version left; None: none.
    `projects`: only in these (`entity/name`), none means in all.
    """

    older_than_days: float | None = None
    projects: tuple[str, ...] = ()
    runs_older_than_days: float | None = None


@dataclass(frozen=True)
class Expired:
    """A version to delete: its row, its path, its size in bytes, and why."""

    artifact_id: int
    label: str
    size: int
    reason: str


def expired_versions(connection: sqlite3.Connection, rules: Rules) -> list[Expired]:
    """List the versions that the rules give up.

    A version stays while it has an alias, is linked elsewhere, or a version that stays refers
    to it. Of a version whose own time to live is over, the alias "latest" alone doesn't count.

    Raises:
        ServerError: A project doesn't exist.
    """
    _check_projects(connection, rules.projects)
    found = [
        Expired(row["id"], row["label"], row["size"], reason)
        for row in connection.execute(_CANDIDATES)
        if (not rules.projects or row["project"] in rules.projects)
        and (reason := _reason(row, rules.older_than_days))
    ]
    needed = _needed(connection, {item.artifact_id for item in found})
    return [item for item in found if item.artifact_id not in needed]


def abandoned_versions(connection: sqlite3.Connection, grace: float) -> list[Expired]:
    """List the versions whose upload began long ago and won't end: their run is over.

    Args:
        connection: Open for reading.
        grace: Seconds for which an upload is never called abandoned.
    """
    return [
        Expired(row["id"], row["label"], 0, "its upload was never completed")
        for row in connection.execute(_ABANDONED, (clock.ago(grace),))
        if row["state"] is None or current_state(row["state"], row["heartbeat_at"]) not in _ALIVE
    ]


def _reason(row: sqlite3.Row, days: float | None) -> str | None:
    aliases = set(row["aliases"].split(",")) if row["aliases"] else set()
    if row["links"] or aliases - {LATEST}:
        return None
    age = (datetime.now(UTC) - datetime.fromisoformat(row["created_at"])).total_seconds()
    if 0 < (row["ttl_seconds"] or 0) < age:
        return "its time to live is over"
    if days is not None and not aliases and 86400 * days < age:
        return f"older than {days:g} days, without an alias"
    return None


def _check_projects(connection: sqlite3.Connection, wanted: Sequence[str]) -> None:
    known = {row[0] for row in connection.execute("SELECT entity || '/' || name FROM project")}
    for name in wanted:
        if name not in known:
            raise ServerError(
                f"there is no project {name!r}; there are: {', '.join(sorted(known)) or 'none'}"
            )


def _needed(connection: sqlite3.Connection, expired: set[int]) -> set[int]:
    """Find those of the expired that what stays refers to, also by way of each other."""
    needed = {row[0] for row in connection.execute(BASES)} & expired
    edges = [
        (row["artifact_id"], target)
        for row in connection.execute(_REFERENCES)
        if (target := find_target(connection, row["ref"])) in expired
    ]
    while more := {
        target
        for source, target in edges
        if target not in needed and (source not in expired or source in needed)
    }:
        needed |= more
    return needed
