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

    If another pipeline moves the alias meanwhile, the challenger is compared again, with the one
    that has it then: see `take_alias`.

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
        if take_alias(artifact, holder, settings, make_record(decision, settings) | origin):
            return decision
        logger.info("%s has moved from %s meanwhile: comparing again", alias, name_of(holder))
    raise PromotionError(
        f"{alias} moved {ATTEMPTS} times while this model was compared with its holder: nothing "
        "was promoted. Run evaluate again when the other pipelines are done."
    )


def take_alias(
    artifact: wandb.Artifact,
    holder: wandb.Artifact | None,
    settings: Settings,
    facts: dict[str, Any],
) -> bool:
    """Move the alias, and record it, unless another pipeline moves it meanwhile.

    W&B moves no alias on a condition. So each pipeline looks at the records of others after it has
    moved the alias, and at the holder again after it has written its own record. Of two that move
    it at once, at least one sees the other by that, whatever the order.

    Args:
        artifact: The version that is to get the alias.
        holder: Who had it when they were compared; it gets the previous alias, for the way back.
        settings: Names the aliases.
        facts: The record of the promotion.

    Returns:
        Whether the version has the alias; if not, it is to be compared with who has it now.
    """
    alias, name = settings.production_alias, name_of(artifact)
    known, fresh = count_records(artifact, alias), read_anew(artifact)
    if name_of(find_holder(artifact, alias)) != name_of(holder):
        return False
    give_alias(fresh, alias)
    now = find_holder(artifact, alias)
    if now is None or name_of(now) != name:
        return False
    counts = count_records(artifact, alias)
    if rivals := [other for other in counts if counts[other] > known.get(other, 0)]:
        give_alias(read_anew(artifact, rivals[0].rpartition(":")[2]), alias)
        return False
    record(now, facts)
    if holder is not None:
        give_alias(read_anew(holder), settings.previous_alias)
    return name_of(find_holder(artifact, alias)) == name


def count_records(artifact: wandb.Artifact, alias: str) -> dict[str, int]:
    """Count how often versions of an artifact's collection were given an alias, the newest first.

    Returns:
        Counts by name:vN, but for those without a record.
    """
    collection = artifact.qualified_name.rpartition(":")[0]
    versions = wandb.Api().artifacts(artifact.type, collection)
    moments = {
        name_of(version): [
            moved["at"] for moved in version.metadata.get(PROMOTIONS, []) if moved["alias"] == alias
        ]
        for version in versions
    }
    recorded = sorted(filter(moments.get, moments), key=lambda name: moments[name][-1])
    return {name: len(moments[name]) for name in reversed(recorded)}


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


def read_anew(artifact: wandb.Artifact, version: str | None = None) -> wandb.Artifact:
    """Read a version again; None reads the same, another one is of the same collection.

    The SDK only sends aliases that it hasn't seen on the object before.
    """
    path = sibling(artifact, version or artifact.version)
    fresh: wandb.Artifact = wandb.Api().artifact(path, type=artifact.type)
    return fresh


def give_alias(fresh: wandb.Artifact, alias: str) -> None:
    """Give an alias to a version that was just read; another one loses it."""
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
