"""The way back from a promotion."""

import os

from pipeline.errors import ConfigError


def rollback(overrides: list[str]) -> list[str]:
    """Give the production alias back to the version that had it before, which gets it in turn.

    Args:
        overrides: Keys of config.yaml, as main.py takes them; they name project, model and aliases.

    Returns:
        Lines that say who holds which alias now.

    Raises:
        ArtifactError: There is nothing to go back to.
        ConfigError: An override can't be right.
        WandbError: W&B can't be used.
    """
    # `python -m pipeline lock` needs none of this.
    from pipeline.compose import compose_config
    from pipeline.registry import Registry
    from pipeline.wandb_target import choose

    config = compose_config(overrides)
    model, evaluate = config.random_forest_pipeline.export_artifact, config.evaluate
    if model is None:
        raise ConfigError("random_forest_pipeline.export_artifact is null: name the model.")
    registry = Registry(choose(config.main.wandb, os.environ), config.main.project_name)
    aliases = evaluate.production_alias, evaluate.previous_alias
    held = registry.swap_aliases(model, *aliases)
    return [
        f"{version.name} is now tagged {alias}"
        for version, alias in zip(held, aliases, strict=True)
    ]
