"""Sweeps choose what they were asked to, once each, and end."""

import json
import math
from collections import Counter
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.server.conftest import Core
from wandb_server.errors import ClientError
from wandb_server.sweeps.choose import choose, expected_runs
from wandb_server.sweeps.config import SweepConfig, parse_config

GRID = {
    "method": "grid",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"a": {"values": [1, 2]}, "b": {"parameters": {"c": {"min": 0, "max": 2}}}},
}
SWEEP = """mutation ($c: String, $i: ID, $s: String) {
    upsertSweep(input: {id: $i, config: $c, projectName: "p", state: $s}) { sweep { id name } }
}"""
AGENT = """mutation ($s: String!) {
    createAgent(input: {host: "h", projectName: "p", sweep: $s}) { agent { id } }
}"""
BEAT = """mutation ($a: ID!, $r: JSONString) {
    agentHeartbeat(input: {id: $a, runState: $r}) { commands }
}"""


def _config(**fields: Any) -> SweepConfig:
    return parse_config(yaml.dump({**GRID, **fields}))


def _random(**spec: Any) -> SweepConfig:
    return _config(method="random", parameters={"x": spec})


class Sweep:
    """A sweep of the core, driven the way agents do."""

    def __init__(self, core: Core, **fields: Any) -> None:
        self.core = core
        made = core.data(SWEEP, c=yaml.dump({**GRID, **fields}))["upsertSweep"]["sweep"]
        self.id, self.name = made["id"], made["name"]

    def agent(self) -> str:
        return self.core.data(AGENT, s=self.name)["createAgent"]["agent"]["id"]

    def beat(self, agent: str, *running: str) -> list[dict[str, Any]]:
        states = json.dumps(dict.fromkeys(running, True))
        return json.loads(self.core.data(BEAT, a=agent, r=states)["agentHeartbeat"]["commands"])

    def start(self, run: str) -> None:
        query = """mutation ($n: String, $s: String) { upsertBucket(
            input: {name: $n, modelName: "p", host: "h", sweep: $s}
        ) { inserted } }"""
        answer = self.core.data(query, n=run, s=self.name)
        assert answer["upsertBucket"]["inserted"] is False

    def finish(self, run: str) -> None:
        with self.core.database.write() as connection:
            connection.execute("UPDATE run SET state = 'finished' WHERE name = ?", (run,))

    def set_state(self, state: str) -> None:
        self.core.data(SWEEP, i=self.id, s=state)

    def read(self, fields: str) -> dict[str, Any]:
        query = 'query ($s: String) { project(name: "p") { sweep(sweepName: $s) { %s } } }'
        return self.core.data(query % fields, s=self.name)["project"]["sweep"]


def test_a_grid_goes_through_each_combination_once() -> None:
    config = _config()
    found = [choose(config, "s", index) for index in range(7)]
    assert found[:6] == [{"a": a, "b": {"c": c}} for a in (1, 2) for c in (0, 1, 2)]
    assert found[6] is None
    assert expected_runs(config) == 6


def test_a_run_cap_ends_a_sweep() -> None:
    assert choose(_config(run_cap=2), "s", 2) is None
    assert expected_runs(_config(run_cap=2)) == 2
    assert expected_runs(_config(method="random")) is None


def test_a_quantised_grid_keeps_both_ends() -> None:
    config = _config(parameters={"x": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}})
    found = [choose(config, "s", index) for index in range(5)]
    assert found == [{"x": value} for value in (0, 0.25, 0.5, 0.75, 1)]


@pytest.mark.parametrize(
    ("spec", "low", "high"),
    [
        ({"min": 1, "max": 3}, 1, 3),
        ({"min": 1.0, "max": 3.0}, 1, 3),
        ({"distribution": "q_uniform", "min": 0, "max": 10, "q": 5}, 0, 10),
        ({"distribution": "log_uniform", "min": -2, "max": 0}, math.exp(-2), 1),
        ({"distribution": "log_uniform_values", "min": 0.01, "max": 1}, 0.01, 1),
        ({"distribution": "q_log_uniform_values", "min": 1, "max": 100, "q": 10}, 0, 100),
        ({"distribution": "inv_log_uniform", "min": 0, "max": 2}, math.exp(-2), 1),
        ({"distribution": "inv_log_uniform_values", "min": 0.1, "max": 1}, 0.1, 1),
        ({"distribution": "normal", "mu": 5, "sigma": 0.001}, 4.9, 5.1),
        ({"distribution": "log_normal", "mu": 0, "sigma": 0.001}, 0.9, 1.1),
        ({"distribution": "q_normal", "mu": 5, "sigma": 0.001, "q": 1}, 5, 5),
        ({"distribution": "beta", "a": 2, "b": 2}, 0, 1),
        ({"value": 7}, 7, 7),
    ],
)
def test_a_random_value_lies_where_it_should(spec: dict[str, Any], low: float, high: float) -> None:
    values = [choose(_random(**spec), "s", index)["x"] for index in range(50)]
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in values)
    assert values == [choose(_random(**spec), "s", index)["x"] for index in range(50)]


