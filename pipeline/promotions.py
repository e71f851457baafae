"""Who was in production when, and why: the records that versions of the model keep."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.registry import Registry, Version
    from pipeline.schema import Config

# Key of a version's metadata; evaluate writes the same.
PROMOTIONS = "promotions"
SHOWN = 12  # characters of a commit


def open_model(overrides: list[str]) -> tuple["Registry", "Config", str]:
    """Return the W&B project, the config, and the name of the model in it.

    Args:
        overrides: Keys of config.yaml, as main.py takes them; they name project, model and aliases.

    Raises:
        ConfigError: An override can't be right, or no model is exported.
        WandbError: W&B can't be used.
    """
    # `python -m pipeline lock` needs none of this.
    from pipeline.compose import compose_config
    from pipeline.registry import Registry
    from pipeline.wandb_target import choose

    config = compose_config(overrides)
    model = config.random_forest_pipeline.export_artifact
    if model is None:
        raise ConfigError("random_forest_pipeline.export_artifact is null: name the model.")
    target = choose(config.main.wandb, os.environ)
    return Registry(target, config.main.project_name), config, model


def make_record(alias: str, user: str, loser: "Version", why: str) -> dict[str, Any]:
    """Describe a rollback, as evaluate describes a promotion.

    Args:
        alias: The alias that was given back.
        user: Who did it.
        loser: The version that lost it.
        why: The reason given.
    """
    from pipeline.git import read_code
    from pipeline.root import ROOT

    code = read_code(ROOT)
    return {
        "action": "rollback",
        "alias": alias,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": user,
        "commit": code.commit or None,
        "dirty": code.dirty if code.commit else None,
        "champion": loser.name,
        "why": why,
    }


def history(overrides: list[str]) -> list[str]:
    """Tell who held the production alias, the newest first.

    Args:
        overrides: Keys of config.yaml, as main.py takes them; they name project, model and alias.

    Returns:
        Lines for people.

    Raises:
        ArtifactError: There is no such model.
        ConfigError: An override can't be right.
        WandbError: W&B can't be used.
    """
    registry, config, model = open_model(overrides)
    alias = config.evaluate.production_alias
    records = [
        (version, record)
        for version, metadata in registry.list_metadata(model)
        for record in metadata.get(PROMOTIONS, [])
        if record["alias"] == alias
    ]
    records.sort(key=lambda found: str(found[1]["at"]), reverse=True)
    holder = registry.find_version(f"{model}:{alias}")
    lines = [f"{holder.name if holder else 'No version'} is tagged {alias}."]
    if holder and (not records or records[0][0] != holder.name):
        lines.append(f"No record says how it got {alias}: it was tagged by hand, or long ago.")
    for version, record in records:
        lines += ["", *describe(version, record)]
    return lines


def describe(version: str, record: dict[str, Any]) -> list[str]:
    """Return the lines about one change.

    >>> record = {"action": "rollback", "at": "2026-11-21T09:23:05+00:00", "by": "ada",
    ...     "champion": "m:v3", "commit": None, "dirty": None, "why": "It was slow."}
    >>> describe("m:v2", record)
    ['2026-11-21 09:23 UTC  m:v3 -> m:v2  rollback by ada', '    It was slow.']
    """
    moment = datetime.fromisoformat(record["at"]).astimezone(UTC)
    code = f", code {record['commit'][:SHOWN]}" if record["commit"] else ""
    changes = " with uncommitted changes" if record["dirty"] else ""
    head = (
        f"{moment:%Y-%m-%d %H:%M} UTC  {record['champion'] or 'nobody'} -> {version}  "
        f"{record['action']} by {record['by']}{code}{changes}"
    )
    return [head, f"    {record['why']}"]
