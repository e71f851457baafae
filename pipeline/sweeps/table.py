"""The trials of a sweep as rows, and what there is to say about them."""

import shlex
from collections.abc import Mapping

from pipeline.report import format_seconds, format_table
from pipeline.sweeps.ranking import Sweep, alias_of, varying
from pipeline.sweeps.trial import Trial


def header(sweep: Sweep) -> list[str]:
    """Return the names of the columns."""
    return ["trial", *varying(sweep.trials).values(), sweep.metric, "time", "model", "state"]


def rows(sweep: Sweep) -> list[tuple[Trial, list[str]]]:
    """Return the trials, the best first and those without a score last, each with its cells."""
    scored = sweep.scored
    others = [trial for trial in sweep.trials if trial not in scored]
    return [(trial, _cells(sweep, trial)) for trial in [*scored, *others]]


def _cells(sweep: Sweep, trial: Trial) -> list[str]:
    return [
        str(trial.number),
        *(trial.overrides.get(key, "-") for key in varying(sweep.trials)),
        show_score(trial),
        format_seconds(trial.seconds),
        trial.notes.model or "-",
        trial.state,
    ]


def show_score(trial: Trial) -> str:
    """Return a trial's score with its standard error.

    A score of 0.93 and an error of 0.004 give 0.9300 ± 0.0040.
    """
    if trial.score is None:
        return "-"
    error = trial.notes.standard_error
    return f"{trial.score:.4f}" + (f" ± {error:.4f}" if error is not None else "")


def show_table(sweep: Sweep) -> str:
    """Return the table of trials for the terminal, with the reasons of those that failed."""
    parts = [format_table(header(sweep), [cells for _, cells in rows(sweep)])]
    return "\n\n".join([f"Sweep {sweep.name}: {headline(sweep)}", *parts, *_reasons(sweep)])


def _reasons(sweep: Sweep) -> list[str]:
    """Say why trials failed, each reason once."""
    by_reason: dict[str, list[str]] = {}
    for trial in sweep.failed:
        by_reason.setdefault(trial.error, []).append(str(trial.number))
    return [
        f"Trial{'s' * (len(numbers) > 1)} {', '.join(numbers)} failed: {reason}"
        for reason, numbers in by_reason.items()
    ]


def headline(sweep: Sweep) -> str:
    """Say in one line how many trials there were, and in which order they stand."""
    count, failed = len(sweep.trials), len(sweep.failed)
    said = f"{count} trial{'s' * (count != 1)}, {failed} failed"
    if sweep.best is None:
        return said
    order = "highest" if sweep.maximize else "lowest"
    return f"{said}; by {sweep.metric} on the validation split, the {order} first"


def name_best(sweep: Sweep, best: Trial) -> str:
    """Say which trial is the best, and where its model is to be found."""
    model = best.notes.model
    where = f": {model}, now tagged {alias_of(sweep.name)}" if model else ""
    return f"The best is trial {best.number}{where}."


def compare(sweep: Sweep) -> str | None:
    """Say which trials are as good as the best one, and which of them is simpler.

    Returns:
        A sentence; None if no standard error is known.
    """
    near = sweep.near_best()
    if not near:
        return None
    error = f"one standard error ({near[0].notes.standard_error:.4f})"
    if len(near) == 1:
        return f"No other trial is within {error} of it."
    some = "1 other trial is" if len(near) == 2 else f"{len(near) - 1} other trials are"
    others = f"{some} within {error} of it"
    simpler = sweep.simplest_near_best()
    if simpler is None:
        return f"{others}, none of them simpler."
    return (
        f"{others}. The simplest of them is trial {simpler.number} ({describe(sweep, simpler)}) "
        f"with {simpler.score:.4f}: {simpler.notes.model or 'not exported'}."
    )


def describe(sweep: Sweep, trial: Trial) -> str:
    """Return what sets a trial apart, such as max_depth=8."""
    names = varying(sweep.trials)
    return ", ".join(f"{name}={trial.overrides.get(key, '-')}" for key, name in names.items())


def to_command(sweep: Sweep, overrides: Mapping[str, str]) -> str:
    """Return the line for a shell that runs the pipeline with a sweep's config and overrides."""
    words = [f"{key}={value}" for key, value in overrides.items()]
    return shlex.join(["python", "main.py", *sweep.options, *words])
