"""The part of the model card that tells where the model errs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markup import image, mark, matrix, note, section, signed, span, strip, table, text
from resampling import find_interval
from results import Results
from settings import Settings

Values = np.ndarray[Any, Any]

# Classes up to which the confusion matrix is shown whole.
LARGEST_MATRIX = 30
# Pairs of classes that are listed as taken for each other.
CONFUSIONS = 8


def show_classes(settings: Settings, results: Results) -> str:
    """Show precision, recall and F1 of each class."""
    decision, resampled = results.decision, results.evaluation.resampled
    f1 = resampled.f1 if resampled else None
    comparison = decision.champion.comparison if decision.champion else None
    fallen = {part.name for part in decision.fallen}
    columns = [
        ("class", "text"),
        *((name, "number") for name in ("test rows", "precision", "recall", "F1")),
        (settings.level, "number"),
    ]
    if comparison:
        columns += [("before", "number"), ("change", "number")]
    columns.append(("F1 from 0 to 1", "text"))
    rows = []
    for number, facts in enumerate(results.findings.details.to_dict("records")):
        interval = None if f1 is None else find_interval(f1[number], settings.confidence)
        row = [text(facts["class"]), f"{facts['support']:,}"]
        row += [f"{value:.3f}" for value in (facts["precision"], facts["recall"], facts["f1"])]
        row.append(span(interval))
        before = comparison.parts[number].before if comparison else None
        if before is not None:
            row += [f"{before:.3f}", signed(facts["f1"] - before, facts["class"] in fallen)]
        row.append(strip((0, 1), facts["f1"], interval, before))
        rows.append(row)
    legend = '<p class="note"><span class="key"></span>this model, with its interval'
    if decision.champion and comparison:
        legend += f'<span class="key other"></span>{text(decision.champion.name)}'
    return section("Class by class", table(columns, rows), f"{legend}</p>", limit_note(settings))


def show_confusions(counts: Values, labels: Sequence[str]) -> str:
    """Show which class was taken for which."""
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    places = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    most = [
        f"{text(labels[a])} taken for {text(labels[b])} ({wrong[a, b]:,} of {counts[a].sum():,})"
        for a, b in (np.unravel_index(place, wrong.shape) for place in places)
        if wrong[a, b]
    ]
    sentence = f"Most often: {'; '.join(most)}." if most else "No row was taken for another class."
    heading = "Which class was taken for which"
    if len(labels) > LARGEST_MATRIX:
        return section(heading, f"<p>{sentence}</p>")
    axes = "Actual classes down, predicted ones across; shaded by share of the actual class."
    return section(heading, matrix(labels, counts), f"<p>{sentence}</p>", note(axes))


def show_errors(settings: Settings, results: Results) -> str:
    """Show a regression's errors: quantiles, quarters, and a picture."""
    decision, parts = results.decision, []
    quantiles = [
        [f"{row['quantile']:.0%}", f"{row['error']:.6g}", f"{row['absolute_error']:.6g}"]
        for row in results.findings.details.to_dict("records")
    ]
    names = ("quantile", "predicted - actual", "absolute error")
    parts.append(table([(name, "number") for name in names], quantiles))
    if decision.champion and decision.champion.comparison:
        columns = [("mean absolute error", "text"), ("test rows", "number")]
        columns += [("before", "number"), ("now", "number"), ("change", "number")]
        rows = [
            [
                text(part.name),
                f"{part.rows:,}",
                f"{part.before:.6g}",
                f"{part.after:.6g}",
                mark(f"{part.fall:+.1%}", -part.fall, part in decision.fallen),
            ]
            for part in decision.champion.comparison.parts
        ]
        parts += ["<h3>Quarter by quarter of the actual values</h3>", table(columns, rows)]
        parts.append(limit_note(settings))
    about = "predicted over actual values"
    parts += [f"<h3>{about.capitalize()}</h3>", image(results.findings.picture, about)]
    return section("Errors", *parts)


def limit_note(settings: Settings) -> str:
    """Say how far a class may fall."""
    if settings.max_class_regression is None:
        return note("No limit is set for the fall of a class (max_class_regression).")
    limit = settings.max_class_regression
    what = (
        f"the F1 of no class may fall by more than {limit:g}"
        if settings.task == "classification"
        else f"the mean absolute error of no quarter may rise by more than {100 * limit:g} %"
    )
    return note(f"To be promoted, {what} (max_class_regression).")
