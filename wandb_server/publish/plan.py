"""What has to be sent, and in which order: data in, data out."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wandb_server.lines import finite, parse_object
from wandb_server.publish.source import SourceRun, SourceVersion, plain_config
from wandb_server.upkeep.wording import counted

# States in which a run can end up at the target; the SDK can end a run in no other way.
FINISHED, FAILED = "finished", "failed"
ALIVE = ("running", "pending", "preempting")


@dataclass(frozen=True)
class TargetRun:
    """What the target holds of a run.

    `first` is the time stamp of its first row of history (seconds since 1970; None without
    one), `last_step` is -1 without history, `digests` are base64 MD5 by the names of files.
    """

    state: str
    first: float | None
    last_step: int
    console_lines: int
    config: dict[str, Any]
    summary: dict[str, Any]
    labels: dict[str, Any]
    digests: dict[str, str]


@dataclass(frozen=True)
class TargetVersion:
    """A version that the target holds: its id there and its path, `entity/project/table:v3`."""

    id: str
    path: str

    @property
    def name(self) -> str:
        """Its name within its project, such as `table:v3`."""
        return self.path.rpartition("/")[2]


@dataclass
class Session:
    """One opening of a run at the target.

    `run` is None for versions whose run is gone here. `is_last` says that the run isn't
    opened again, so that its history follows what its artifacts are called there.
    """

    run: str | None
    versions: list[SourceVersion] = field(default_factory=list)
    is_last: bool = False


def final_state(run: SourceRun) -> str:
    """Give the state that a run that has ended is to have at the target."""
    return FINISHED if run.row.state == FINISHED else FAILED


def labels(run: SourceRun) -> dict[str, Any]:
    """Give what people read of a run: its name, group, job type, tags and notes."""
    row = run.row
    return {
        "name": row.display_name or row.name,
        "group": row.group_name or "",
        "job_type": row.job_type or "",
        "tags": sorted(json.loads(row.tags)),
        "notes": row.notes or "",
    }


def plain_summary(values: Mapping[str, Any]) -> dict[str, Any]:
    """Drop from a summary what the SDK measures itself."""
    return {key: value for key, value in values.items() if key not in ("_runtime", "_wandb")}


def differences(
    run: SourceRun, target: TargetRun, translate: Callable[[str], str]
) -> dict[str, str]:
    """Find what the target lacks of a run.

    Args:
        run: The run as it is here.
        target: As it is there.
        translate: Rewrites references to versions.

    Returns:
        A text by each of "history", "console", "state", "config", "summary" and "labels" that
        differs; empty when nothing does. Files aren't looked at.
    """
    found = {}
    if target.last_step != run.last_step:
        found["history"] = f"history ends at step {target.last_step}, not {run.last_step}"
    if target.console_lines != run.console_lines:
        found["console"] = f"{target.console_lines} of {run.console_lines} console lines"
    if target.state != final_state(run):
        found["state"] = f"state {target.state}, not {final_state(run)}"
    if finite(plain_config(run.row)) != finite(target.config):
        found["config"] = "another config"
    summary = parse_object(translate(run.row.summary_metrics))
    if comparable(plain_summary(summary)) != comparable(plain_summary(target.summary)):
        found["summary"] = "another summary"
    wrong = [name for name, value in labels(run).items() if target.labels[name] != value]
    if wrong:
        found["labels"] = "another " + ", ".join(wrong)
    return found


def unsendable(run: SourceRun) -> list[str]:
    """Say what of a run can't be sent, however often it is tried; empty when all of it can."""
    if not run.hidden:
        return []
    values = counted(run.hidden, "value")
    return [f"{values} under step and key of another writer's: only one can be sent"]


def comparable(value: Any) -> Any:
    """Make no difference between null and what isn't finite: the SDK may send either."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return None if finite(value) in ("NaN", "Infinity", "-Infinity") else value


def foreign(run: SourceRun, target: TargetRun) -> str | None:
    """Say what shows that the target's run of this id isn't a copy, or the start of one.

    Rows of history keep their time stamps when they are sent, so a copy begins with the same.
    """
    if target.last_step > run.last_step or target.console_lines > run.console_lines:
        return "the target's run of this id holds more than this one"
    if target.last_step >= 0 and target.first != run.first:
        return "the target's run of this id is another one: its history began at another time"
    return None


def plan_sessions(
    runs: Iterable[SourceRun], versions: Iterable[SourceVersion], wanted: set[str]
) -> list[Session]:
    """Put what is to be sent into order.

    Versions keep the order of their commits, which is one in which each can refer to those
    before it. Runs come up in the order in which they were made.

    Args:
        runs: All runs that may be opened, in order.
        versions: Those that are missing at the target, in order.
        wanted: Ids of runs that must be opened for their own sake.
    """
    waiting = [run.row.name for run in runs]
    sessions: list[Session] = []
    for version in versions:
        while version.run in waiting:
            name = waiting.pop(0)
            if name in wanted or name == version.run:
                sessions.append(Session(name))
        if not sessions or sessions[-1].run != version.run:
            sessions.append(Session(version.run))
        sessions[-1].versions.append(version)
    sessions += [Session(name) for name in waiting if name in wanted]
    last = {session.run: session for session in sessions}
    for session in last.values():
        session.is_last = True
    return sessions
