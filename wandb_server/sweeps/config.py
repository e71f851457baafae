"""The configuration of a sweep: read, checked, its parameters laid out flat."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from wandb_server.errors import ClientError

_METHODS = ("grid", "random")
_DISTRIBUTIONS = {
    "constant": ("value",),
    "categorical": ("values",),
    "categorical_w_probabilities": ("values", "probabilities"),
    "int_uniform": ("min", "max"),
    "uniform": ("min", "max"),
    "q_uniform": ("min", "max"),
    "log_uniform": ("min", "max"),
    "log_uniform_values": ("min", "max"),
    "q_log_uniform": ("min", "max"),
    "q_log_uniform_values": ("min", "max"),
    "inv_log_uniform": ("min", "max"),
    "inv_log_uniform_values": ("min", "max"),
    "normal": (),
    "q_normal": (),
    "log_normal": (),
    "q_log_normal": (),
    "beta": (),
    "q_beta": (),
}
_GRID = {"constant", "categorical", "int_uniform", "q_uniform"}


@dataclass(frozen=True)
class Parameter:
    """One parameter: `path` is its name, and those of the groups around it from outside in."""

    path: tuple[str, ...]
    distribution: str
    spec: dict[str, Any]


@dataclass(frozen=True)
class SweepConfig:
    """What a sweep is asked to do; `run_cap` None means no limit but the grid's own."""

    method: str
    parameters: list[Parameter]
    metric: str | None
    maximize: bool
    run_cap: int | None


def parse_config(text: str) -> SweepConfig:
    """Read and check a configuration.

    Args:
        text: YAML as the SDK sends it.

    Raises:
        ClientError: It is no valid configuration, or its method is neither grid nor random.
    """
    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ClientError(f"sweep config: not valid YAML: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("parameters"), dict):
        raise ClientError("sweep config: it needs a method and parameters")
    method = fields.get("method")
    if method not in _METHODS:
        raise ClientError(
            f"sweep config: this local server doesn't have the method {method!r}; "
            f"it has {' and '.join(_METHODS)}"
        )
    metric = fields.get("metric") or {}
    config = SweepConfig(
        method=method,
        parameters=list(_flatten((), fields["parameters"])),
        metric=metric.get("name"),
        maximize=metric.get("goal") == "maximize",
        run_cap=fields.get("run_cap"),
    )
    _check_method(config)
    return config


def nest(values: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """Put values by path into nested dicts, as the run's config holds them."""
    result: dict[str, Any] = {}
    for path, value in values.items():
        inner = result
        for group in path[:-1]:
            inner = inner.setdefault(group, {})
        inner[path[-1]] = value
    return result


def _flatten(outer: tuple[str, ...], specs: dict[str, Any]) -> Iterator[Parameter]:
    for name, spec in specs.items():
        path = (*outer, str(name))
        if not isinstance(spec, dict):
            raise ClientError(f"sweep parameter {'.'.join(path)}: write {{value: {spec!r}}}")
        if isinstance(spec.get("parameters"), dict):
            yield from _flatten(path, spec["parameters"])
        else:
            yield _parameter(path, spec)


def _parameter(path: tuple[str, ...], spec: dict[str, Any]) -> Parameter:
    distribution = spec.get("distribution") or _guess(spec)
    if distribution not in _DISTRIBUTIONS:
        raise ClientError(
            f"sweep parameter {'.'.join(path)}: there is no distribution {distribution!r}; "
            f"one of {', '.join(_DISTRIBUTIONS)}"
        )
    missing = [key for key in _DISTRIBUTIONS[distribution] if key not in spec]
    if missing:
        raise ClientError(f"sweep parameter {'.'.join(path)}: {', '.join(missing)} is missing")
    if "values" in spec and not (isinstance(spec["values"], list) and spec["values"]):
        raise ClientError(f"sweep parameter {'.'.join(path)}: values must be a list of some")
    return Parameter(path, distribution, spec)


def _guess(spec: dict[str, Any]) -> str:
    """Name the distribution of a parameter that doesn't name it; nested ones never do."""
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    bounds = (spec.get("min"), spec.get("max"))
    return "int_uniform" if all(isinstance(bound, int) for bound in bounds) else "uniform"


def _check_method(config: SweepConfig) -> None:
    for parameter in config.parameters:
        if config.method == "grid" and parameter.distribution not in _GRID:
            raise ClientError(
                f"sweep parameter {'.'.join(parameter.path)}: a grid can't go through "
                f"{parameter.distribution!r}; one of {', '.join(sorted(_GRID))}, or use random"
            )
