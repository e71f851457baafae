"""Two models on the same test rows: who is better, by how much, and where one is worse."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from resampling import Interval, Resampled, find_interval
from sklearn.metrics import f1_score

Values = np.ndarray[Any, Any]

QUARTERS = ("lowest", "second", "third", "highest")


@dataclass(frozen=True)
class Evaluation:
    """A model on the test rows.

    Attributes:
        scores: Score by metric.
        predicted: Prediction for each row.
        resampled: Its scores on draws of the rows; None if none were made.
    """

    scores: dict[str, float]
    predicted: Values
    resampled: Resampled | None


@dataclass(frozen=True)
class Part:
    """A class, or for numbers a quarter of the rows, and how good both models are there.

    Attributes:
        name: The class, or the quarter with its bounds.
        measure: What is measured: F1, or mean absolute error.
        rows: Number of test rows.
        before: Of the champion.
        after: Of the challenger.
        fall: How much worse the challenger is: the difference of F1, or the relative rise of the
            error; negative if it is better.
    """

    name: str
    measure: str
    rows: int
    before: float
    after: float
    fall: float

    def __str__(self) -> str:
        """Say it in words."""
        if self.measure == "F1":
            change = f"fell from {self.before:.4f} to {self.after:.4f}"
        else:
            change = f"rose from {self.before:.6g} to {self.after:.6g} ({self.fall:+.1%})"
        return f"{self.measure} of {self.name} {change} ({self.rows} test rows)"


@dataclass(frozen=True)
class Leak:
    """What is known of test rows among those that a model was trained on.

    Attributes:
        rows: Their number; None if the data that it was trained on are gone.
        told: That in a sentence, for people.
    """

    rows: int | None
    told: str


@dataclass(frozen=True)
class Comparison:
    """The champion beside the challenger.

    Attributes:
        scores: The champion's score by metric.
        differences: By metric, the interval of the challenger's score minus the champion's; None
            if none was made.
        parts: Class by class or quarter by quarter.
        leak: Test rows that the champion has met in training; None if it has met none.
    """

    scores: dict[str, float]
    differences: dict[str, Interval | None]
    parts: Sequence[Part]
    leak: Leak | None = None


def find_intervals(evaluation: Evaluation, confidence: float) -> dict[str, Interval | None]:
    """Return by metric where the score lies; nothing if there are no draws."""
    drawn = evaluation.resampled.scores if evaluation.resampled else {}
    return {name: find_interval(scores, confidence) for name, scores in drawn.items()}


def compare(
    challenger: Evaluation,
    champion: Evaluation,
    actual: Values,
    classes: Values | None,
    confidence: float,
    leak: Leak | None = None,
) -> Comparison:
    """Compare two models on the same rows.

    Args:
        challenger: The model at hand.
        champion: The one in production, with the same metrics and draws.
        actual: What the rows hold.
        classes: Classes that both know; None for numbers.
        confidence: Of the intervals.
        leak: Test rows that the champion has met in training.
    """
    predicted = champion.predicted, challenger.predicted
    return Comparison(
        scores=champion.scores,
        differences=find_differences(challenger.resampled, champion.resampled, confidence),
        parts=(
            compare_quarters(actual, *predicted)
            if classes is None
            else compare_classes(actual, *predicted, classes)
        ),
        leak=leak,
    )


def find_differences(
    challenger: Resampled | None, champion: Resampled | None, confidence: float
) -> dict[str, Interval | None]:
    """Return by metric the interval of the difference, draw by draw (the paired bootstrap)."""
    if challenger is None or champion is None:
        return {}
    return {
        name: find_interval(scores - champion.scores[name], confidence)
        for name, scores in challenger.scores.items()
    }


def compare_classes(actual: Values, before: Values, after: Values, classes: Values) -> list[Part]:
    """Compare two models class by class, by F1: missing a class counts, and crying wolf, too.

    Args:
        actual: Class of each row.
        before: The champion's predictions.
        after: The challenger's.
        classes: Classes to compare.
    """
    old, new = (
        f1_score(actual, predicted, labels=classes, average=None, zero_division=0)
        for predicted in (before, after)
    )
    return [
        Part(str(name), "F1", int(np.sum(actual == name)), float(was), float(now), float(was - now))
        for name, was, now in zip(classes, old, new, strict=True)
    ]


def compare_quarters(actual: Values, before: Values, after: Values) -> list[Part]:
    """Compare two models in each quarter of the rows by actual value, by mean absolute error.

    Args:
        actual: Number of each row.
        before: The champion's predictions.
        after: The challenger's.
    """
    bounds = np.quantile(actual, [0, 0.25, 0.5, 0.75, 1])
    groups = np.searchsorted(bounds[1:-1], actual, side="right")
    parts = []
    for number, name in enumerate(QUARTERS):
        rows = groups == number
        if not rows.any():
            continue  # many equal values leave a quarter empty
        was, now = (float(np.abs(guess - actual)[rows].mean()) for guess in (before, after))
        fall = now / was - 1 if was else (float("inf") if now else 0.0)
        place = f"the {name} quarter ({bounds[number]:.6g} to {bounds[number + 1]:.6g})"
        parts.append(Part(place, "mean absolute error", int(rows.sum()), was, now, fall))
    return parts


def find_fallen(parts: Sequence[Part], limit: float | None) -> list[Part]:
    """Return the parts that are worse by more than the limit, worst first; None sets no limit."""
    if limit is None:
        return []
    # Rounded: 0.8 - 0.7 is a little more than 0.1.
    fallen = [part for part in parts if round(part.fall, 9) > limit]
    return sorted(fallen, key=lambda part: -part.fall)
