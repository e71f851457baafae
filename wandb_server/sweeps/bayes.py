"""Chooses parameters by what came of earlier ones; Optuna's TPE sampler does the maths.

Optuna is imported when the first choice is made: a server without such sweeps never pays for it.
"""

import importlib.util
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from wandb_server.errors import ClientError
from wandb_server.sweeps.choose import Choice, draw, quantise
from wandb_server.sweeps.parameters import Parameter, nest, reach, same

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

# So many results are drawn by chance first: the sampler has nothing to learn from before.
STARTUP = 10
# Normal distributions are searched by quantile; the last ones lie at infinity.
_EDGE = 1e-6


@dataclass(frozen=True)
class Observation:
    """What came of one choice: its metric, or None while the run is at work or has none."""

    choice: Choice
    value: float | None


def check_optimiser() -> None:
    """Raise ClientError unless Optuna is installed."""
    if importlib.util.find_spec("optuna") is None:
        raise ClientError(
            "sweep config: method: bayes needs Optuna, which the server's environment lacks: "
            "pip install optuna, or take random"
        )


def suggest(
    parameters: Sequence[Parameter],
    maximize: bool,
    observations: Sequence[Observation],
    source: random.Random,
) -> Choice:
    """Choose what is likely to be better than what was seen.

    Args:
        parameters: Those of the sweep.
        maximize: Whether more is better.
        observations: What was chosen before. Those without a value keep the choice away from
            what is being tried already.
        source: Where chance comes from; the same one gives the same choice.

    Returns:
        The parameters, nested as a run's config is.
    """
    found = sum(observation.value is not None for observation in observations)
    axes = [_axis(parameter) for parameter in parameters if _is_searched(parameter)]
    # Chance follows the distributions that the user wrote, which is more than the sampler does.
    if found < STARTUP or not axes:
        return draw(parameters, source)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {str(index): axis.distribution for index, axis in enumerate(axes)}
    study = optuna.create_study(
        direction="maximize" if maximize else "minimize",
        sampler=optuna.samplers.TPESampler(
            seed=source.getrandbits(32), n_startup_trials=STARTUP, constant_liar=True
        ),
    )
    trials = (_trial(axes, space, observation) for observation in observations)
    study.add_trials([trial for trial in trials if trial is not None])
    places = study.ask(space).params
    values = {
        axis.parameter.path: axis.to_value(places[str(index)]) for index, axis in enumerate(axes)
    }
    constants = {
        parameter.path: parameter.spec["value"]
        for parameter in parameters
        if not _is_searched(parameter)
    }
    return nest(constants | values)


@dataclass(frozen=True)
class _Axis:
    """A parameter as the sampler sees it: a place on a scale that it can search evenly."""

    parameter: Parameter
    distribution: "BaseDistribution"
    to_value: Callable[[Any], Any]
    to_place: Callable[[Any], float]


def _is_searched(parameter: Parameter) -> bool:
    return parameter.distribution != "constant"


def _axis(parameter: Parameter) -> _Axis:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    kind, spec = parameter.distribution, parameter.spec
    if kind.startswith("categorical"):
        shares = spec.get("probabilities") or [1] * len(spec["values"])
        values = [value for value, share in zip(spec["values"], shares, strict=True) if share > 0]
        keys = list(map(same, values))
        return _Axis(
            parameter,
            CategoricalDistribution(range(len(values))),
            values.__getitem__,
            lambda value: keys.index(same(value)),
        )
    if kind == "int_uniform":
        low, high = spec["min"], spec["max"]
        return _Axis(
            parameter, IntDistribution(low, high), int, lambda value: _inside(low, value, high)
        )
    if kind.endswith("normal"):
        normal = NormalDist(spec["mu"], spec["sigma"])
        in_logs = kind.endswith("log_normal")
        return _Axis(
            parameter,
            FloatDistribution(_EDGE, 1 - _EDGE),
            _stepped(parameter, lambda q: _exp(normal.inv_cdf(q), in_logs)),
            lambda value: min(max(_EDGE, normal.cdf(_log(value, in_logs))), 1 - _EDGE),
        )
    low, high = _limits(parameter)
    return _Axis(
        parameter,
        FloatDistribution(low, high, log="log" in kind),
        _stepped(parameter, float),
        lambda value: _inside(low, value, high, spec.get("q", 0)),
    )


def _limits(parameter: Parameter) -> tuple[float, float]:
    kind, spec = parameter.distribution, parameter.spec
    if kind.endswith("beta"):
        return 0.0, 1.0
    low, high = spec["min"], spec["max"]
    if kind == "inv_log_uniform":
        low, high = -high, -low
    return (math.exp(low), math.exp(high)) if kind.endswith("log_uniform") else (low, high)


def _stepped(parameter: Parameter, to_value: Callable[[float], float]) -> Callable[[float], float]:
    if not parameter.distribution.startswith("q_"):
        return to_value
    return lambda place: quantise(parameter, to_value(place))


def _exp(value: float, in_logs: bool) -> float:
    return math.exp(value) if in_logs else value


def _log(value: float, in_logs: bool) -> float:
    if not in_logs:
        return value
    # Rounding to a step can leave nothing.
    return math.log(value) if value > 0 else -math.inf


def _inside(low: float, value: float, high: float, step: float = 0) -> float:
    """Put a value that a step rounded out of its range back into it.

    Raises:
        ValueError: It lies further outside than that.
    """
    if not low - step <= value <= high + step:
        raise ValueError(value)
    return min(max(low, value), high)


def _trial(
    axes: Sequence[_Axis], space: dict[str, "BaseDistribution"], observation: Observation
) -> "FrozenTrial | None":
    """Tell the sampler of an observation; None for one that isn't of this space."""
    from optuna.trial import TrialState, create_trial

    try:
        places = {
            str(index): axis.to_place(reach(observation.choice, axis.parameter.path))
            for index, axis in enumerate(axes)
        }
    except (KeyError, ValueError, TypeError):
        return None  # a prior run that lacks a parameter, or has a value outside of its range
    state = TrialState.RUNNING if observation.value is None else TrialState.COMPLETE
    return create_trial(state=state, value=observation.value, params=places, distributions=space)
