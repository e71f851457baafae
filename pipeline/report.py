"""What a person sees: which step is at work, and in the end what came of it."""

import logging
from collections.abc import Sequence

from pipeline.console import tell
from pipeline.schema import Config
from pipeline.steps import Step, StepResult
from pipeline.wandb_target import WandbTarget

logger = logging.getLogger(__name__)

VALIDATION, TEST = "val/", "test/"


def format_seconds(seconds: float) -> str:
    """Return a duration for people, such as 2.1 s or 3 min 5 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns below an underlined header."""
    table = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


class Report:
    """Collects the results of the steps and tells about them."""

    def __init__(self, target: WandbTarget, config: Config) -> None:
        self._target, self._config = target, config
        self._names: list[str] = []
        self._results: list[StepResult] = []

    def begin(self, names: list[str]) -> None:
        """Say what is going to run, and where it is kept."""
        self._names = names
        logger.info(
            "W&B: %s (%s)\nProject %s, experiment %s: %s\n",
            self._target.address,
            self._target.reason,
            self._config.main.project_name,
            self._config.main.experiment_name,
            " > ".join(names),
        )

    def start_step(self, step: Step, why: str) -> None:
        """Say which step is at work, and why it has to run; an empty reason goes without saying."""
        inputs = ", ".join(artifact.version.name for artifact in step.inputs if artifact.version)
        takes, reason = f" takes {inputs}" if inputs else "", f" ({why})" if why else ""
        logger.info("%s%s%s", self._position(step.name), takes, reason)

    def plan(self, step: Step, plan: str) -> None:
        """Say what would happen with a step."""
        logger.info("%s %s", self._position(step.name), plan)

    def _position(self, name: str) -> str:
        return f"[{self._names.index(name) + 1}/{len(self._names)}] {name}"

    def add(self, result: StepResult) -> None:
        """Take a step's result and say what it made."""
        self._results.append(result)
        if result.status == "done":
            made = f", made {', '.join(result.versions)}" if result.versions else ""
            logger.info("      %s%s\n", format_seconds(result.seconds), made)
        elif result.status == "reused":
            made = f": {', '.join(result.versions)}" if result.versions else ""
            logger.info("%s reused from %s%s", self._position(result.name), result.note, made)
        else:
            logger.info("%s %s: %s\n", self._position(result.name), result.status, result.note)

    @property
    def results(self) -> Sequence[StepResult]:
        """What came of the steps so far."""
        return self._results

    def metrics(self) -> dict[str, float]:
        """Return all numbers named val/... and test/..."""
        return {
            name: float(value)
            for result in self._results
            for name, value in result.summary.items()
            if name.startswith((VALIDATION, TEST)) and isinstance(value, int | float)
        }

    @property
    def validation_score(self) -> float | None:
        """Score on the validation split by the first metric; None if nothing was trained."""
        return self.metrics().get(f"{VALIDATION}{self._config.metrics[0]}")

    def end(self) -> None:
        """Print the summary, with the address of the project's page if a step ran.

        The link that signs in goes to the terminal alone: what is logged, Hydra keeps in a file.
        """
        steps = format_table(
            ("step", "time", "rows", "made"), [_row(result) for result in self._results]
        )
        parts = [steps, self._scores(), self._promotion()]
        # Below a step that ran there is an empty line already.
        gap = "\n" if self._results[-1].status == "reused" else ""
        logger.info("%s%s\n", gap, "\n\n".join(part for part in parts if part is not None))
        pages = [result.page for result in self._results if result.page]
        if pages:
            tell(f"See it at {self._target.sign_in(pages[-1])}")

    def _scores(self) -> str | None:
        metrics = self.metrics()
        if not metrics:
            return None
        rows = [
            (name, *(_score(metrics.get(split + name)) for split in (VALIDATION, TEST)))
            for name in self._config.metrics
        ]
        return format_table(("metric", "validation", "test"), rows)

    def _promotion(self) -> str | None:
        """Say who holds the production alias now, and why."""
        found = [r.summary for r in self._results if "promotion/reason" in r.summary]
        if not found:
            return None
        alias, facts = self._config.evaluate.production_alias, found[0]
        challenger, champion = facts["promotion/challenger"], facts.get("promotion/champion")
        if facts["promotion/promoted"]:
            state = f"{challenger} is now tagged {alias}"
        elif champion:
            state = f"{champion} stays tagged {alias}"
        else:
            state = f"No version is tagged {alias}"
        return f"{state}: {facts['promotion/reason']}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _row(result: StepResult) -> tuple[str, ...]:
    if result.status == "skipped":
        return result.name, result.status, "", result.note
    rows = [
        f"{int(value):,} {name.removeprefix('rows/')}" if "/" in name else f"{int(value):,}"
        for name, value in sorted(result.summary.items())
        if name.split("/")[0] == "rows"
    ]
    return (
        result.name,
        format_seconds(result.seconds) if result.status == "done" else result.status,
        " + ".join(rows),
        ", ".join(result.versions),
    )
