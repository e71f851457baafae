"""Chooses the parameters of a sweep's next run."""

import itertools
import math
import random
from collections.abc import Callable
from typing import Any

from wandb_server.sweeps.config import Parameter, SweepConfig, nest


def choose(config: SweepConfig, seed: str, index: int) -> dict[str, Any] | None:
    """Choose the parameters of one run.

    Args:
        config: The sweep's configuration.
        seed: What makes the sweep's random choices its own, such as its id.
        index: How many runs were chosen before, from 0; the same index gives the same choice.

    Returns:
        The run's config, nested as the parameters are; None when the sweep is done.
    """
    if config.run_cap is not None and index >= config.run_cap:
        return None
    paths = [parameter.path for parameter in config.parameters]
    if config.method == "grid":
        combination = _pick([_grid(parameter) for parameter in config.parameters], index)
        return None if combination is None else nest(dict(zip(paths, combination, strict=True)))
    source = random.Random(f"{seed}:{index}")  # noqa: S311  chance for science, not for secrets
    values = [_draw(parameter, source) for parameter in config.parameters]
    return nest(dict(zip(paths, values, strict=True)))


def expected_runs(config: SweepConfig) -> int | None:
    """Give how many runs the sweep will have; None when there is no end to them."""
    if config.method != "grid":
        return config.run_cap
    size = math.prod(len(_grid(parameter)) for parameter in config.parameters)
    return size if config.run_cap is None else min(size, config.run_cap)


def _pick(axes: list[list[Any]], index: int) -> tuple[Any, ...] | None:
    return next(itertools.islice(itertools.product(*axes), index, None), None)


def _grid(parameter: Parameter) -> list[Any]:
    spec = parameter.spec
    if parameter.distribution == "constant":
        return [spec["value"]]
    if parameter.distribution == "categorical":
        return list(spec["values"])
    step = spec.get("q", 1)
    count = math.floor((spec["max"] - spec["min"]) / step + 1e-9) + 1
    return [spec["min"] + number * step for number in range(count)]


def _draw(parameter: Parameter, source: random.Random) -> Any:
    spec, kind = parameter.spec, parameter.distribution
    if kind == "constant":
        return spec["value"]
    if kind.startswith("categorical"):
        return source.choices(spec["values"], spec.get("probabilities"))[0]
    if kind == "int_uniform":
        return source.randint(spec["min"], spec["max"])
    if kind.startswith("q_"):
        return _round(_CONTINUOUS[kind.removeprefix("q_")](source, spec), spec.get("q", 1))
    return _CONTINUOUS[kind](source, spec)


def _round(value: float, step: float) -> float:
    """Round to a multiple of the step; whole steps give whole numbers."""
    rounded = round(value / step) * step
    return int(rounded) if isinstance(step, int) else rounded


def _log_uniform(source: random.Random, spec: dict[str, Any]) -> float:
    return math.exp(source.uniform(spec["min"], spec["max"]))


def _log_uniform_values(source: random.Random, spec: dict[str, Any]) -> float:
    return math.exp(source.uniform(math.log(spec["min"]), math.log(spec["max"])))


def _inv_log_uniform(source: random.Random, spec: dict[str, Any]) -> float:
    return math.exp(-source.uniform(spec["min"], spec["max"]))


def _inv_log_uniform_values(source: random.Random, spec: dict[str, Any]) -> float:
    return float(spec["max"] + spec["min"] - _log_uniform_values(source, spec))


_Draw = Callable[[random.Random, dict[str, Any]], float]
_CONTINUOUS: dict[str, _Draw] = {
    "uniform": lambda source, spec: source.uniform(spec["min"], spec["max"]),
    "log_uniform": _log_uniform,
    "log_uniform_values": _log_uniform_values,
    "inv_log_uniform": _inv_log_uniform,
    "inv_log_uniform_values": _inv_log_uniform_values,
    "normal": lambda source, spec: source.gauss(spec.get("mu", 0), spec.get("sigma", 1)),
    "log_normal": lambda source, spec: source.lognormvariate(
        spec.get("mu", 0), spec.get("sigma", 1)
    ),
    "beta": lambda source, spec: source.betavariate(spec.get("a", 1), spec.get("b", 1)),
}
