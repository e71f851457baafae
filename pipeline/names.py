"""What W&B takes as a name, told before a step would find out; a test asks the SDK."""

import re
from dataclasses import asdict

from pipeline.errors import ConfigError
from pipeline.schema import Config

_NOT_IN_PROJECTS, _NOT_IN_ALIASES, _LONGEST = "/\\#?%:", "/:", 128
_ARTIFACT = re.compile(rf"[\w.-]{{1,{_LONGEST}}}", re.ASCII)
# W&B gives these to versions itself.
_GIVEN = re.compile(r"latest|v\d+", re.ASCII)


def check_names(config: Config) -> None:
    """Check the names that the config gives to what W&B keeps.

    Raises:
        ConfigError: One is empty, W&B takes none like it, or two are the same.
    """
    main, evaluate = config.main, config.evaluate
    _check("main.project_name", main.project_name, _NOT_IN_PROJECTS)
    _check("main.experiment_name", main.experiment_name.strip(), "")
    aliases = evaluate.production_alias, evaluate.previous_alias
    _check_alias("evaluate.production_alias", aliases[0])
    _check_alias("evaluate.previous_alias", aliases[1])
    if aliases[0] == aliases[1]:
        raise ConfigError(
            f"evaluate.previous_alias={aliases[1]} is evaluate.production_alias as well: give the "
            "model that loses it another one."
        )
    names = {f"artifacts.{key}": name for key, name in asdict(config.artifacts).items()}
    names["random_forest_pipeline.export_artifact"] = config.random_forest_pipeline.export_artifact
    taken: dict[str, str] = {}
    for key, name in names.items():
        if name is None:
            continue
        if not _ARTIFACT.fullmatch(name):
            raise ConfigError(
                f"{key}={name}: W&B takes 1 to {_LONGEST} letters (a to z), digits, dashes, "
                "underscores and dots as the name of an artifact."
            )
        if name in taken:
            raise ConfigError(f"{key}={name}: {taken[name]} has that name. Give each its own.")
        taken[name] = key


def _check_alias(key: str, name: str) -> None:
    _check(key, name, _NOT_IN_ALIASES)
    if _GIVEN.fullmatch(name):
        raise ConfigError(
            f"{key}={name}: W&B itself gives latest, v0, v1 and so on to versions: take another "
            "name, such as prod."
        )


def _check(key: str, name: str, refused: str) -> None:
    if found := [character for character in refused if character in name]:
        raise ConfigError(
            f"{key}={name}: W&B takes no {' '.join(found)} there (none of {' '.join(refused)})."
        )
    if not 0 < len(name) <= _LONGEST:
        raise ConfigError(f"{key} has {len(name)} characters: give it 1 to {_LONGEST}.")
