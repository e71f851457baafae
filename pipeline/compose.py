"""The config as main.py would get it, for the tools around the pipeline."""

from hydra import compose, initialize_config_dir

from pipeline.config import validate
from pipeline.errors import ConfigError
from pipeline.faults import explain
from pipeline.overrides import expand_arguments
from pipeline.root import ROOT
from pipeline.schema import Config, register_schema


def compose_config(overrides: list[str]) -> Config:
    """Return the config with overrides.

    Args:
        overrides: Keys of config.yaml, as main.py takes them.

    Raises:
        ConfigError: An override can't be right, or the config isn't usable.
    """
    register_schema()
    try:
        with initialize_config_dir(str(ROOT), version_base="1.3"):
            return validate(compose("config", expand_arguments(overrides)))
    except ConfigError:
        raise
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        raise ConfigError(message) from error
