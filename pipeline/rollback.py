"""The way back from a promotion."""

import os

from pipeline.errors import ConfigError
from pipeline.overrides import expand_arguments
from pipeline.root import ROOT


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
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    from pipeline.config import validate
    from pipeline.registry import Registry
    from pipeline.schema import register_schema
    from pipeline.wandb_target import choose

    register_schema()
    try:
        with initialize_config_dir(str(ROOT), version_base="1.3"):
            config = validate(compose("config", expand_arguments(overrides)))
    except HydraException as error:
        raise ConfigError(str(error)) from error
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
