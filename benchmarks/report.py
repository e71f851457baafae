"""Tables of what was measured, and the aims that they are held against."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.timing import Measured

# Runs by part, one a round: the n-th of each part belong to the same round.
Rounds = Mapping[str, Sequence[float]]
MOST_GROWTH = 11.0  # of time and memory, with ten times the rows
BIG_LABELS = {"main": "python main.py", "single": "one script, no tracking"}
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


def _itself(one: float) -> float:
    return one


def _ratio(one: float, other: float) -> float:
    return one / other


def _difference(one: float, other: float) -> float:
    return one - other


# Figures of a full run are named by their part alone, those of big by size, unit and program.
_BIG = "10 times the rows"
AIMS = (
    Aim("python main.py / floor", ("main", "floor"), _ratio, 1.15, "times"),
    Aim("mlflow run . - python main.py", ("mlflow", "main"), _difference, 2.0, "s"),
    Aim("python main.py / DVC", ("main", "dvc"), _ratio, 1.0, "times"),
    Aim("python main.py / Metaflow", ("main", "metaflow"), _ratio, 1.0, "times"),
    Aim("python main.py / Kedro", ("main", "kedro"), _ratio, 1.0, "times"),
    Aim("unchanged: python main.py", ("unchanged main",), _itself, 1.2, "s"),
    Aim("depth: python main.py / DVC", ("depth main", "depth dvc"), _ratio, 1.0, "times"),
    Aim("depth: python main.py / Metaflow", ("depth main", "depth metaflow"), _ratio, 1.0, "times"),
    Aim("depth: python main.py / Kedro", ("depth main", "depth kedro"), _ratio, 1.0, "times"),
    Aim("trials: python main.py / joblib", ("trials main", "trials joblib"), _ratio, 2.0, "times"),
    Aim("trials: python main.py / DVC", ("trials main", "trials dvc"), _ratio, 1.0, "times"),
    Aim(
        "trials: python main.py / Metaflow",
        ("trials main", "trials metaflow"),
        _ratio,
        1.0,
        "times",
    ),
    Aim(f"{_BIG}: time", ("x10 s main", "x1 s main"), _ratio, MOST_GROWTH, "times"),
    Aim(f"{_BIG}: memory", ("x10 MB main", "x1 MB main"), _ratio, MOST_GROWTH, "times"),
    Aim(f"{_BIG}: memory / one script", ("x10 MB main", "x10 MB single"), _ratio, 1.0, "times"),
    Aim("first run from nothing", ("first main",), _itself, 90.0, "s"),
    Aim("first run / DVC", ("first main", "first dvc"), _ratio, 1.0, "times"),
    Aim("first run / Metaflow", ("first main", "first metaflow"), _ratio, 1.0, "times"),
    Aim("first run / Kedro", ("first main", "first kedro"), _ratio, 1.0, "times"),
)


def compare(rounds: Rounds, labels: Mapping[str, str], title: str) -> str:
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
    return format_table((title, "median s", "from - to", "ratio"), rows)


def compare_situations(
    rounds: Mapping[str, Rounds], labels: Mapping[str, str], titles: Mapping[str, str]
) -> str:
    """Tabulate each contestant in each situation: median, and median ratio to the first one's.

    Args:
        rounds: By situation; the first contestant stands in all of them.
        labels: What the table calls a contestant, in the order of its rows.
        titles: What it calls a situation.
    """
    first = next(iter(labels))
    rows = [
        [
            label,
            *(cell for found in rounds.values() for cell in _beside(found.get(name), found[first])),
        ]
        for name, label in labels.items()
    ]
    columns = [word for situation in rounds for word in (titles[situation], "ratio")]
    return format_table(("seconds", *columns), rows)


def _beside(seconds: Sequence[float] | None, base: Sequence[float]) -> tuple[str, str]:
    if seconds is None:
        return "-", "-"
    return f"{median(seconds):.2f}", f"{median(map(_ratio, seconds, base)):.2f}"


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


def tabulate_growth(growth: Mapping[int, Mapping[str, Sequence[Measured]]]) -> str:
    """Tabulate time and peak memory on tables of two sizes: medians, and medians of ratios.

    Args:
        growth: Runs, one a round, by the size of the table (times as many rows) and by what ran.
    """
    small, large = sorted(growth)
    rows = []
    for name, runs in growth[small].items():
        cells = [BIG_LABELS.get(name, name)]
        grown = []
        for read, digits in ((_seconds, 2), (_megabytes, 0)):
            pair = [[read(run) for run in found] for found in (runs, growth[large][name])]
            grown.append(median(map(_ratio, pair[1], pair[0])))
            cells += [f"{median(values):.{digits}f}" for values in pair] + [f"{grown[-1]:.1f}"]
        rows.append((*cells, "holds" if max(grown) <= MOST_GROWTH else "missed"))
    sizes = (f"x{small}", f"x{large}")
    seconds, memory = ([f"{size} {unit}" for size in sizes] for unit in ("s", "MB"))
    header = ("step", *seconds, "times", *memory, "times", f"at most {MOST_GROWTH:g} times")
    return format_table(header, rows)


def flatten_growth(
    growth: Mapping[int, Mapping[str, Sequence[Measured]]],
) -> dict[str, list[float]]:
    """Return figures by name, such as "x10 MB main", one a round."""
    return {
        f"x{size} {unit} {name}": [read(run) for run in runs]
        for size, by_name in growth.items()
        for name, runs in by_name.items()
        for unit, read in (("s", _seconds), ("MB", _megabytes))
    }


def _seconds(run: Measured) -> float:
    return run.seconds


def _megabytes(run: Measured) -> float:
    return run.peak_bytes / 1e6


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns, numbers to the right."""
    table = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table
    ]
    rule = " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]])
