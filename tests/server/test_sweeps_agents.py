"""Agents share a sweep: each configuration is given out once, whatever becomes of the agents."""

import json
import threading
from pathlib import Path

import pytest

from tests.server.conftest import Core, LiveServer
from tests.server.sweeping import BEAT, GRID, Sweep, start_run
from wandb_server import migrations
from wandb_server.database import Database


def _id_of(sweep: Sweep, name: str) -> str:
    edges = sweep.read("runs { edges { node { id name } } }")["runs"]["edges"]
    return next(edge["node"]["id"] for edge in edges if edge["node"]["name"] == name)


def test_two_agents_share_a_grid_and_end_it(core: Core) -> None:
    sweep = Sweep(core)
    assert sweep.read("state runCountExpected") == {"state": "PENDING", "runCountExpected": 6}
    agents = [sweep.agent(), sweep.agent()]
    given = []
    for turn in range(6):
        run, values = sweep.next(agents[turn % 2])
        given.append((values["a"], values["b"]["c"]))
        assert sweep.beat(agents[turn % 2], run) == []
        assert sweep.read("state") == {"state": "RUNNING"}
        sweep.finish(run)
    assert sorted(given) == [(a, c) for a in (1, 2) for c in (0, 1, 2)]
    assert sweep.read("state runCount") == {"state": "FINISHED", "runCount": 6}
    assert [sweep.beat(agent) for agent in agents] == [[{"type": "exit"}]] * 2


def test_a_run_cap_holds_for_all_agents_together(core: Core) -> None:
    sweep = Sweep(core, method="random", run_cap=3)
    agents = [sweep.agent() for _ in range(4)]
    given = [sweep.beat(agent)[0]["type"] for agent in agents]
    assert given == ["run", "run", "run", "exit"]
    assert sweep.read("state runCountExpected") == {"state": "RUNNING", "runCountExpected": 3}


def test_the_program_of_the_config_is_part_of_the_command(core: Core) -> None:
    sweep = Sweep(core, program="train.py")
    (command,) = sweep.beat(sweep.agent())
    assert command["program"] == "train.py"


def test_a_command_that_got_lost_is_given_again_once(core: Core) -> None:
    sweep = Sweep(core)
    agent = sweep.agent()
    first = sweep.beat(agent)
    assert sweep.beat(agent) == first
    assert sweep.read("runCount") == {"runCount": 1}
    assert sweep.beat(agent) != first
    assert sweep.states()[first[0]["run_id"]] == "failed"


def test_a_program_that_never_starts_its_run_fails_it(core: Core) -> None:
    sweep = Sweep(core)
    agent = sweep.agent()
    (command,) = sweep.beat(agent)
    assert sweep.beat(agent, command["run_id"]) == []
    (other,) = sweep.beat(agent)
    assert other["run_id"] != command["run_id"]
    assert sweep.states() == {command["run_id"]: "failed", other["run_id"]: "pending"}


def test_what_a_dead_agent_never_started_goes_to_another_one(core: Core) -> None:
    sweep = Sweep(core)
    dead, alive = sweep.agent(), sweep.agent()
    (lost,) = sweep.beat(dead)
    (other,) = sweep.beat(alive)
    assert other["run_id"] != lost["run_id"]
    sweep.finish(sweep.start(other["run_id"]))
    sweep.silence("agent")
    assert sweep.beat(alive) == [lost]
    assert sweep.beat(alive, lost["run_id"]) == []
    assert sweep.read("agents { edges { node { state totalRuns } } }") == {
        "agents": {
            "edges": [
                {"node": {"state": "STOPPED", "totalRuns": 0}},
                {"node": {"state": "RUNNING", "totalRuns": 2}},
            ]
        }
    }


def test_a_crashed_run_is_not_repeated_until_it_is_deleted(core: Core) -> None:
    sweep = Sweep(core, parameters={"a": {"values": [1, 2]}})
    dead, alive = sweep.agent(), sweep.agent()
    crashed, values = sweep.next(dead)
    sweep.silence("run")
    sweep.finish(sweep.next(alive)[0])
    assert sweep.beat(alive) == [{"type": "exit"}]
    assert sweep.states()[crashed] == "crashed"
    assert sweep.read("state") == {"state": "FINISHED"}
    sweep.core.data(
        "mutation ($i: ID!) { deleteRun(input: {id: $i}) { clientMutationId } }",
        i=_id_of(sweep, crashed),
    )
    assert sweep.read("state") == {"state": "RUNNING"}
    assert sweep.next(sweep.agent())[1] == values


