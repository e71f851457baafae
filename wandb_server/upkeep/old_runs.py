"""Which runs have had their time: by age, unless something that stays came of them."""

import sqlite3
from dataclasses import dataclass

from wandb_server import clock
from wandb_server.runs import current_state

_AT_WORK = {"running", "pending", "preempting"}

# Those whose versions are gone: what remains must still tell what it was made of, and by whom.
_CANDIDATES = """
    SELECT run.id, run.state, run.heartbeat_at,
        entity || '/' || project.name AS project,
        entity || '/' || project.name || '/' || run.name AS label
    FROM run JOIN project ON project.id = project_id
    WHERE run.heartbeat_at < ?
        AND NOT EXISTS (SELECT 1 FROM artifact
            WHERE artifact.run_id = run.id AND artifact.state != 'DELETED')
        AND NOT EXISTS (SELECT 1 FROM run_output JOIN artifact ON artifact.id = artifact_id
            WHERE run_output.run_id = run.id AND artifact.state != 'DELETED')
        AND NOT EXISTS (SELECT 1 FROM run_input JOIN artifact ON artifact.id = artifact_id
            WHERE run_input.run_id = run.id AND artifact.state != 'DELETED')
    ORDER BY run.id"""


@dataclass(frozen=True)
class OldRun:
    """A run to delete: its row, and its path for people."""

    run_id: int
    label: str


def old_runs(
    connection: sqlite3.Connection, days: float, projects: tuple[str, ...]
) -> list[OldRun]:
    """List the runs that ended so long ago, and have logged and used no version that is left.

    Args:
        connection: Open for reading.
        days: Age since the last sign of life.
        projects: Only of these (`entity/name`); none means of all.
    """
    return [
        OldRun(row["id"], row["label"])
        for row in connection.execute(_CANDIDATES, (clock.ago(86400 * days),))
        if (not projects or row["project"] in projects)
        and current_state(row["state"], row["heartbeat_at"]) not in _AT_WORK
    ]
