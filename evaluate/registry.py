"""The production alias in W&B: who holds it, how good that one is, and moving it."""

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import wandb
from loading import ModelError, load_model
from promotion import Champion, Decision, PromotionError, decide
from scores import DataError, MetricError, check_table, compute_scores
from sklearn.pipeline import Pipeline

# Times that the alias may move under our feet before we give up.
ATTEMPTS = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Challenger:
    """The model at hand, and the test rows and metric on which it meets the champion."""

    artifact: wandb.Artifact
    model: Pipeline
    score: float
    table: pd.DataFrame
    target: str
    metric: str


def promote(
    run: wandb.Run, challenger: Challenger, rule: str, alias: str, previous: str
) -> Decision:
    """Decide whether the challenger gets the alias, and move it if so.

    The holder is read again just before the alias moves: if another pipeline has moved it
    meanwhile, the challenger is compared again, with the new holder.

    Args:
        run: The run that uses the holder's model.
        challenger: The model at hand.
        rule: if_better, always or never.
        alias: The production alias.
        previous: Alias that the version which loses the production alias gets, for the way back.

    Raises:
        PromotionError: The holder can't be compared, or the alias doesn't stay still.
    """
    for _ in range(ATTEMPTS):
        holder = find_holder(challenger.artifact, alias)
        champion = None if holder is None else assess(run, holder, challenger, rule)
        name = name_of(challenger.artifact)
        decision = decide(rule, alias, challenger.metric, name, challenger.score, champion)
        if not decision.promoted:
            return decision
        if name_of(find_holder(challenger.artifact, alias)) == name_of(holder):
            move_alias(challenger.artifact, alias)
            if holder is not None:
                move_alias(holder, previous)
            return decision
        logger.info("%s has moved from %s meanwhile: comparing again", alias, name_of(holder))
    raise PromotionError(
        f"{alias} moved {ATTEMPTS} times while this model was compared with its holder: nothing "
        "was promoted. Run evaluate again when the other pipelines are done."
    )


def name_of(artifact: wandb.Artifact | None) -> str:
    """Return collection and version of an artifact, such as model_export:v3; "nobody" for None.

    An artifact's own name holds what it was asked for by, which may be an alias.
    """
    if artifact is None:
        return "nobody"
    return f"{artifact.name.rpartition(':')[0]}:{artifact.version}"


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


def assess(run: wandb.Run, holder: wandb.Artifact, challenger: Challenger, rule: str) -> Champion:
    """Score the holder of the alias on the challenger's test rows.

    Args:
        run: The run that uses the holder's model.
        holder: The version that holds the alias.
        challenger: The model that it meets.
        rule: With never, nothing is compared.

    Returns:
        The holder with its score, or with what stands in the way of one.
    """
    if rule == "never" or name_of(holder) == name_of(challenger.artifact):
        return Champion(name_of(holder))
    try:
        score = score_holder(run, holder, challenger)
    except (ModelError, DataError, MetricError) as error:
        return Champion(name_of(holder), trouble=str(error))
    return Champion(name_of(holder), score)


def score_holder(run: wandb.Run, holder: wandb.Artifact, challenger: Challenger) -> float:
    """Download and score the holder of the alias.

    Raises:
        ModelError: It doesn't load, or answers another question than the challenger.
        DataError: The test rows lack what it needs.
        MetricError: The metric has no value for it.
    """
    model = download_model(run, holder)
    target = holder.metadata.get("target", challenger.target)
    if target != challenger.target:
        raise ModelError(f"it was trained to predict {target}, not {challenger.target}.")
    if set(classes_of(model)) != set(classes_of(challenger.model)):
        raise ModelError(
            f"it was trained for other classes ({', '.join(classes_of(model)) or 'none'}) than "
            f"this model ({', '.join(classes_of(challenger.model)) or 'none'})."
        )
    check_table(challenger.table, model, challenger.target)
    scores, _ = compute_scores(model, challenger.table, challenger.target, [challenger.metric])
    return scores[challenger.metric]


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


def move_alias(artifact: wandb.Artifact, alias: str) -> None:
    """Give an alias to a version, and see that it has it.

    Raises:
        PromotionError: Another version has it afterwards.
    """
    # Read anew: the SDK only sends aliases that it hasn't seen on the object before.
    fresh = wandb.Api().artifact(sibling(artifact, artifact.version), type=artifact.type)
    fresh.aliases.append(alias)
    fresh.save()
    holder = find_holder(artifact, alias)
    if name_of(holder) != name_of(artifact):
        raise PromotionError(
            f"{name_of(artifact)} was given {alias}, but {name_of(holder)} holds it: another "
            "pipeline promotes at the same time. Run evaluate again when it is done."
        )
