"""The production alias in W&B: who holds it, how good that one is, and moving it."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import wandb
from comparison import Evaluation, Leak, compare
from leaks import find_leak
from loading import ModelError, load_model
from origin import name_of
from promotion import Champion, Decision, PromotionError, Rules, decide
from scores import DataError, MetricError, check_table, evaluate_model
from settings import Settings
from sklearn.pipeline import Pipeline

# Times that the alias may move under our feet before we give up.
ATTEMPTS = 5
# Key of a version's metadata: every time that it was given an alias by a program, oldest first.
PROMOTIONS = "promotions"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Challenger:
    """The model at hand, and the test rows on which it meets the champion.

    `leak` tells of those that it has met in training.
    """

    artifact: wandb.Artifact
    model: Pipeline
    evaluation: Evaluation
    test: wandb.Artifact
    table: pd.DataFrame
    settings: Settings
    leak: Leak | None = None


def promote(run: wandb.Run, challenger: Challenger, origin: dict[str, Any]) -> Decision:
    """Decide whether the challenger gets the alias, and move it if so.

    The holder is read again just before the alias moves, and just after: if another pipeline has
    moved it meanwhile, the challenger is compared again, with the new holder. The version that
    gets the alias says so in its metadata; the one that loses it gets the previous alias, for the
    way back.

    Args:
        run: The run that uses the holder's model.
        challenger: The model at hand.
        origin: What the record of a promotion holds besides the decision: who, and from what.

    Raises:
        PromotionError: The holder can't be compared, or the alias doesn't stay still.
    """
    settings, artifact = challenger.settings, challenger.artifact
    alias, metric = settings.production_alias, settings.metrics[0]
    rules = Rules(
        settings.promote, alias, metric, settings.max_class_regression, settings.confidence
    )
    for _ in range(ATTEMPTS):
        holder = find_holder(artifact, alias)
        champion = None if holder is None else assess(run, holder, challenger)
        score = challenger.evaluation.scores[metric]
        decision = decide(rules, name_of(artifact), score, champion, challenger.leak)
        if not decision.promoted:
            return decision
        if name_of(find_holder(artifact, alias)) == name_of(holder):
            give_alias(artifact, alias)
            now = find_holder(artifact, alias)
            if now is not None and name_of(now) == name_of(artifact):
                record(now, make_record(decision, settings) | origin)
                if holder is not None:
                    give_alias(holder, settings.previous_alias)
                return decision
        logger.info("%s has moved from %s meanwhile: comparing again", alias, name_of(holder))
    raise PromotionError(
        f"{alias} moved {ATTEMPTS} times while this model was compared with its holder: nothing "
        "was promoted. Run evaluate again when the other pipelines are done."
    )


def find_holder(artifact: wandb.Artifact, alias: str) -> wandb.Artifact | None:
    """Look up which version of an artifact's collection holds an alias now, if one does."""
    api = wandb.Api()
    path = sibling(artifact, alias)
    if not api.artifact_exists(path, type=artifact.type):
        return None
    holder: wandb.Artifact = api.artifact(path, type=artifact.type)
    return holder


def sibling(artifact: wandb.Artifact, version: str) -> str:
    """Return the path of another version, by number or alias, of an artifact's collection."""
    return f"{artifact.qualified_name.rpartition(':')[0]}:{version}"


def assess(run: wandb.Run, holder: wandb.Artifact, challenger: Challenger) -> Champion:
    """Score the holder of the alias on the challenger's test rows.

    Args:
        run: The run that uses the holder's model.
        holder: The version that holds the alias.
        challenger: The model that it meets.

    Returns:
        The holder beside the challenger, or with what stands in the way of that.
    """
    settings, name = challenger.settings, name_of(holder)
    if settings.promote == "never" or name == name_of(challenger.artifact):
        return Champion(name)
    try:
        evaluation = evaluate_holder(run, holder, challenger)
    except (ModelError, DataError, MetricError) as error:
        return Champion(name, trouble=str(error))
    comparison = compare(
        challenger.evaluation,
        evaluation,
        challenger.table[settings.target].to_numpy(),
        getattr(challenger.model, "classes_", None),
        settings.confidence,
        find_holder_leak(holder, challenger),
    )
    return Champion(name, comparison)


def evaluate_holder(run: wandb.Run, holder: wandb.Artifact, challenger: Challenger) -> Evaluation:
    """Download and score the holder of the alias.

    Raises:
        ModelError: It doesn't load, or answers another question than the challenger.
        DataError: The test rows lack what it needs.
        MetricError: A metric has no value for it.
    """
    model, expected = download_model(run, holder), challenger.settings.target
    target = holder.metadata.get("target", expected)
    if target != expected:
        raise ModelError(f"it was trained to predict {target}, not {expected}.")
    if set(classes_of(model)) != set(classes_of(challenger.model)):
        raise ModelError(
            f"it was trained for other classes ({', '.join(classes_of(model)) or 'none'}) than "
            f"this model ({', '.join(classes_of(challenger.model)) or 'none'})."
        )
    check_table(challenger.table, model, expected)
    return evaluate_model(model, challenger.table, challenger.settings)


def find_holder_leak(holder: wandb.Artifact, challenger: Challenger) -> Leak | None:
    """Look for test rows that the holder of the alias has met in training."""
    before, now = (made.metadata.get("train_artifact") for made in (holder, challenger.artifact))
    if before == now and challenger.leak is None:
        return None  # as mostly; asking W&B takes its time
    return find_leak(holder, challenger.test, challenger.table)


def classes_of(model: Pipeline) -> list[str]:
    """Return the classes of a classifier as text; a regressor has none."""
    return [str(name) for name in getattr(model, "classes_", [])]


def download_model(run: wandb.Run, artifact: wandb.Artifact) -> Pipeline:
    """Download a model, note that the run uses it, and load it.

    Raises:
        ModelError: It doesn't load, or not safely.
    """
    with TemporaryDirectory() as folder:
        run.use_artifact(artifact).download(folder)
        return load_model(Path(folder))


def give_alias(artifact: wandb.Artifact, alias: str) -> None:
    """Give an alias to a version; another one loses it."""
    # Read anew: the SDK only sends aliases that it hasn't seen on the object before.
    fresh = wandb.Api().artifact(sibling(artifact, artifact.version), type=artifact.type)
    fresh.aliases.append(alias)
    fresh.save()


def make_record(decision: Decision, settings: Settings) -> dict[str, Any]:
    """Describe a promotion, in plain values: when (UTC), over whom and why."""
    return {
        "action": "promotion",
        "alias": settings.production_alias,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "champion": decision.champion_name,
        "why": decision.told,
        "metric": decision.metric,
        "score": decision.score,
        "champion_score": decision.champion_score,
        "difference": decision.difference,
        "interval": decision.interval and list(decision.interval),
        "confidence": settings.confidence,
    }


def record(artifact: wandb.Artifact, facts: dict[str, Any]) -> None:
    """Add to what a version's metadata says of its promotions."""
    artifact.metadata[PROMOTIONS] = [*artifact.metadata.get(PROMOTIONS, []), facts]
    artifact.save()
