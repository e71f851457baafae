"""What the step is asked for: parameters as typed values, each one possible."""

import argparse
import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import wandb
import yaml
from promotion import PROMOTE

# Draws of the test rows below which an interval says little.
FEWEST_DRAWS = 100


class SettingsError(Exception):
    """A parameter asks for something that can't be done."""


@dataclass(frozen=True)
class Settings:
    """Parameters of the step that say how to judge a model.

    Attributes:
        task: classification or regression.
        target: Column to predict.
        metrics: Scorer names; the first one decides.
        thresholds: Lowest scores accepted, by metric.
        promote: One of PROMOTE.
        production_alias: Alias of the version in production.
        previous_alias: Alias of the version that was there before.
        max_class_regression: Largest fall of a class's F1 (of a regression: largest relative rise
            of the mean absolute error in a quarter of the rows); None sets no limit.
        resamples: Draws of the test rows for the intervals; 0 makes no intervals.
        confidence: Confidence of the intervals, in (0, 1).
        random_seed: Seed of the draws.
    """

    task: str
    target: str
    metrics: Sequence[str]
    thresholds: dict[str, float]
    promote: str
    production_alias: str
    previous_alias: str
    max_class_regression: float | None
    resamples: int
    confidence: float
    random_seed: int

    @property
    def level(self) -> str:
        """Name of the intervals, such as 95 % interval."""
        return f"{100 * self.confidence:g} % interval"


def read_settings(parameters: argparse.Namespace) -> Settings:
    """Check parameters and read what they name.

    Raises:
        SettingsError: One has a value that it can't have.
    """
    check_ranges(parameters)
    check_names(parameters)
    metrics = read_metrics(parameters.metrics)
    thresholds = read_thresholds(parameters.thresholds, metrics)
    limit = read_limit(parameters.max_class_regression)
    task, target = read_dataset(parameters.dataset)
    return Settings(
        task=task,
        target=target,
        metrics=metrics,
        thresholds=thresholds,
        promote=parameters.promote,
        production_alias=parameters.production_alias,
        previous_alias=parameters.previous_alias,
        max_class_regression=limit,
        resamples=parameters.resamples,
        confidence=parameters.confidence,
        random_seed=parameters.random_seed,
    )


def check_names(parameters: argparse.Namespace) -> None:
    """Check the names of aliases and of the artifact to make.

    Raises:
        SettingsError: One can't be.
    """
    if not parameters.production_alias:
        raise SettingsError("production_alias is empty: name the alias, such as prod.")
    if parameters.previous_alias in ("", parameters.production_alias):
        raise SettingsError(
            f"previous_alias={parameters.previous_alias!r}: name another alias than "
            f"{parameters.production_alias}, such as previous."
        )
    check_artifact_name("card_artifact", parameters.card_artifact)


def check_artifact_name(parameter: str, name: str) -> None:
    """Ask the SDK, before work starts, whether an artifact may have this name.

    Raises:
        SettingsError: It may not.
    """
    try:
        wandb.Artifact(name, type="any")
    except ValueError as error:
        raise SettingsError(f"{parameter}={name!r}: {error}") from error


def check_ranges(parameters: argparse.Namespace) -> None:
    """Check numbers and choices.

    Raises:
        SettingsError: One is outside of what is allowed.
    """
    if parameters.promote not in PROMOTE:
        raise SettingsError(
            f"promote={parameters.promote} is unknown: use one of {', '.join(PROMOTE)}."
        )
    if not 0 < parameters.confidence < 1:
        raise SettingsError(
            f"confidence={parameters.confidence}: use a number between 0 and 1, such as 0.95."
        )
    if parameters.resamples != 0 and parameters.resamples < FEWEST_DRAWS:
        raise SettingsError(
            f"resamples={parameters.resamples}: use at least {FEWEST_DRAWS}, such as 1000, or 0 "
            "for no intervals."
        )
    if parameters.promote == "if_clearly_better" and not parameters.resamples:
        raise SettingsError(
            "promote=if_clearly_better needs an interval, and resamples=0 makes none: use at "
            f"least {FEWEST_DRAWS}, or promote=if_better."
        )
    if not 0 <= parameters.random_seed < 2**32:
        raise SettingsError(f"random_seed={parameters.random_seed} is outside [0, 2**32).")


def read_limit(text: str) -> float | None:
    """Read the largest fall that a class may take; empty sets no limit.

    Raises:
        SettingsError: It is no number that can be one.
    """
    if not text:
        return None
    try:
        limit = float(text)
    except ValueError as error:
        raise SettingsError(
            f"max_class_regression={text!r}: write a number, such as 0.1, or nothing for no limit."
        ) from error
    if not (math.isfinite(limit) and limit >= 0):
        raise SettingsError(
            f"max_class_regression={text}: use a number of at least 0, such as 0.1, or nothing "
            "for no limit."
        )
    return limit


def read_metrics(text: str) -> list[str]:
    """Split scorer names at commas.

    Raises:
        SettingsError: There is none, or one isn't a scorer of scikit-learn.
    """
    from sklearn.metrics import get_scorer_names

    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise SettingsError("metrics is empty: name at least one scorer, such as accuracy.")
    known = get_scorer_names()
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known
            raise SettingsError(f"{name!r} is no scorer: did you mean {' or '.join(close)}?")
    return names


def read_thresholds(text: str, metrics: list[str]) -> dict[str, float]:
    """Read the lowest scores accepted, such as "accuracy=0.7,roc_auc_ovo=0.9".

    Args:
        text: Pairs of metric and number, separated by commas; empty sets none.
        metrics: Metrics that are computed, so that only these can have one.

    Raises:
        SettingsError: A pair can't be read, or its metric isn't computed.
    """
    thresholds = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, number = map(str.strip, pair.partition("="))
        if name not in metrics:
            raise SettingsError(
                f"thresholds names {name!r}, which isn't computed: use one of "
                f"{', '.join(metrics)}, or add it to metrics."
            )
        try:
            thresholds[name] = float(number)
        except ValueError as error:
            raise SettingsError(
                f"thresholds sets {name} to {number!r}: write it as {name}=0.9."
            ) from error
        if not math.isfinite(thresholds[name]):
            raise SettingsError(f"thresholds sets {name} to {number}: use a finite number.")
    return thresholds


def read_dataset(path: Path) -> tuple[str, str]:
    """Read task and target from a data set's YAML.

    Raises:
        SettingsError: The file can't be read, or names none.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "" if path.is_absolute() else " A relative path starts in the step's own folder."
        raise SettingsError(f"{path} can't be read: {error.strerror}.{hint}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} can't be read as YAML: {error}") from error
    settings = content if isinstance(content, dict) else {}
    task, target = settings.get("task"), settings.get("target")
    if task not in ("classification", "regression") or not target:
        raise SettingsError(
            f"{path} has task: {task} and target: {target}; it must say classification or "
            "regression, and which column to predict."
        )
    return task, target
