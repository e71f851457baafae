"""Sweeps learn from what came of earlier runs: bayes chooses, Hyperband stops."""

import json
import math
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.server.conftest import Core
from tests.server.sweeping import Sweep, start_run
from wandb_server.sweeps.bayes import STARTUP, Observation, suggest
from wandb_server.sweeps.choose import chance, draw
from wandb_server.sweeps.config import Metric, parse_config
from wandb_server.sweeps.hyperband import Hyperband, read_hyperband
from wandb_server.sweeps.metrics import Logged, Span, impute
from wandb_server.sweeps.parameters import Parameter

LOSS = {"name": "loss", "goal": "minimize"}


def _parameters(**specs: Any) -> list[Parameter]:
    text = yaml.dump({"method": "bayes", "metric": LOSS, "parameters": specs})
    return parse_config(text).parameters


def _search(parameters: list[Parameter], goal: Any, runs: int, maximize: bool = False) -> list[Any]:
    """Search for so many runs; returns what each choice was worth."""
    seen: list[Observation] = []
    for index in range(runs):
        choice = suggest(parameters, maximize, seen, chance("search", index))
        seen.append(Observation(choice, goal(choice)))
    return [observation.value for observation in seen]


def test_bayes_finds_a_minimum_better_than_chance() -> None:
    parameters = _parameters(
        x={"min": -10.0, "max": 10.0},
        rate={"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
        kind={"values": ["bad", "good"]},
    )

    def loss(choice: dict[str, Any]) -> float:
        penalty = 0 if choice["kind"] == "good" else 20
        return (choice["x"] - 3) ** 2 + (math.log10(choice["rate"]) + 3) ** 2 + penalty

    found = _search(parameters, loss, 40)
    by_chance = [loss(draw(parameters, chance("chance", index))) for index in range(40)]
    assert sorted(found)[5] < sorted(by_chance)[1]
    assert sum(found[-10:]) < sum(found[:STARTUP]) / 4


def test_bayes_maximises() -> None:
    parameters = _parameters(x={"min": 0, "max": 100})
    found = _search(parameters, lambda choice: -abs(choice["x"] - 70), 30, maximize=True)
    assert max(found) >= -2
    assert sum(found[-10:]) > sum(found[:STARTUP])


@pytest.mark.parametrize(
    "spec",
    [
        {"value": "same"},
        {"values": [None, {"k": 1}, [2], "t"]},
        {"values": ["a", "never"], "probabilities": [1, 0]},
        {"min": 1, "max": 3},
        {"min": 1.0, "max": 3.0},
        {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.3},
        {"distribution": "log_uniform", "min": -2, "max": 0},
        {"distribution": "log_uniform_values", "min": 0.01, "max": 1},
        {"distribution": "q_log_uniform", "min": 0, "max": 3},
        {"distribution": "q_log_uniform_values", "min": 1, "max": 100, "q": 10},
        {"distribution": "inv_log_uniform", "min": 0, "max": 2},
        {"distribution": "inv_log_uniform_values", "min": 0.1, "max": 1},
        {"distribution": "normal", "mu": 5, "sigma": 2},
        {"distribution": "q_normal", "mu": 5, "sigma": 2},
        {"distribution": "log_normal", "mu": -1},
        {"distribution": "q_log_normal", "mu": 1},
        {"distribution": "beta", "a": 2, "b": 5},
        {"distribution": "q_beta", "q": 0.25},
    ],
    ids=lambda spec: spec.get("distribution") or "-".join(spec),
)
def test_bayes_searches_every_distribution(spec: dict[str, Any]) -> None:
    parameters = _parameters(g={"parameters": {"x": spec}}, y={"min": 0.0, "max": 1.0})
    seen = []
    for index in range(STARTUP + 4):
        choice = suggest(parameters, False, seen, chance("s", index))
        seen.append(Observation(json.loads(json.dumps(choice)), float(index % 5)))
    # What it chooses is of the kind that the distribution draws, and inside of it.
    values = [seen[index].choice["g"]["x"] for index in range(STARTUP, STARTUP + 4)]
    drawn = [draw(parameters, chance("d", index))["g"]["x"] for index in range(200)]
    if not isinstance(drawn[0], (int, float)):
        assert all(value in drawn for value in values)
        return
    assert {type(value) for value in values} == {type(value) for value in drawn}
    width = max(drawn) - min(drawn)
    assert all(min(drawn) - width <= value <= max(drawn) + width for value in values)
    if "q" in spec:
        assert all(math.isclose(value / spec["q"] % 1, 0, abs_tol=1e-9) for value in values)


def test_bayes_passes_over_runs_that_are_not_of_the_sweep() -> None:
    parameters = _parameters(x={"min": 0.0, "max": 1.0}, k={"values": [1, 2]})
    known = [Observation({"x": index / 20, "k": 1}, index / 20) for index in range(20)]
    strange = [
        Observation({"x": 7.0, "k": 1}, -9.0),
        Observation({"x": 0.5, "k": 3}, -9.0),
        Observation({"x": "text", "k": 1}, -9.0),
        Observation({"k": 1}, -9.0),
    ]
    source = [chance("s", 0), chance("s", 0)]
    assert suggest(parameters, False, known + strange, source[0]) == suggest(
        parameters, False, known, source[1]
    )


def test_runs_at_work_keep_the_search_from_their_place() -> None:
    parameters = _parameters(x={"min": 0.0, "max": 1.0})
    seen = [Observation({"x": index / 20}, abs(index / 20 - 0.5)) for index in range(21)]
    waiting = [Observation({"x": 0.5 + at / 1000}, None) for at in range(-10, 11)]

    def distance(observations: list[Observation]) -> float:
        found = [suggest(parameters, False, observations, chance("s", at)) for at in range(20)]
        return sum(abs(choice["x"] - 0.5) for choice in found)

    assert distance(seen + waiting) > distance(seen)


def test_a_server_without_optuna_says_what_it_lacks(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(AssertionError, match=r"bayes needs Optuna.*pip install optuna"):
        Sweep(core, method="bayes")
    Sweep(core, method="random")


def test_a_server_without_such_a_sweep_never_loads_optuna() -> None:
    code = "import sys, wandb_server.app; sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _bayes(core: Core, **metric: Any) -> Sweep:
    parameters = {"x": {"min": 0.0, "max": 1.0}}
    return Sweep(core, method="bayes", metric={**LOSS, **metric}, parameters=parameters)


X = _parameters(x={"min": 0.0, "max": 1.0})


def test_a_sweep_by_bayes_learns_from_its_runs_and_the_failed_ones(core: Core) -> None:
    sweep = _bayes(core)
    agent = sweep.agent()
    seen: list[Observation] = []
    for index in range(STARTUP + 8):
        run, values = sweep.next(agent)
        assert values == suggest(X, False, seen, chance(sweep.name, index))
        if index % 3 == 2:
            sweep.finish(run, exitcode=1)
            seen.append(Observation(values, 5.0))  # the worst one of all
            continue
        # The best value counts, not the last one.
        sweep.log(run, 5.0, values["x"], 5.0)
        sweep.finish(run)
        seen.append(Observation(values, values["x"]))
    assert sweep.read("state") == {"state": "RUNNING"}


def test_earlier_runs_of_the_user_s_choice_count_from_the_start(core: Core) -> None:
    for index in range(STARTUP + 2):
        start_run(core, f"early-{index}", config=json.dumps({"x": {"value": index / 12}}))
        Sweep.log(_driver(core), f"early-{index}", index / 12)
        Sweep.finish(_driver(core), f"early-{index}")
    prior = json.dumps({"$or": [{"name": f"early-{index}"} for index in range(STARTUP + 2)]})
    sweep = Sweep(
        core, prior, method="bayes", metric=LOSS, parameters={"x": {"min": 0.0, "max": 1.0}}
    )
    names = [
        edge["node"]["name"]
        for edge in sweep.read("priorRuns { edges { node { name } } }")["priorRuns"]["edges"]
    ]
    assert names == [f"early-{index}" for index in range(STARTUP + 2)]
    assert sweep.read("runCount") == {"runCount": 0}
    seen = [Observation({"x": index / 12}, index / 12) for index in range(STARTUP + 2)]
    for index in range(6):
        _, values = sweep.next(sweep.agent())
        assert values == suggest(X, False, seen, chance(sweep.name, index))
        seen.append(Observation(values, None))


def _driver(core: Core) -> Sweep:
    driver = Sweep.__new__(Sweep)
    driver.core = core
    return driver


@pytest.mark.parametrize(
    ("fields", "bands"),
    [
        ({"min_iter": 3}, (3, 9, 27, 81)),
        ({"min_iter": 4, "eta": 2}, (4, 8, 16, 32)),
        ({"max_iter": 27, "s": 2}, (3, 9)),
        ({"max_iter": 18, "s": 2, "eta": 3}, (2, 6)),
        ({"max_iter": 100, "s": 3, "eta": 2}, (12, 25, 50)),
    ],
)
def test_bands_follow_from_the_config(fields: dict[str, Any], bands: tuple[int, ...]) -> None:
    found = read_hyperband({"type": "hyperband", **fields})
    assert found is not None
    assert found.bands[:4] == bands


def test_hyperband_keeps_the_best_share_at_each_band() -> None:
    band = Hyperband((2, 4), keep=0.5, strict=False)
    rivals = [1.0, 2.0, 3.0, 4.0]
    assert not band.should_stop([9.0], rivals)
    assert not band.should_stop([9.0, 3.0], rivals)
    assert band.should_stop([9.0, 4.0], rivals)
    assert not band.should_stop([9.0, 4.0, 2.5], rivals)
    assert band.should_stop([1.5, 4.0, 9.0, 9.0], [1.0, 1.0, 1.0, 9.0])


def test_strict_hyperband_looks_at_the_value_at_the_band() -> None:
    lenient, strict = (Hyperband((2,), keep=0.5, strict=strict) for strict in (False, True))
    values, rivals = [1.0, 5.0], [1.0, 2.0, 5.0]
    assert not lenient.should_stop(values, rivals)
    assert strict.should_stop(values, rivals)


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1), ("maximize", -1)])
def test_a_run_that_lags_is_stopped_through_its_agent(core: Core, goal: str, sign: int) -> None:
    sweep = Sweep(
        core,
        metric={"name": "loss", "goal": goal},
        early_terminate={"type": "hyperband", "min_iter": 2, "eta": 3},
    )
    good, bad = sweep.agent(), sweep.agent()
    (first, _), (second, _) = sweep.next(good), sweep.next(bad)
    sweep.log(first, sign * 1.0, sign * 0.5)
    sweep.log(second, sign * 9.0, "NaN")
    assert sweep.beat(bad, second) == []
    sweep.log(second, sign * 8.0, first=2)
    assert sweep.beat(good, first) == []
    assert sweep.beat(bad, second) == [{"type": "stop", "run_id": second}]
    assert sweep.beat(bad, second) == [{"type": "stop", "run_id": second}]
    sweep.finish(second, exitcode=1)
    third, _ = sweep.next(bad)
    assert sweep.states() == {first: "running", second: "killed", third: "running"}


