"""Sweeps take the configurations that make sense, and choose what was asked for."""

import json
import math
import random
from collections import Counter
from statistics import fmean, stdev
from typing import Any

import pytest
import yaml

from tests.server.conftest import Core
from tests.server.sweeping import GRID, Sweep
from wandb_server.errors import ClientError
from wandb_server.sweeps.choose import chance, draw, expected_runs, next_in_grid
from wandb_server.sweeps.config import SweepConfig, find_violations, parse_config
from wandb_server.sweeps.parameters import same


def _config(**fields: Any) -> SweepConfig:
    return parse_config(yaml.dump({**GRID, **fields}))


def _draw(count: int, **spec: Any) -> list[Any]:
    config = _config(method="random", parameters={"x": spec})
    return [draw(config.parameters, chance("s", index))["x"] for index in range(count)]


def _grid(**specs: Any) -> list[dict[str, Any]]:
    config = _config(parameters=specs)
    found: list[dict[str, Any]] = []
    while choice := next_in_grid(config.parameters, set(map(same, found))):
        found.append(choice)
    assert len(found) == expected_runs(config)
    return found


def test_a_grid_goes_through_each_combination_once() -> None:
    expected = [{"a": a, "b": {"c": c}} for a in (1, 2) for c in (0, 1, 2)]
    assert _grid(**GRID["parameters"]) == expected


def test_a_grid_takes_what_was_not_taken_only() -> None:
    parameters = _config().parameters
    taken = {same({"a": 1, "b": {"c": c}}) for c in (0, 2)}
    assert next_in_grid(parameters, taken) == {"a": 1, "b": {"c": 1}}


def test_a_grid_tells_values_apart_by_type_and_gives_equal_ones_once() -> None:
    values = [1, 1.0, True, "1", None, {"k": [1]}, 1, {"k": [1]}]
    assert [choice["x"] for choice in _grid(x={"values": values})] == values[:6]


def test_a_quantised_grid_keeps_both_ends() -> None:
    spec = {"distribution": "q_uniform", "min": 0, "max": 0.5, "q": 0.1}
    assert [choice["x"] for choice in _grid(x=spec)] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_the_number_of_runs_is_known_where_there_is_an_end() -> None:
    assert expected_runs(_config(run_cap=2)) == 2
    assert expected_runs(_config(run_cap=20)) == 6
    assert expected_runs(_config(method="random")) is None
    assert expected_runs(_config(method="random", run_cap=7)) == 7


@pytest.mark.parametrize(
    ("spec", "low", "high"),
    [
        ({"min": 1, "max": 3}, 1, 3),
        ({"min": 1.0, "max": 3.0}, 1, 3),
        ({"min": 0, "max": 1.0}, 0, 1),
        ({"distribution": "q_uniform", "min": 0, "max": 10, "q": 5}, 0, 10),
        ({"distribution": "log_uniform", "min": -2, "max": 0}, math.exp(-2), 1),
        ({"distribution": "log_uniform_values", "min": 0.01, "max": 1}, 0.01, 1),
        ({"distribution": "q_log_uniform", "min": 0, "max": 3}, 1, 20),
        ({"distribution": "q_log_uniform_values", "min": 1, "max": 100, "q": 10}, 0, 100),
        ({"distribution": "inv_log_uniform", "min": 0, "max": 2}, math.exp(-2), 1),
        ({"distribution": "inv_log_uniform_values", "min": 0.1, "max": 1}, 0.1, 1),
        ({"distribution": "normal", "mu": 5, "sigma": 0.001}, 4.9, 5.1),
        ({"distribution": "q_normal", "mu": 5, "sigma": 0.001}, 5, 5),
        ({"distribution": "log_normal", "sigma": 0.001}, 0.9, 1.1),
        ({"distribution": "q_log_normal", "sigma": 0.001, "q": 0.5}, 1, 1),
        ({"distribution": "beta", "a": 2, "b": 2}, 0, 1),
        ({"distribution": "q_beta", "q": 0.25}, 0, 1),
        ({"value": 7}, 7, 7),
        ({"distribution": "constant", "value": 7}, 7, 7),
    ],
)
def test_a_random_value_lies_where_it_should(spec: dict[str, Any], low: float, high: float) -> None:
    values = _draw(50, **spec)
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in values)
    assert values == _draw(50, **spec)
    if "q" in spec:
        assert all(math.isclose(value / spec["q"] % 1, 0, abs_tol=1e-9) for value in values)


