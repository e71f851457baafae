"""Tables of what was measured, and the aims that they are held against."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.timing import Measured

# Runs by part, one a round: the n-th of each part belong to the same round.
Rounds = Mapping[str, Sequence[float]]
KINDS = ("interpreter", "import_wandb", "import_other", "wandb", "work", "exit")


@dataclass(frozen=True)
class Aim:
    """Something that a figure should be.

    Attributes:
        text: What it says.
        parts: Parts that it compares.
        figure: Computes the figure from one round's seconds of these parts.
        limit: What the median of the figure must not exceed.
        unit: What the figure is counted in.
    """

    text: str
    parts: tuple[str, ...]
    figure: Callable[..., float]
    limit: float
    unit: str


AIMS = (
    Aim("python main.py / floor", ("main", "floor"), lambda a, b: a / b, 1.15, "times"),
    Aim("mlflow run . - python main.py", ("mlflow", "main"), lambda a, b: a - b, 2.0, "s"),
    Aim("python main.py / DVC", ("main", "dvc"), lambda a, b: a / b, 1.0, "times"),
    Aim("python main.py / Metaflow", ("main", "metaflow"), lambda a, b: a / b, 1.0, "times"),
    Aim("first run from nothing", ("first",), lambda a: a, 90.0, "s"),
)


def compare(rounds: Rounds, labels: Mapping[str, str]) -> str:
    """Tabulate each contestant's median, spread, and median ratio to the first one's."""
    base = rounds[next(iter(rounds))]
    rows = [
        (
            labels[part],
            f"{median(seconds):.2f}",
            f"{min(seconds):.2f} - {max(seconds):.2f}",
            f"{median(map(_ratio, seconds, base)):.2f}",
        )
        for part, seconds in rounds.items()
    ]
    return format_table(("six steps by", "median s", "from - to", "ratio"), rows)


def _ratio(one: float, other: float) -> float:
    return one / other


def check_aims(rounds: Rounds) -> str:
    """Tabulate the aims whose parts were measured: median over the rounds, limit, verdict."""
    rows = []
    for aim in AIMS:
        if all(part in rounds for part in aim.parts):
            figure = median(map(aim.figure, *(rounds[part] for part in aim.parts)))
            verdict = "holds" if figure <= aim.limit else "missed"
            rows.append((aim.text, f"{figure:.2f}", f"{aim.limit:g} {aim.unit}", verdict))
    return format_table(("aim", "measured", "at most", ""), rows) if rows else ""


@dataclass(frozen=True)
class TracedStep:
    """One run of a step.

    Attributes:
        measured: Its wall time and peak memory.
        seconds: Seconds by kind, as trace_step.py writes them.
    """

    measured: Measured
    seconds: Mapping[str, float]

    def spent(self, kind: str) -> float:
        """Return the seconds of one kind; exit is what no other accounts for."""
        if kind == "exit":
            return self.measured.seconds - sum(self.seconds.values())
        return self.seconds.get(kind, 0.0)


def tabulate_steps(steps: Mapping[str, Sequence[TracedStep]]) -> str:
    """Tabulate where each step's time goes: medians over its runs, and the largest peak memory."""
    rows, sums = [], [0.0] * (len(KINDS) + 1)
    for name, runs in steps.items():
        values = [median(run.spent(kind) for run in runs) for kind in KINDS]
        values.append(median(run.measured.seconds for run in runs))
        sums = [total + value for total, value in zip(sums, values, strict=True)]
        memory = max(run.measured.peak_bytes for run in runs) / 1e6
        rows.append((name, *(f"{value:.2f}" for value in values), f"{memory:.0f} MB"))
    rows.append(("all", *(f"{value:.2f}" for value in sums), ""))
    header = ("step", "python", "import wandb", "imports", "W&B", "work", "exit", "all", "memory")
    return format_table(header, rows)


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns, numbers to the right."""
    table = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table
    ]
    rule = " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]])
