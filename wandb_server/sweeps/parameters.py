"""The parameters of a sweep: read, checked, laid out flat."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

from wandb_server.errors import ClientError

# Keys that each distribution needs, and its optional keys with what they are when left out.
_BOUNDS: tuple[str, ...] = ("min", "max")
_STEP: dict[str, float] = {"q": 1}
_NORMAL: dict[str, float] = {"mu": 0.0, "sigma": 1.0}
_BETA: dict[str, float] = {"a": 1, "b": 1}
_DISTRIBUTIONS: dict[str, tuple[tuple[str, ...], dict[str, float]]] = {
    "constant": (("value",), {}),
    "categorical": (("values",), {}),
    "categorical_w_probabilities": (("values", "probabilities"), {}),
    "int_uniform": (_BOUNDS, {}),
    "uniform": (_BOUNDS, {}),
    "q_uniform": (_BOUNDS, _STEP),
    "log_uniform": (_BOUNDS, {}),
    "q_log_uniform": (_BOUNDS, _STEP),
    "inv_log_uniform": (_BOUNDS, {}),
    "log_uniform_values": (_BOUNDS, {}),
    "q_log_uniform_values": (_BOUNDS, _STEP),
    "inv_log_uniform_values": (_BOUNDS, {}),
    "normal": ((), _NORMAL),
    "q_normal": ((), _NORMAL | _STEP),
    "log_normal": ((), _NORMAL),
    "q_log_normal": ((), _NORMAL | _STEP),
    "beta": ((), _BETA),
    "q_beta": ((), _BETA | _STEP),
}
# Those whose bounds are exponents of e, and what takes the limits themselves.
_EXPONENTS = {
    "log_uniform": "log_uniform_values",
    "q_log_uniform": "q_log_uniform_values",
    "inv_log_uniform": "inv_log_uniform_values",
}
_GRID = ("constant", "categorical", "int_uniform", "q_uniform")
# A float holds no more than e to the power of 709.
_LARGEST_EXPONENT = 700.0
_LARGEST = 1e300
_LARGEST_AXIS = 100_000


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    `path` is its name after those of the groups around it, from outside in. `spec` holds each
    key that the distribution has, what was left out included.
    """

    path: tuple[str, ...]
    distribution: str
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        """The path as one text, for people."""
        return ".".join(self.path)


def read_parameters(specs: object, method: str) -> list[Parameter]:
    """Read the parameters of a configuration.

    Args:
        specs: What stands under `parameters`: specifications by name, groups among them.
        method: The sweep's method: a grid takes only what can be counted.

    Raises:
        ClientError: One of them can't be searched as it is written.
    """
    if not isinstance(specs, dict) or not specs:
        raise ClientError(f"sweep config: parameters must name at least one, not {specs!r}")
    parameters = list(_flatten((), specs))
    for parameter in parameters:
        if method == "grid":
            _check_grid(parameter)
    return parameters


def find_oddities(specs: dict[str, Any], outer: tuple[str, ...] = ()) -> Iterator[str]:
    """Say what in valid parameters is probably not what was meant."""
    for name, spec in specs.items():
        path = (*outer, name)
        if _is_group(spec):
            yield from find_oddities(spec["parameters"], path)
            continue
        parameter = _read(path, spec)
        kind = parameter.distribution
        known = {"distribution", *parameter.spec}
        for key in sorted(spec.keys() - known):
            yield f"{parameter.name}: {key!r} has no meaning for the distribution {kind!r}"
        if kind in _EXPONENTS:
            yield (
                f"{parameter.name} uses {kind}, where min/max specify base-e exponents. "
                f"Use {_EXPONENTS[kind]} to specify limit values."
            )