@pytest.mark.parametrize(
    ("spec", "shape", "mean", "spread"),
    [
        ({"distribution": "normal", "mu": 3, "sigma": 2}, float, 3, 2),
        ({"distribution": "log_normal", "mu": 3, "sigma": 2}, math.log, 3, 2),
        ({"distribution": "log_uniform", "min": -2, "max": 4}, math.log, 1, 6 / math.sqrt(12)),
        ({"distribution": "inv_log_uniform", "min": -2, "max": 4}, math.log, -1, 6 / math.sqrt(12)),
        (
            {"distribution": "inv_log_uniform_values", "min": 1, "max": 100},
            math.log10,
            1,
            2 / math.sqrt(12),
        ),
        ({"distribution": "beta", "a": 2, "b": 6}, float, 0.25, math.sqrt(12 / 576)),
    ],
)
def test_random_values_follow_their_distribution(
    spec: dict[str, Any], shape: Any, mean: float, spread: float
) -> None:
    values = [shape(value) for value in _draw(2000, **spec)]
    assert fmean(values) == pytest.approx(mean, abs=4 * spread / math.sqrt(2000))
    assert stdev(values) == pytest.approx(spread, rel=0.1)


def test_whole_steps_give_whole_numbers() -> None:
    values = _draw(20, distribution="q_log_uniform_values", min=1, max=1000, q=8)
    assert {type(value) for value in values} == {int}


@pytest.mark.parametrize("kind", [{"distribution": "categorical_w_probabilities"}, {}])
def test_random_categories_follow_their_probabilities(kind: dict[str, str]) -> None:
    drawn = Counter(_draw(400, values=["a", "b", "c"], probabilities=[0.75, 0.25, 0], **kind))
    assert drawn["c"] == 0
    assert drawn["a"] / 400 == pytest.approx(0.75, abs=0.08)
    assert set(_draw(50, values=[1, 2])) == {1, 2}


