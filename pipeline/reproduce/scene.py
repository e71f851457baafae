"""Does recorded steps again beside the original, and compares what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.registry import FinishedRun, Version
from pipeline.reproduce.compare import (
    IDENTICAL,
    Level,
    Verdict,
    combine,
    compare_folders,
    compare_metrics,
)
from pipeline.reproduce.history import Project, StepRun
from pipeline.reproduce.inputs import find_source, hand_over
from pipeline.reproduce.replay import Part, Replay
from pipeline.root import ROOT
from pipeline.wandb_target import WandbTarget

DOWNLOAD = "download"


@dataclass(frozen=True)
class Line:
    """One thing that was compared.

    Attributes:
        step: Who made it.
        thing: Name of the artifact, or how many metrics.
        verdict: How much it is the same; None for what was taken as it was.
    """

    step: str
    thing: str
    verdict: Verdict | None


@dataclass(frozen=True)
class Scene:
    """Where the original is, and where it is done again.

    Attributes:
        original: The project that holds what was made then.
        replay: Runs pipelines apart.
        place: The W&B apart.
        name: Name of the project in there.
        say: Tells a person a line.
    """

    original: Project
    replay: Replay
    place: WandbTarget
    name: str
    say: Callable[[str], None]

    def run(self, part: Part, project: Path) -> list[str]:
        """Run the steps of a part again, with the inputs that they had.

        Args:
            part: The steps.
            project: The project's folder in a checkout of their code.

        Returns:
            Runs, by their ids, whose artifacts were taken as they were instead.

        Raises:
            ReproduceError: A step failed.
        """
        settings: dict[str, Any] = {
            "main.project_name": self.name,
            "check_data.reference_artifact": None,
        }
        taken = []
        for step in part.steps:
            if step.reference:
                settings["check_data.reference_artifact"] = self._hand_over(step.reference)
            if step.name == DOWNLOAD:
                found = self._find_source(part, step, project)
                settings |= found
                taken += [] if found else [step.run_id]
        names = [step.name for step in part.steps if step.run_id not in taken]
        if names:
            self.replay.run(part, project, names, settings)
        return taken

    def _find_source(self, part: Part, step: StepRun, project: Path) -> dict[str, str]:
        """Return settings that lead to the data as they were; none if the artifact stands in."""
        (raw,) = step.finished.versions.values()
        digest = str(self.original.artifact(raw.name).metadata["sha256"])
        url = part.record.config["dataset"]["url"]
        source = find_source(url, digest, [project, ROOT])
        if source.url:
            self.say(f"Raw data: downloaded from {source.said}\n")
            return {"dataset.url": source.url, "dataset.sha256": digest}
        self.say(f"Raw data: the recorded artifact {raw.name}, because {source.said}\n")
        self._hand_over(raw.name)
        return {}

    def _hand_over(self, version: str) -> str:
        return hand_over(self.original, version, self.place, self.name)

    def compare(
        self, steps: list[StepRun], taken: list[str], tolerance: float, folder: Path
    ) -> list[Line]:
        """Compare all that was made with what was made then.

        Args:
            steps: The steps, in the order in which they ran.
            taken: Those, by their ids, whose artifacts were taken as they were.
            tolerance: Difference of numbers that counts as equal, see `compare_numbers`.
            folder: Where files that differ are put.
        """
        again = Project(self.place, self.name)
        runs = {name: again.list_runs(name) for name in {step.name for step in steps}}
        twins = {
            step.run_id: again.read_run(runs[step.name].pop(0))
            for step in steps
            if step.run_id not in taken
        }
        renamed = _rename(steps, twins)
        lines: list[Line] = []
        for step in steps:
            twin = twins.get(step.run_id)
            for then in step.finished.versions.values():
                compared = (then, again, renamed, tolerance, folder)
                verdict = self._compare(twin, *compared) if twin else None
                lines.append(Line(step.name, then.name, verdict))
            if twin:
                verdicts = compare_metrics(step.finished.summary, twin.summary, tolerance)
                count = f"{len(verdicts)} metrics" if len(verdicts) > 1 else "1 metric"
                lines += [Line(step.name, count, combine(verdicts))] if verdicts else []
        return lines

    def _compare(
        self,
        twin: FinishedRun,
        then: Version,
        again: Project,
        renamed: dict[str, str],
        tolerance: float,
        folder: Path,
    ) -> Verdict:
        now = twin.versions.get(then.name.partition(":")[0])
        if now is None:
            return Verdict(Level.different, ("not made this time",))
        if now.digest == then.digest:
            return IDENTICAL
        place = folder / "compared" / then.name.replace(":", "-")
        self.original.artifact(then.name).download(root=str(place / "then"))
        again.artifact(now.name).download(root=str(place / "now"))
        return compare_folders(place / "then", place / "now", renamed, tolerance)


def _rename(steps: list[StepRun], twins: dict[str, FinishedRun]) -> dict[str, str]:
    """Return the names of versions then, by their names now."""
    return {
        twins[step.run_id].versions[name].name: then.name
        for step in steps
        if step.run_id in twins
        for name, then in step.finished.versions.items()
        if name in twins[step.run_id].versions
    }