def test_random_categories_follow_their_probabilities() -> None:
    spec = {"values": ["often", "never"], "probabilities": [1, 0]}
    config = _random(distribution="categorical_w_probabilities", **spec)
    assert Counter(choose(config, "s", i)["x"] for i in range(20)) == {"often": 20}
    assert {choose(_random(values=[1, 2]), "s", i)["x"] for i in range(20)} == {1, 2}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "bayes"}, "doesn't have the method 'bayes'; it has grid and random"),
        ({"parameters": {"x": 1}}, "sweep parameter x: write"),
        ({"parameters": {"x": {"values": []}}}, "values must be a list"),
        ({"parameters": {"x": {"distribution": "odd"}}}, "no distribution 'odd'"),
        ({"parameters": {"x": {"distribution": "uniform", "min": 1}}}, "max is missing"),
        ({"parameters": {"g": {"parameters": {"x": {"min": 0.5, "max": 1}}}}}, "g.x: a grid can't"),
        ({"parameters": None}, "needs a method and parameters"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        _config(**fields)


def test_two_agents_share_a_grid_and_end_it(core: Core) -> None:
    sweep = Sweep(core)
    assert sweep.read("state runCountExpected") == {"state": "PENDING", "runCountExpected": 6}
    agents = [sweep.agent(), sweep.agent()]
    given = []
    for turn in range(6):
        (command,) = sweep.beat(agents[turn % 2])
        given.append((command["args"]["a"]["value"], command["args"]["b"]["value"]["c"]))
        sweep.start(command["run_id"])
        assert sweep.beat(agents[turn % 2], command["run_id"]) == []
        sweep.finish(command["run_id"])
    assert sorted(given) == [(a, c) for a in (1, 2) for c in (0, 1, 2)]
    assert [sweep.beat(agent) for agent in agents] == [[{"type": "exit"}]] * 2
    assert sweep.read("state runCount") == {"state": "FINISHED", "runCount": 6}


def test_a_command_that_got_lost_is_given_again(core: Core) -> None:
    sweep = Sweep(core)
    agent = sweep.agent()
    assert sweep.beat(agent) == sweep.beat(agent)
    assert sweep.read("runCount") == {"runCount": 1}


def test_a_sweep_is_paused_goes_on_and_is_cancelled(core: Core) -> None:
    sweep = Sweep(core)
    agent = sweep.agent()
    sweep.set_state("PAUSED")
    assert sweep.beat(agent) == []
    sweep.set_state("RUNNING")
    (command,) = sweep.beat(agent)
    sweep.start(command["run_id"])
    sweep.set_state("CANCELED")
    assert sweep.beat(agent, command["run_id"]) == [{"type": "stop", "run_id": command["run_id"]}]
    assert sweep.beat(agent) == [{"type": "exit"}]


@pytest.mark.filterwarnings("ignore")
def test_an_agent_of_the_sdk_runs_a_grid(
    wandb: ModuleType, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wandb.agents import pyagent

    monkeypatch.setattr(pyagent.Agent, "HEARTBEAT_SLEEP_SECONDS", 0.05)
    seen = []

    def train() -> None:
        with wandb.init() as run:
            seen.append((run.config["a"], run.config["b"]["c"]))
            run.log({"loss": run.config["a"] + run.config["b"]["c"]})

    config = {**GRID, "parameters": {**GRID["parameters"], "a": {"values": [1]}}}
    sweep_id = wandb.sweep(config, project=project)
    wandb.agent(sweep_id, train, project=project, count=3)
    assert seen == [(1, 0), (1, 1), (1, 2)]
    sweep = wandb.Api().sweep(f"{project}/{sweep_id}")
    assert (sweep.state, sweep.expected_run_count, len(sweep.runs)) == ("RUNNING", 3, 3)
    assert sweep.best_run().summary["loss"] == 1