def test_a_stopped_run_that_ends_without_a_word_is_killed(core: Core) -> None:
    sweep = Sweep(core, early_terminate={"type": "hyperband", "min_iter": 1, "eta": 3})
    good, bad = sweep.agent(), sweep.agent()
    (first, _), (second, _) = sweep.next(good), sweep.next(bad)
    sweep.log(first, 1.0)
    sweep.log(second, 2.0)
    assert sweep.beat(bad, second) == [{"type": "stop", "run_id": second}]
    sweep.next(bad)
    assert sweep.states()[second] == "killed"


def test_a_sweep_ends_when_a_run_reaches_the_target(core: Core) -> None:
    sweep = Sweep(core, method="random", metric={**LOSS, "target": 0.1})
    agent = sweep.agent()
    run, _ = sweep.next(agent)
    sweep.log(run, 0.5)
    sweep.finish(run)
    assert sweep.read("state") == {"state": "RUNNING"}
    run, _ = sweep.next(agent)
    sweep.log(run, 0.05, 0.7)
    sweep.finish(run)
    assert sweep.beat(agent) == [{"type": "exit"}]
    assert sweep.read("state") == {"state": "FINISHED"}


@pytest.mark.parametrize(("how", "kept"), [("worst", 0.6), ("best", 0.2), ("latest", 0.4)])
def test_a_failed_run_is_worth_what_the_config_says(how: str, kept: float) -> None:
    metric = Metric("loss", maximize=False, target=None, impute=how, impute_while_running=None)
    logged = [
        Logged("finished", Span(lowest=0.1, highest=0.6, latest=0.1)),
        Logged("failed", Span(lowest=0.2, highest=0.5, latest=0.4)),
        Logged("running", Span(lowest=0.3, highest=0.3, latest=0.3)),
        Logged("finished", None),
    ]
    expected = [0.1, kept, None, 0.6 if how == "worst" else None]
    assert impute(logged, metric) == expected
