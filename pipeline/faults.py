"""What went wrong with the config, in one message whose first line is the cause.

Hydra and OmegaConf tell it in words of their own: where in their code it happened, which classes
are meant, and where they have looked. A person wants to know what was given and what is allowed.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError
from yaml import MarkedYAMLError

from pipeline.errors import ConfigError, PipelineError, did_you_mean
from pipeline.overrides import no_override, type_of

_RAISE = "HYDRA_FULL_ERROR"
_FILE = re.compile(r"In '(?P<name>[^']+)'")
_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    NoneType: "null",
    list: "a list, such as [a,b]",
    dict: "a mapping, such as {a: 1}",
}


@contextmanager
def raised_by_hydra() -> Iterator[None]:
    """Have Hydra raise in here what else it would print and end the program for."""
    before = os.environ.get(_RAISE)
    os.environ[_RAISE] = "1"
    try:
        yield
    finally:
        os.environ.pop(_RAISE)
        if before is not None:
            os.environ[_RAISE] = before


def explain(error: Exception) -> str | None:
    """Return what is wrong, for the user who can mend it.

    Args:
        error: What the pipeline, Hydra, OmegaConf or the YAML parser raised.

    Returns:
        A message; None for an error that isn't the user's, and needs its traceback.
    """
    match error:
        case PipelineError():
            return str(error)
        case MarkedYAMLError():
            return _explain_yaml(error)
        case MissingConfigException() if error.missing_cfg_file and error.options is not None:
            return _explain_choice(error.missing_cfg_file, list(error.options))
        case OverrideParseException():
            return no_override(error.override)
        case OmegaConfBaseException():
            return _explain_value(error)
        case HydraException():
            # Of a file, Hydra raises its own error beside OmegaConf's, not from it.
            cause = error.__cause__ or error.__context__
            if isinstance(cause, HydraException):  # of a sweeper's or launcher's settings
                return explain(cause)
            if not isinstance(cause, OmegaConfBaseException):
                return str(error).strip()
            found = _FILE.match(str(error))
            return (f"{found['name']}.yaml: " if found else "") + _explain_value(cause)
    return None


def _explain_yaml(error: MarkedYAMLError) -> str:
    mark = error.problem_mark
    place = f"{mark.name}, line {mark.line + 1}: " if mark else ""
    before = f" {error.context}" if error.context else ""
    return f"{place}this is no YAML: {error.problem}{before}."


def _explain_choice(wanted: str, options: list[str]) -> str:
    group, _, name = wanted.rpartition("/")
    hint = did_you_mean(name, options)
    return f"{group}={name}: there is no such choice.{hint} Choose one of {', '.join(options)}."


def _explain_value(error: OmegaConfBaseException) -> str:
    key = str(error.full_key or "")
    cause = str(error.msg).split("\n")[0]
    if key.split(".")[0] == "hydra" or not key:
        return f"{key}: {cause}" if key else cause
    try:
        kind = type_of(key)
    except ConfigError as unknown:
        return str(unknown)
    if isinstance(error, ValidationError):
        return f"{key}={_shown(error.value)}: give {_allowed(kind)}."
    if isinstance(error, KeyError | AttributeError) and OmegaConf.is_dict(error.parent_node):
        names = [str(name) for name in error.parent_node or ()]
        hint = did_you_mean(str(error.key), names)
        return f"There is no {key} in the config.{hint} There are {', '.join(names)}."
    return f"{key}: {cause}"


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def _allowed(kind: Any) -> str:
    """Say in words what values a type has."""
    if get_origin(kind) in (Union, UnionType):
        kinds = get_args(kind)
        return " or ".join(_allowed(one) for one in kinds if not (one is int and float in kinds))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    if is_dataclass(kind):
        return f"a mapping of {', '.join(field.name for field in fields(kind))}"
    return _WORDS.get(get_origin(kind) or kind, f"a {kind}")
