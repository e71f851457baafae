"""What is known of one trial of a sweep, as a file in its folder: its process may be a worker's."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.steps import Step, StepResult

FILE = "trial.json"


@dataclass
class Notes:
    """What a pipeline says of itself while it runs as a trial.

    Attributes:
        mlflow_run: Its MLflow run, as soon as there is one.
        model: Version of the model that it trained; None if it trained or exported none.
        versions: Exact versions that its steps took and made, each as name:vN.
        standard_error: Of its validation score; None if the step that trains didn't say.
        is_reused: Whether the model is one that an earlier run made.
        production: Version that was in production after a model was evaluated; None if none was.
    """

    mlflow_run: str | None = None
    model: str | None = None
    versions: list[str] = field(default_factory=list)
    standard_error: float | None = None
    is_reused: bool = False
    production: str | None = None

    def take(self, steps: "Sequence[Step]", results: "Sequence[StepResult]", metric: str) -> None:
        """Note what came of the steps.

        Args:
            steps: All whose artifacts count.
            results: Of the steps that ran.
            metric: The one that the trial is judged by.
        """
        artifacts = [one for step in steps for one in (*step.inputs, *step.outputs)]
        versions = [artifact.version.name for artifact in artifacts if artifact.version]
        self.versions = list(dict.fromkeys(versions))
        for result in results:
            if f"val/{metric}" in result.summary:
                self.model = next(iter(result.versions), None)
                self.is_reused = result.status == "reused"
                self.standard_error = result.summary.get(f"standard_error/val/{metric}")
            if "promotion/promoted" in result.summary:
                holder = "challenger" if result.summary["promotion/promoted"] else "champion"
                self.production = result.summary.get(f"promotion/{holder}")


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        sweep: Id of its sweep, in case a folder is used for two of them.
        number: Its number, from 0 on.
        overrides: Its overrides: texts by key, as the user or the sweeper wrote them.
        score: Score on the validation split; None if it failed, or trained nothing.
        error: Why it failed; empty if it didn't.
        seconds: Wall time.
        config: Its config as plain values.
        notes: What its pipeline said.
    """

    sweep: str
    number: int
    overrides: dict[str, str]
    score: float | None
    error: str
    seconds: float
    config: dict[str, Any]
    notes: Notes = field(default_factory=Notes)

    @property
    def state(self) -> str:
        """In one word: failed, reused or finished."""
        return "failed" if self.error else "reused" if self.notes.is_reused else "finished"


def write_trial(trial: Trial, folder: Path) -> None:
    """Write a trial's file into its folder."""
    (folder / FILE).write_text(json.dumps(asdict(trial), indent=1), encoding="utf-8")


def read_trials(folder: Path, sweep: str) -> list[Trial]:
    """Return the trials of a sweep that have ended, in their order.

    Args:
        folder: The sweep's; the trials' folders are below it.
        sweep: Its id.
    """
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.rglob(FILE)]
    trials = [Trial(**item | {"notes": Notes(**item["notes"])}) for item in found]
    return sorted((one for one in trials if one.sweep == sweep), key=lambda one: one.number)
