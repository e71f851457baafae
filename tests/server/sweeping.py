"""A sweep of the core, driven the way agents do."""

import json
from typing import Any

import yaml

from tests.server.conftest import Core

GRID = {
    "method": "grid",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"a": {"values": [1, 2]}, "b": {"parameters": {"c": {"min": 0, "max": 2}}}},
}
_SWEEP = """mutation ($c: String, $i: ID, $s: String, $p: JSONString) {
    upsertSweep(
        input: {id: $i, config: $c, projectName: "p", state: $s, priorRunsFilters: $p}
    ) { sweep { id name } configValidationWarnings }
}"""
_AGENT = """mutation ($s: String!) {
    createAgent(input: {host: "h", projectName: "p", sweep: $s}) { agent { id } }
}"""
BEAT = """mutation ($a: ID!, $r: JSONString) {
    agentHeartbeat(input: {id: $a, runState: $r}) { commands }
}"""
_START = """mutation ($n: String, $s: String, $c: JSONString) { upsertBucket(
    input: {name: $n, modelName: "p", host: "h", sweep: $s, config: $c}
) { bucket { id } } }"""


class Sweep:
    """A sweep and what its agents and runs do."""

    def __init__(self, core: Core, prior: str | None = None, **fields: Any) -> None:
        self.core = core
        config = yaml.dump({**GRID, **fields})
        made = core.data(_SWEEP, c=config, p=prior)["upsertSweep"]
        self.id, self.name = made["sweep"]["id"], made["sweep"]["name"]
        self.warnings = made["configValidationWarnings"]

    def agent(self) -> str:
        return self.core.data(_AGENT, s=self.name)["createAgent"]["agent"]["id"]

    def beat(self, agent: str, *running: str) -> list[dict[str, Any]]:
        states = json.dumps(dict.fromkeys(running, True))
        return json.loads(self.core.data(BEAT, a=agent, r=states)["agentHeartbeat"]["commands"])

    def start(self, run: str, sweep: str | None = None, config: str | None = None) -> str:
        """Start a run as its program does; returns its name."""
        start_run(self.core, run, sweep or self.name, config)
        return run

    def next(self, agent: str) -> tuple[str, dict[str, Any]]:
        """Let the agent be given a run and start it; returns its name and its parameters."""
        (command,) = self.beat(agent)
        assert command["type"] == "run", command
        values = {key: entry["value"] for key, entry in command["args"].items()}
        return self.start(command["run_id"]), values

    def log(self, run: str, *losses: object, first: int = 0) -> None:
        lines = [json.dumps({"_step": first + at, "loss": loss}) for at, loss in enumerate(losses)]
        summary = {"offset": 0, "content": [json.dumps({"loss": losses[-1]})]}
        history = {"offset": first, "content": lines}
        self.post(run, files={"wandb-history.jsonl": history, "wandb-summary.json": summary})

    def finish(self, run: str, exitcode: int = 0) -> None:
        self.post(run, complete=True, exitcode=exitcode)

    def post(self, run: str, **fields: Any) -> None:
        from wandb_server.filestream import apply_post

        with self.core.database.write() as connection:
            apply_post(connection, ("local", "p", run), fields)

    def silence(self, table: str) -> None:
        """Let all agents or runs have been silent for long."""
        with self.core.database.write() as connection:
            connection.execute(f"UPDATE {table} SET heartbeat_at = '2020'")  # noqa: S608  ours

    def set_state(self, state: str) -> None:
        self.core.data(_SWEEP, i=self.id, s=state)

    def reconfigure(self, **fields: Any) -> dict[str, Any]:
        return self.core.ask(_SWEEP, i=self.id, c=yaml.dump({**GRID, **fields}))

    def read(self, fields: str) -> dict[str, Any]:
        query = 'query ($s: String) { project(name: "p") { sweep(sweepName: $s) { %s } } }'
        return self.core.data(query % fields, s=self.name)["project"]["sweep"]

    def states(self) -> dict[str, str]:
        edges = self.read("runs { edges { node { name state } } }")["runs"]["edges"]
        return {edge["node"]["name"]: edge["node"]["state"] for edge in edges}


def start_run(core: Core, name: str, sweep: str | None = None, config: str | None = None) -> None:
    core.data(_START, n=name, s=sweep, c=config)