def test_a_grid_knows_what_was_given_out_also_if_the_program_writes_another_config(
    core: Core,
) -> None:
    sweep = Sweep(core, parameters={"a": {"values": [1, 2]}})
    agent = sweep.agent()
    for expected in (1, 2):
        (command,) = sweep.beat(agent)
        assert command["args"] == {"a": {"value": expected}}
        sweep.finish(sweep.start(command["run_id"], config='{"other": {"value": 1}}'))
    assert sweep.beat(agent) == [{"type": "exit"}]


def test_a_grid_passes_over_what_earlier_runs_did(core: Core) -> None:
    for name, a in (("early", 1), ("odd", 9)):
        config = {"a": {"value": a}, "b": {"value": {"c": 0, "more": 1}}, "z": {"value": 0}}
        start_run(core, name, config=json.dumps(config))
    prior = json.dumps({"$or": [{"name": "early"}, {"name": "odd"}]})
    sweep = Sweep(core, prior)
    assert sweep.next(sweep.agent())[1] == {"a": 1, "b": {"c": 1}}


def test_a_run_that_joins_by_itself_belongs_to_the_sweep(core: Core) -> None:
    sweep = Sweep(core, parameters={"a": {"values": [1, 2]}})
    start_run(core, "joined", sweep.name, '{"a": {"value": 1}}')
    assert sweep.states() == {"joined": "running"}
    assert sweep.next(sweep.agent())[1] == {"a": 2}


def test_a_paused_sweep_starts_nothing_and_goes_on(core: Core) -> None:
    sweep = Sweep(core)
    busy, idle = sweep.agent(), sweep.agent()
    run, _ = sweep.next(busy)
    sweep.set_state("PAUSED")
    assert (sweep.beat(busy, run), sweep.beat(idle)) == ([], [])
    sweep.finish(run)
    assert sweep.beat(busy) == []
    sweep.set_state("RUNNING")
    assert sweep.beat(idle)[0]["type"] == "run"


def test_a_stopped_sweep_lets_its_runs_end(core: Core) -> None:
    sweep = Sweep(core)
    busy, idle = sweep.agent(), sweep.agent()
    run, _ = sweep.next(busy)
    sweep.set_state("FINISHED")
    assert (sweep.beat(busy, run), sweep.beat(idle)) == ([], [{"type": "exit"}])
    sweep.finish(run)
    assert sweep.beat(busy) == [{"type": "exit"}]
    assert sweep.states() == {run: "finished"}


def test_a_cancelled_sweep_ends_its_runs(core: Core) -> None:
    sweep = Sweep(core)
    busy, waiting = sweep.agent(), sweep.agent()
    run, _ = sweep.next(busy)
    (pending,) = sweep.beat(waiting)
    start_run(core, "joined", sweep.name)
    sweep.set_state("CANCELED")
    assert sweep.beat(busy, run) == [{"type": "stop", "run_id": run}]
    assert sweep.beat(busy) == sweep.beat(waiting) == [{"type": "exit"}]
    sweep.finish(run, exitcode=255)
    states = {run: "killed", pending["run_id"]: "killed", "joined": "running"}
    assert sweep.states() == states
    # No agent has this one, so it is told itself.
    stopped = '{ project(name: "p") { run(name: "joined") { shouldStop } } }'
    assert core.data(stopped)["project"]["run"] == {"shouldStop": True}


def test_a_run_that_the_user_stops_is_stopped_through_its_agent(core: Core) -> None:
    sweep = Sweep(core)
    agent = sweep.agent()
    run, _ = sweep.next(agent)
    core.data("mutation ($i: ID!) { stopRun(input: {id: $i}) { success } }", i=_id_of(sweep, run))
    assert sweep.beat(agent, run) == [{"type": "stop", "run_id": run}]


def test_a_config_changes_only_before_the_first_run(core: Core) -> None:
    sweep = Sweep(core)
    assert "errors" not in sweep.reconfigure(parameters={"a": {"values": [7]}})
    agent = sweep.agent()
    assert sweep.next(agent)[1] == {"a": 7}
    assert "errors" not in sweep.reconfigure(parameters={"a": {"values": [7]}}, name="renamed")
    (error,) = sweep.reconfigure(parameters=GRID["parameters"])["errors"]
    assert "has runs already, so its config can't change" in error["message"]


@pytest.mark.parametrize("state", ["", "ended", "finished"])
def test_a_state_that_there_is_not_is_refused(core: Core, state: str) -> None:
    with pytest.raises(AssertionError, match="one of PENDING, RUNNING, PAUSED"):
        Sweep(core).set_state(state)


def test_an_agent_whose_sweep_is_gone_hears_404(live: LiveServer) -> None:
    body = json.dumps({"query": BEAT, "variables": {"a": "QWdlbnQ6OTk5OTk=", "r": "{}"}})
    status, _, answer = live.request("POST", "/graphql", body.encode())
    assert (status, b"agent 99999 doesn't exist" in answer) == (404, True)