def nest(values: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """Put values by path into nested dicts, as the run's config holds them."""
    result: dict[str, Any] = {}
    for path, value in values.items():
        inner = result
        for group in path[:-1]:
            inner = inner.setdefault(group, {})
        inner[path[-1]] = value
    return result


def reach(values: object, path: tuple[str, ...]) -> Any:
    """Read what stands at a path of nested dicts.

    Raises:
        KeyError: Nothing stands there.
    """
    for part in path:
        if not isinstance(values, dict):
            raise KeyError(part)
        values = values[part]
    return values


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether floats can reckon with a value: texts, NaN and what is too large are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return -_LARGEST <= value <= _LARGEST


def same(value: Any) -> str:
    """Give a text that is equal for equal values; True, 1 and 1.0 are three different ones."""
    return json.dumps(value, sort_keys=True)


def axis_length(parameter: Parameter) -> int:
    """Count the values of a parameter in a grid."""
    spec = parameter.spec
    if parameter.distribution == "constant":
        return 1
    if parameter.distribution == "categorical":
        return len({same(value) for value in spec["values"]})
    steps: float = (spec["max"] - spec["min"]) / spec.get("q", 1)
    return math.floor(min(steps, _LARGEST) + 1e-9) + 1


def _flatten(outer: tuple[str, ...], specs: dict[str, Any]) -> Iterator[Parameter]:
    for name, spec in specs.items():
        path = (*outer, name)
        if _is_group(spec):
            yield from _flatten(path, spec["parameters"])
        else:
            yield _read(path, spec)


def _is_group(spec: object) -> bool:
    return isinstance(spec, dict) and isinstance(spec.get("parameters"), dict)


def _read(path: tuple[str, ...], spec: object) -> Parameter:
    name = ".".join(path)
    if not isinstance(spec, dict):
        raise ClientError(f"sweep parameter {name}: write {{value: {spec!r}}}")
    kind = spec.get("distribution") or _guess(spec)
    if not isinstance(kind, str) or kind not in _DISTRIBUTIONS:
        raise ClientError(
            f"sweep parameter {name}: there is no distribution {kind!r}; "
            f"one of {', '.join(_DISTRIBUTIONS)}"
        )
    needed, optional = _DISTRIBUTIONS[kind]
    missing = [key for key in needed if key not in spec]
    if missing:
        raise ClientError(
            f"sweep parameter {name}: {', '.join(missing)} is missing for the distribution {kind!r}"
        )
    given = {key: spec[key] for key in (*needed, *optional) if key in spec}
    parameter = Parameter(path, kind, {**optional, **given})
    _check(parameter)
    return parameter


def _guess(spec: dict[str, Any]) -> str:
    """Name the distribution of a parameter that doesn't name it; nested ones never do."""
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical_w_probabilities" if "probabilities" in spec else "categorical"
    return "int_uniform" if _is_whole(spec.get("min")) and _is_whole(spec.get("max")) else "uniform"


def _check(parameter: Parameter) -> None:
    kind, spec = parameter.distribution, parameter.spec
    if kind == "constant":
        return
    if kind.startswith("categorical"):
        _check_values(parameter)
        return
    for key, value in spec.items():
        _check_number(parameter, key, value)
    if "min" in spec:
        _check_bounds(parameter)
    for key in spec.keys() & {"q", "sigma", "a", "b"}:
        _require(parameter, spec[key] > 0, f"{key} must be above 0, not {spec[key]!r}")
    if kind.endswith("log_normal"):
        reach = abs(spec["mu"]) + 10 * spec["sigma"]
        _require(
            parameter, reach <= _LARGEST_EXPONENT, "mu and sigma are exponents of e: too large"
        )


def _check_values(parameter: Parameter) -> None:
    values, shares = parameter.spec["values"], parameter.spec.get("probabilities")
    _require(parameter, isinstance(values, list) and values, "values must be a list of some")
    if shares is None:
        return
    _require(parameter, isinstance(shares, list), "probabilities must be a list")
    _require(
        parameter,
        len(values) == len(shares),
        f"values {values!r} and probabilities {shares!r} are not the same length",
    )
    for share in shares:
        _check_number(parameter, "a probability", share)
        _require(parameter, share >= 0, f"a probability is below 0: {share!r}")
    _require(
        parameter,
        math.isclose(sum(shares), 1, abs_tol=1e-6),
        f"probabilities {shares!r} do not sum to 1",
    )


def _check_bounds(parameter: Parameter) -> None:
    kind, low, high = parameter.distribution, parameter.spec["min"], parameter.spec["max"]
    _require(parameter, low < high, f"min {low!r} is not less than max {high!r}")
    if kind == "int_uniform":
        whole = _is_whole(low) and _is_whole(high)
        _require(parameter, whole, f"int_uniform needs whole numbers, not {low!r} and {high!r}")
    if kind in _EXPONENTS:
        limit = f"min and max of {kind} are exponents of e, at most {_LARGEST_EXPONENT:.0f}"
        far = max(abs(low), abs(high)) > _LARGEST_EXPONENT
        _require(parameter, not far, f"{limit}; {_EXPONENTS[kind]} takes the limits themselves")
    if kind.endswith("log_uniform_values"):
        _require(parameter, low > 0, f"min must be above 0 for {kind}, not {low!r}")


def _check_number(parameter: Parameter, key: str, value: object) -> None:
    if is_number(value):
        return
    hint = ""
    if isinstance(value, str) and _reads_as_number(value):
        # YAML 1.1 takes 1e-4 for a text, but not 1.0e-4.
        hint = "; YAML wants a dot in a number with an exponent, such as 1.0e-4"
    what = "finite" if isinstance(value, (int, float)) and value is not True else "a number"
    raise ClientError(
        f"sweep parameter {parameter.name}: {key} must be {what}, not {value!r}{hint}"
    )


def _check_grid(parameter: Parameter) -> None:
    kind = parameter.distribution
    _require(
        parameter,
        kind in _GRID,
        f"a grid can't go through {kind!r}; one of {', '.join(_GRID)}, or use random",
    )
    length = axis_length(parameter)
    _require(
        parameter,
        length <= _LARGEST_AXIS,
        f"{length} values are too many for a grid: take fewer, a larger q, or random",
    )


def _require(parameter: Parameter, holds: object, otherwise: str) -> None:
    if not holds:
        raise ClientError(f"sweep parameter {parameter.name}: {otherwise}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _reads_as_number(text: str) -> bool:
    try:
        return is_number(float(text))
    except ValueError:
        return False
