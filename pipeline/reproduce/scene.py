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
from pipeline.reproduce.errors import ReproduceError
from pipeline.reproduce.history import Project, StepRun
from pipeline.reproduce.inputs import find_source, hand_over
from pipeline.reproduce.replay import Part, Replay
from pipeline.root import ROOT

DOWNLOAD = "download"
CARD = "model_card"  # type of the artifact


@dataclass(frozen=True)
class Line:
    """One thing that was compared.

    Attributes:
        step: Who made it.
        thing: Name of the artifact, or how many metrics.
        verdict: How much it is the same; None for what isn't compared.
        aside: Why it isn't.
    """

    step: str
    thing: str
    verdict: Verdict | None
    aside: str = ""


def list_given(steps: list[StepRun], names: dict[str, str]) -> list[str]:
    """Return the versions that steps take, but for those of artifacts that one of them makes.

    Args:
        steps: Of one pipeline run.
        names: Versions now, by versions then. Steps of another run may have made the same ones as
            these steps make again.
    """
    # Without a version, a parameter names an artifact that its step makes.
    made = {value for step in steps for value in step.parameters.values()}
    taken = {name for step in steps for name in step.inputs if name.partition(":")[0] not in made}
    return sorted(names[name] for name in taken if name in names)


class Scene:
    """Where the original is, and where it is done again."""

    def __init__(
        self, original: Project, replay: Replay, again: Project, say: Callable[[str], None]
    ) -> None:
        """Take the two sides.

        Args:
            original: The project that holds what was made then.
            replay: Runs pipelines apart.
            again: The project, in the W&B apart, that gets what is made now.
            say: Tells a person a line.
        """
        self._original, self._replay, self._again, self._say = original, replay, again, say
        self._twins: dict[str, FinishedRun] = {}  # runs now, by the ids of runs then
        self._names: dict[str, str] = {}  # versions now, by versions then

    def run(self, part: Part, project: Path) -> None:
        """Run the steps of a part again, with the inputs that they had.

        Args:
            part: The steps.
            project: The project's folder in a checkout of their code.

        Raises:
            ReproduceError: A step failed.
        """
        settings: dict[str, Any] = {
            "main.project_name": self._again.name,
            "check_data.reference_artifact": None,
        }
        steps = list(part.steps)
        for step in part.steps:
            if step.reference:
                settings["check_data.reference_artifact"] = self._hand_over(step.reference)
            if step.name == DOWNLOAD:
                found = self._find_source(part, step, project)
                settings |= found
                if not found:
                    steps.remove(step)
        if "versions" in part.record.config["main"]:
            settings["main.versions"] = list_given(steps, self._names)
        if steps:
            self._replay.run(part, project, [step.name for step in steps], settings)
        for step in steps:
            self._find_twin(step)

    def _find_twin(self, step: StepRun) -> None:
        known = {twin.run_id for twin in self._twins.values()}
        (run_id,) = [found for found in self._again.list_runs(step.name) if found not in known]
        twin = self._again.read_run(run_id)
        self._twins[step.run_id] = twin
        for name, then in step.finished.versions.items():
            if name in twin.versions:
                self._names[then.name] = twin.versions[name].name

    def _find_source(self, part: Part, step: StepRun, project: Path) -> dict[str, str]:
        """Return settings that lead to the data as they were; none if the artifact stands in."""
        raw = next(iter(step.finished.versions.values()), None)
        if raw is None:
            raise ReproduceError(f"The raw data of the run {step.run_id} were deleted from W&B.")
        # None, if somebody else's download made it.
        digest = self._original.artifact(raw.name).metadata.get("sha256")
        url = part.record.config["dataset"]["url"]
        source = find_source(url, digest, [project, ROOT])
        if source.url and digest:
            self._say(f"Raw data: downloaded from {source.said}\n")
            return {"dataset.url": source.url, "dataset.sha256": digest}
        self._say(f"Raw data: the recorded artifact {raw.name}, because {source.said}\n")
        self._names[raw.name] = self._hand_over(raw.name)
        return {}

    def _hand_over(self, version: str) -> str:
        return hand_over(self._original, version, self._again)

    def compare(self, steps: list[StepRun], tolerance: float, folder: Path) -> list[Line]:
        """Compare all that was made with what was made then.

        Args:
            steps: The steps, in the order in which they ran.
            tolerance: Difference of numbers that counts as equal, see `compare_numbers`.
            folder: Where files that differ are put.
        """
        lines: list[Line] = []
        for step in steps:
            twin = self._twins.get(step.run_id)
            for then in step.finished.versions.values():
                if twin is None:
                    lines.append(Line(step.name, then.name, None, "taken as recorded"))
                elif self._original.artifact(then.name).type == CARD:
                    # Nothing is in production where this runs.
                    aside = "not compared: it tells of a decision"
                    lines.append(Line(step.name, then.name, None, aside))
                else:
                    verdict = self._compare(twin, then, tolerance, folder)
                    lines.append(Line(step.name, then.name, verdict))
            if twin:
                verdicts = compare_metrics(step.finished.summary, twin.summary, tolerance)
                count = f"{len(verdicts)} metrics" if len(verdicts) > 1 else "1 metric"
                lines += [Line(step.name, count, combine(verdicts))] if verdicts else []
        return lines

    def _compare(self, twin: FinishedRun, then: Version, tolerance: float, folder: Path) -> Verdict:
        now = twin.versions.get(then.name.partition(":")[0])
        if now is None:
            return Verdict(Level.different, ("not made this time",))
        if now.digest == then.digest:
            return IDENTICAL
        place = folder / "compared" / then.name.replace(":", "-")
        self._original.artifact(then.name).download(root=str(place / "then"))
        self._again.artifact(now.name).download(root=str(place / "now"))
        renamed = {now: then for then, now in self._names.items()}
        return compare_folders(place / "then", place / "now", renamed, tolerance)
