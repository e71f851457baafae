"""Names are refused before a step runs if, and only if, the SDK refuses them."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import wandb
from wandb.sdk.artifacts._validators import validate_aliases

from pipeline.config import validate
from pipeline.errors import ConfigError
from pipeline.names import check_names
from pipeline.schema import Config
from tests.pipeline.test_config import shipped


@pytest.fixture(scope="module")
def config() -> Config:
    """The config as it is without overrides, which nobody changes."""
    return validate(shipped())


def set_project(config: Config, name: str) -> Config:
    return replace(config, main=replace(config.main, project_name=name))


def set_alias(config: Config, name: str) -> Config:
    return replace(config, evaluate=replace(config.evaluate, production_alias=name))


def set_artifact(config: Config, name: str) -> Config:
    return replace(config, artifacts=replace(config.artifacts, raw_data=name))


KINDS: dict[str, tuple[Callable[[Config, str], Config], Callable[[str], object]]] = {
    "main.project_name": (set_project, lambda name: wandb.Settings(project=name)),
    "evaluate.production_alias": (set_alias, validate_aliases),
    "artifacts.raw_data": (set_artifact, lambda name: wandb.Artifact(name, type="any")),
}


@pytest.mark.parametrize("name", [*"/\\#?%: ", "a b", "Straße", "x-1.2_y", "n" * 128])
@pytest.mark.parametrize("key", KINDS)
def test_a_name_is_refused_if_the_sdk_refuses_it(key: str, name: str, config: Config) -> None:
    change, ask_sdk = KINDS[key]
    try:
        ask_sdk(name)
    except (ValueError, wandb.errors.UsageError):
        with pytest.raises(ConfigError, match=f"^{re.escape(key)}"):
            check_names(change(config, name))
    else:
        check_names(change(config, name))


@pytest.mark.parametrize("name", ["", "n" * 129])
@pytest.mark.parametrize("key", KINDS)
def test_a_name_that_is_empty_or_too_long_is_refused(key: str, name: str, config: Config) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(key)}"):
        check_names(KINDS[key][0](config, name))


def test_a_model_need_not_be_exported(config: Config) -> None:
    forest = replace(config.random_forest_pipeline, export_artifact=None)

    check_names(replace(config, random_forest_pipeline=forest))


@pytest.mark.parametrize("key", ["production_alias", "previous_alias"])
@pytest.mark.parametrize("name", ["latest", "v0", "v12"])
def test_an_alias_that_wandb_gives_itself_is_refused(name: str, key: str, config: Config) -> None:
    with pytest.raises(ConfigError, match=f"^evaluate.{key}={name}: W&B itself gives"):
        check_names(replace(config, evaluate=replace(config.evaluate, **{key: name})))
