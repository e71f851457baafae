"""How much room each project takes."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from wandb_server.upkeep.references import digests_by_project

_COUNTS = """SELECT entity || '/' || name AS project,
    (SELECT count(*) FROM run WHERE project_id = project.id) AS runs,
    (SELECT count(*) FROM artifact JOIN collection ON collection.id = collection_id
        WHERE project_id = project.id AND artifact.state = 'COMMITTED') AS versions
    FROM project ORDER BY entity, name"""


@dataclass(frozen=True)
class ProjectUsage:
    """A project (`entity/name`), what it holds, and the bytes of its files, each once."""

    project: str
    runs: int
    versions: int
    size: int


@dataclass(frozen=True)
class Usage:
    """Bytes by project, of all projects with shared content counted once, and of the rest."""

    projects: list[ProjectUsage]
    size: int
    unused: int


def measure(connection: sqlite3.Connection, sizes: Mapping[str, int]) -> Usage:
    """Add up the stored files by the projects that refer to them.

    Args:
        connection: Open for reading.
        sizes: Bytes of the stored files by digest.
    """
    digests = digests_by_project(connection)
    used = set().union(*digests.values())
    projects = [
        ProjectUsage(
            row["project"],
            row["runs"],
            row["versions"],
            _sum(digests.get(row["project"], set()), sizes),
        )
        for row in connection.execute(_COUNTS)
    ]
    total = _sum(used, sizes)
    return Usage(projects, total, sum(sizes.values()) - total)


def _sum(digests: set[str], sizes: Mapping[str, int]) -> int:
    return sum(sizes.get(digest, 0) for digest in digests)