def test_many_agents_at_once_get_different_runs(core: Core) -> None:
    sweep = Sweep(core, parameters={"a": {"min": 1, "max": 40}})
    found: list[int] = []

    def work(agent: str) -> None:
        while (command := sweep.beat(agent)[0])["type"] == "run":
            found.append(command["args"]["a"]["value"])
            sweep.finish(sweep.start(command["run_id"]))

    threads = [threading.Thread(target=work, args=(sweep.agent(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == list(range(1, 41))
    assert sweep.read("state runCount") == {"state": "FINISHED", "runCount": 40}


def test_sweeps_of_the_release_before_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = "2099-01-01T00:00:00.000000Z"
    (tmp_path / "core").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:2])
        old = Database(tmp_path / "core" / "wandb.sqlite3")
    with old.write() as connection:
        for statement, *values in (
            ("INSERT INTO project (entity, name, created_at) VALUES ('local', 'p', ?)", now),
            (
                "INSERT INTO sweep (project_id, name, config, state, created_at, updated_at)"
                " VALUES (1, 's', ?, 'RUNNING', ?, ?)",
                json.dumps(GRID),
                now,
                now,
            ),
            (
                "INSERT INTO run (project_id, name, state, config, sweep_name, created_at,"
                " updated_at, heartbeat_at) VALUES (1, 'r', 'finished', ?, 's', ?, ?, ?)",
                json.dumps({"a": {"value": 1}, "b": {"value": {"c": 0}}, "_wandb": {"value": {}}}),
                now,
                now,
                now,
            ),
            (
                "INSERT INTO agent (sweep_id, host, created_at, heartbeat_at)"
                " VALUES (1, 'h', ?, ?)",
                now,
                now,
            ),
            ("INSERT INTO agent_run VALUES (1, 1)",),
        ):
            connection.execute(statement, values)
    old.close()
    core = Core(tmp_path / "core")
    answer = core.data(BEAT, a="QWdlbnQ6MQ==", r="{}")["agentHeartbeat"]["commands"]
    assert json.loads(answer)[0]["args"] == {"a": {"value": 1}, "b": {"value": {"c": 1}}}
    core.database.close()


def test_a_preempted_run_goes_on_with_the_next_agent_before_a_new_one_starts(core: Core) -> None:
    sweep = Sweep(core)
    agent, other = sweep.agent(), sweep.agent()
    run, values = sweep.next(agent)
    sweep.log(run, 3.0)
    sweep.post(run, preempting=True)
    sweep.post(run, files={})  # a heartbeat says nothing of it
    assert sweep.states() == {run: "preempting"}
    sweep.finish(run, exitcode=143)
    assert sweep.states() == {run: "preempted"}

    (command,) = sweep.beat(other)

    args = {key: {"value": value} for key, value in values.items()}
    assert command == {"type": "resume", "run_id": run, "args": args, "program": None}
    assert sweep.states() == {run: "pending"}
    sweep.finish(sweep.start(run))
    assert sweep.next(agent)[0] != run
    assert sweep.read("runCount") == {"runCount": 2}


def test_a_preempting_run_that_ends_well_or_is_stopped_does_not_come_again(core: Core) -> None:
    sweep = Sweep(core)
    agent = sweep.agent()
    for end in ("finished", "killed"):
        run, _ = sweep.next(agent)
        sweep.post(run, preempting=True)
        if end == "killed":
            stop = "mutation ($r: ID!) { stopRun(input: {id: $r}) { success } }"
            core.data(stop, r=_id_of(sweep, run))
        sweep.finish(run, exitcode=0 if end == "finished" else 1)
        assert sweep.states()[run] == end
    (command,) = sweep.beat(agent)
    assert command["type"] == "run"
    assert list(sweep.states().values()) == ["finished", "killed", "pending"]


def test_a_preempting_run_that_falls_silent_goes_on_with_another_agent(core: Core) -> None:
    sweep = Sweep(core, run_cap=1)
    run, _ = sweep.next(sweep.agent())
    sweep.post(run, preempting=True)
    sweep.silence("run")
    assert sweep.states() == {run: "preempted"}
    assert sweep.read("state") == {"state": "RUNNING"}
    (command,) = sweep.beat(sweep.agent())
    assert (command["type"], command["run_id"]) == ("resume", run)


def test_a_cancelled_sweep_ends_its_preempted_runs(core: Core) -> None:
    sweep = Sweep(core)
    run, _ = sweep.next(sweep.agent())
    sweep.post(run, preempting=True, complete=True, exitcode=1)
    sweep.set_state("CANCELED")
    assert sweep.states() == {run: "killed"}
