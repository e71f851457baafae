"""What this process knows of a sweep: the main one began it, a worker runs a trial of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.schema import Config, SweepEvaluate
from pipeline.sweeps.trial import Notes

if TYPE_CHECKING:
    from pipeline.standbys import Standbys
    from pipeline.sweeps.plan import Plan


@dataclass
class Process:
    """The state of this process.

    Attributes:
        plan: Of the sweep that it began; None if it began none.
        notes: Where its pipeline notes what it does; None if nobody wants to know.
        is_trial: Whether it runs a trial now.
        workers: Trials that run at the same time as its own, which counts as well.
        started_at: When its trial began, on the monotonic clock.
        standbys: What forks the steps of its trials; None before the first one.
    """

    plan: "Plan | None" = None
    notes: Notes | None = None
    is_trial: bool = False
    workers: int = 1
    started_at: float = 0.0
    standbys: "Standbys | None" = None


THIS = Process()


def postponed(config: Config) -> dict[str, str]:
    """Return the steps that wait for the end of a sweep, each with the reason, for people.

    Trials are judged by the validation split. The test split says how good the chosen one is, and
    only if nothing was chosen by it.
    """
    if not THIS.is_trial or config.sweep.evaluate == SweepEvaluate.all:
        return {}
    if config.sweep.evaluate == SweepEvaluate.none:
        return {"evaluate": "left out by sweep.evaluate=none"}
    return {"evaluate": "for the best trial alone, after the sweep"}
