"""Chooses parameters from a grid or by chance."""

import itertools
import math
import random
from collections.abc import Callable, Collection, Sequence
from typing import Any

from wandb_server.sweeps.config import SweepConfig
from wandb_server.sweeps.parameters import Parameter, axis_length, nest, same

Choice = dict[str, Any]


def next_in_grid(parameters: Sequence[Parameter], taken: Collection[str]) -> Choice | None:
    """Give the first combination of a grid that isn't taken.

    Args:
        parameters: Those of the sweep.
        taken: What was given out before, as `same` writes it.

    Returns:
        The parameters, nested as a run's config is; None when all combinations are taken.
    """
    paths = [parameter.path for parameter in parameters]
    for values in itertools.product(*map(_axis, parameters)):
        choice = nest(dict(zip(paths, values, strict=True)))
        if same(choice) not in taken:
            return choice
    return None


def draw(parameters: Sequence[Parameter], source: random.Random) -> Choice:
    """Draw each parameter from its distribution; nested as a run's config is."""
    return nest({parameter.path: draw_one(parameter, source) for parameter in parameters})


def chance(seed: str, index: int) -> random.Random:
    """Make the source of chance for choice number `index` of a sweep: always the same one."""
    return random.Random(f"{seed}:{index}")  # noqa: S311  chance for science, not for secrets


def expected_runs(config: SweepConfig) -> int | None:
    """Give how many runs the sweep will have; None when there is no end to them."""
    if config.method != "grid":
        return config.run_cap
    size = math.prod(map(axis_length, config.parameters))
    return size if config.run_cap is None else min(size, config.run_cap)


def quantise(parameter: Parameter, value: float) -> float:
    """Round to a multiple of the parameter's step; whole steps give whole numbers."""
    step: float = parameter.spec["q"]
    count = round(value / step)
    if isinstance(step, int):
        return count * step
    # 3 * 0.1 is 0.30000000000000004, which nobody meant.
    return float(f"{count * step:.15g}")


def draw_one(parameter: Parameter, source: random.Random) -> Any:
    """Draw a value of one parameter."""
    spec, kind = parameter.spec, parameter.distribution
    if kind == "constant":
        return spec["value"]
    if kind.startswith("categorical"):
        return source.choices(spec["values"], spec.get("probabilities"))[0]
    if kind == "int_uniform":
        return source.randint(spec["min"], spec["max"])
    if kind.startswith("q_"):
        return quantise(parameter, _CONTINUOUS[kind.removeprefix("q_")](source, spec))
    return _CONTINUOUS[kind](source, spec)


def _axis(parameter: Parameter) -> Sequence[Any]:
    """List the values of a parameter in a grid, each once."""
    spec = parameter.spec
    if parameter.distribution == "constant":
        return [spec["value"]]
    if parameter.distribution == "categorical":
        return list({same(value): value for value in spec["values"]}.values())
    step = spec.get("q", 1)
    steps = range(axis_length(parameter))
    return [_value_at(spec["min"], step, number) for number in steps]


def _value_at(start: float, step: float, number: int) -> float:
    """Give the value that lies a number of steps behind the start, without a float's dust."""
    value = start + number * step
    return float(f"{value:.15g}") if isinstance(value, float) else value


def _log_uniform_values(source: random.Random, spec: dict[str, Any]) -> float:
    low, high = float(spec["min"]), float(spec["max"])
    return min(max(math.exp(source.uniform(math.log(low), math.log(high))), low), high)


_Draw = Callable[[random.Random, dict[str, Any]], float]
_CONTINUOUS: dict[str, _Draw] = {
    "uniform": lambda source, spec: source.uniform(spec["min"], spec["max"]),
    "log_uniform": lambda source, spec: math.exp(source.uniform(spec["min"], spec["max"])),
    "log_uniform_values": _log_uniform_values,
    "inv_log_uniform": lambda source, spec: math.exp(-source.uniform(spec["min"], spec["max"])),
    # Where the logarithm of x is uniform, so is that of 1/x.
    "inv_log_uniform_values": _log_uniform_values,
    "normal": lambda source, spec: source.gauss(spec["mu"], spec["sigma"]),
    "log_normal": lambda source, spec: source.lognormvariate(spec["mu"], spec["sigma"]),
    "beta": lambda source, spec: source.betavariate(spec["a"], spec["b"]),
}