def _one(**spec: Any) -> dict[str, Any]:
    return {"method": "random", "parameters": {"x": spec}}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "custom"}, "doesn't have the method 'custom'; one of grid, random, bayes"),
        ({"method": None}, "doesn't have the method None"),
        ({"scheduler": {"engine": "optuna"}}, "scheduler: this local server doesn't have"),
        ({"metrics": [{"name": "a"}]}, "doesn't have sweeps over several metrics"),
        ({"controller": {"type": "local"}}, "doesn't have sweeps that a controller of the client"),
        ({"parameters": None}, "parameters must name at least one"),
        ({"parameters": {}}, "parameters must name at least one"),
        ({"parameters": {"x": 1}}, r"sweep parameter x: write \{value: 1\}"),
        ({"method": "bayes", "metric": None}, "method: bayes needs a metric"),
        ({"metric": "loss"}, "metric needs a name"),
        ({"metric": {"name": "l", "goal": "max"}}, "metric.goal 'max': one of minimize, maximize"),
        ({"metric": {"name": "l", "impute": "mean"}}, "impute 'mean': one of worst, best, latest"),
        ({"metric": {"name": "l", "target": "low"}}, "metric.target must be a number, not 'low'"),
        ({"run_cap": 0}, "run_cap must be a whole number above 0, not 0"),
        ({"early_terminate": {"type": "median"}}, "must have type: hyperband"),
        ({"early_terminate": {"type": "hyperband"}}, "needs min_iter, or max_iter and s"),
        ({"early_terminate": {"type": "hyperband", "max_iter": 9}}, "or max_iter and s"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 0}}, "compares runs at no time"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 3, "eta": 1}}, "eta must be above"),
        ({"early_terminate": {"type": "hyperband", "min_iter": "3"}}, "min_iter must be a number"),
        ({"early_terminate": {"type": "hyperband", "mini": 3}}, "has no 'mini'; it has type, min"),
        (
            {"metric": None, "early_terminate": {"type": "hyperband", "min_iter": 3}},
            "early_terminate needs a metric",
        ),
        (_one(values=[]), "x: values must be a list of some"),
        (_one(values="abc"), "x: values must be a list of some"),
        (_one(values=[1, 2], probabilities=[1]), "are not the same length"),
        (_one(values=[1, 2], probabilities=[0.5, 0.4]), r"\[0.5, 0.4\] do not sum to 1"),
        (_one(values=[1, 2], probabilities=[1.5, -0.5]), "a probability is below 0: -0.5"),
        (_one(distribution="odd"), "x: there is no distribution 'odd'; one of constant"),
        (_one(distribution="uniform", min=1), "x: max is missing for the distribution 'uniform'"),
        (_one(max=3), "x: min is missing"),
        (_one(min=5, max=3), "x: min 5 is not less than max 3"),
        (_one(min=1e-4, max="1e-2"), "x: max must be a number, not '1e-2'; YAML wants a dot"),
        (_one(min="low", max=2), "x: min must be a number, not 'low'$"),
        (_one(min=True, max=2), "x: min must be a number, not True"),
        (_one(min=0.0, max=math.inf), "x: max must be finite"),
        (_one(min=0, max=10**400), "x: max must be finite"),
        (_one(distribution="int_uniform", min=0.5, max=2), "int_uniform needs whole numbers"),
        (_one(distribution="q_uniform", min=0, max=2, q=0), "q must be above 0, not 0"),
        (_one(distribution="normal", sigma=0), "sigma must be above 0, not 0"),
        (_one(distribution="beta", a=-1), "a must be above 0, not -1"),
        (_one(distribution="log_uniform_values", min=0, max=2), "min must be above 0 for log_uni"),
        (_one(distribution="log_uniform", min=0, max=1000), "log_uniform_values takes the limits"),
        (_one(distribution="log_normal", sigma=1000), "mu and sigma are exponents of e"),
        ({"parameters": {"g": {"parameters": {"x": {"min": 0.5, "max": 1}}}}}, "g.x: a grid can't"),
        ({"parameters": {"x": {"min": 0, "max": 10**12}}}, "are too many for a grid"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        _config(**fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: [", "not valid YAML"),
        ("method: 2020-13-45", "not valid YAML: month must be in"),
        ("method: " + "9" * 5000, "not valid YAML"),
        ("just text", "it needs a method and parameters"),
        ("method: grid\nparameters: {x: {values: [2020-01-01]}}", "date is not JSON serializable"),
        ("a: &a [1]\nb: *a", "YAML aliases"),
    ],
)
def test_a_text_that_is_no_config_is_refused(text: str, message: str) -> None:
    with pytest.raises(ClientError, match=message):
        parse_config(text)


def test_what_a_broken_client_sends_is_refused_or_makes_sense() -> None:
    chance_ = random.Random(7)
    odd: list[Any] = [None, True, -1, 0, 3, 0.5, 1e308, 10**30, "", "1e-3", [], [1], {}, {"a": 1}]
    names = ["method", "metric", "parameters", "run_cap", "early_terminate", "name", "goal"]
    names += ["target", "impute", "type", "min_iter", "max_iter", "s", "eta", "strict", "x", "min"]
    names += ["max", "q", "mu", "sigma", "a", "values", "value", "probabilities", "distribution"]
    kinds = ["grid", "random", "bayes", "hyperband", "normal", "q_log_normal", "log_uniform"]
    taken = 0

    def make(depth: int) -> Any:
        if depth == 0 or chance_.random() < 0.2:
            return chance_.choice([*odd, *kinds])
        return {name: make(depth - 1) for name in chance_.sample(names, 4)}

    for index in range(120):
        fields = {**GRID, "method": chance_.choice(["grid", "random"])}
        for name in chance_.sample(names, 2):
            fields[name] = make(3)
        fields["parameters"] = {"x": make(1), **({} if index % 2 else {"y": make(2)})}
        try:
            config = parse_config(json.dumps(fields))
        except ClientError:
            continue
        taken += 1
        expected_runs(config)
        find_violations(json.dumps(fields))
        if config.method == "grid":
            next_in_grid(config.parameters, set())
        else:
            same(draw(config.parameters, chance("s", index)))
    assert taken > 5


def test_oddities_are_told_and_taken() -> None:
    fields = {
        "method": "random",
        "metric": {"name": "loss", "gaol": "maximize"},
        "parametres": {},
        "parameters": {
            "g": {"parameters": {"x": {"distribution": "log_uniform", "min": 0, "max": 1}}},
            "y": {"min": 0.0, "max": 1.0, "q": 0.1},
        },
    }
    assert find_violations(yaml.dump(fields)) == [
        "there is no key 'parametres'",
        "metric: there is no key 'gaol'",
        "g.x uses log_uniform, where min/max specify base-e exponents. "
        "Use log_uniform_values to specify limit values.",
        "y: 'q' has no meaning for the distribution 'uniform'",
    ]


def test_warnings_reach_the_client(core: Core) -> None:
    assert Sweep(core).warnings == []
    assert Sweep(core, runcap=3).warnings == ["there is no key 'runcap'"]


def test_a_wide_grid_costs_no_memory_to_count() -> None:
    wide = {f"p{index}": {"min": 0, "max": 9} for index in range(30)}
    config = _config(parameters=wide)
    assert expected_runs(config) == 10**30
    assert next_in_grid(config.parameters, set()) == dict.fromkeys(wide, 0)


def test_a_seed_decides_the_choices_of_a_sweep() -> None:
    drawn = {seed: chance(seed, 3).random() for seed in ("one", "other")}
    assert drawn["one"] != drawn["other"]
    assert drawn["one"] == chance("one", 3).random() != chance("one", 4).random()
    assert isinstance(chance("one", 3), random.Random)
