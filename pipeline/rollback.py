"""The way back from a promotion."""

from functools import partial

from pipeline.promotions import make_record, open_model

NO_REASON = "No reason was given."


def rollback(overrides: list[str], why: str = NO_REASON) -> list[str]:
    """Give the production alias back to the version that had it before, which gets it in turn.

    The version that gets it says so in its metadata.

    Args:
        overrides: Keys of config.yaml, as main.py takes them; they name project, model and aliases.
        why: The reason, for the record.

    Returns:
        Lines that say who holds which alias now.

    Raises:
        ArtifactError: There is nothing to go back to.
        ConfigError: An override can't be right.
        WandbError: W&B can't be used.
    """
    registry, config, model = open_model(overrides)
    aliases = config.evaluate.production_alias, config.evaluate.previous_alias
    describe = partial(make_record, aliases[0], registry.user, why=why)
    held = registry.swap_aliases(model, *aliases, describe)
    return [
        f"{version.name} is now tagged {alias}"
        for version, alias in zip(held, aliases, strict=True)
    ]
