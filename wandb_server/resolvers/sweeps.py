"""Sweeps and agents, as clients read and drive them."""

import json
from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import clock, ids
from wandb_server.artifact.search import select_items
from wandb_server.errors import ClientError, GoneError, NotFoundError
from wandb_server.filters import Document
from wandb_server.lines import parse_object
from wandb_server.projects import Project, ensure_project, find_project, get_project
from wandb_server.resolvers.context import Resolvers, context
from wandb_server.resolvers.paging import connect
from wandb_server.run_search import search_runs
from wandb_server.sweeps.choose import expected_runs
from wandb_server.sweeps.config import find_violations, parse_config
from wandb_server.sweeps.dispatch import commands_for
from wandb_server.sweeps.hand_outs import SILENT_AFTER_SECONDS
from wandb_server.sweeps.metrics import read_summary
from wandb_server.sweeps.progress import current_state
from wandb_server.sweeps.store import (
    Agent,
    Sweep,
    add_prior_runs,
    create_agent,
    create_sweep,
    find_sweep,
    get_agent,
    get_sweep,
    list_agent_runs,
    list_agents,
    list_prior_runs,
    list_sweep_runs,
    list_sweeps,
    update_sweep,
)

Input = dict[str, Any]


def _find(
    project: Project,
    info: GraphQLResolveInfo,
    sweepName: str | None = None,  # noqa: N803  GraphQL's name
) -> Sweep | None:
    return find_sweep(context(info).connection, project.id, sweepName or "")


def _list(
    project: Project,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
    filters: str | None = None,
) -> dict[str, Any]:
    connection = context(info).connection

    def describe(sweep: Sweep) -> Document:
        return {
            **{name: getattr(sweep, name) for name in ("name", "description")},
            "displayName": sweep.display_name,
            "createdAt": sweep.created_at,
            "method": parse_config(sweep.config).method,
            "state": current_state(connection, sweep),
        }

    sweeps = select_items(list_sweeps(connection, project.id), describe, filters, None)
    return connect(sweeps, lambda sweep: sweep.id, first, after)


def _runs(
    sweep: Sweep,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    runs = list_sweep_runs(context(info).connection, sweep)
    return connect(runs, lambda run: run.id, first, after)


def _prior_runs(
    sweep: Sweep,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    runs = list_prior_runs(context(info).connection, sweep.id)
    return connect(runs, lambda run: run.id, first, after)


def _agents(sweep: Sweep, info: GraphQLResolveInfo) -> dict[str, Any]:
    return connect(list_agents(context(info).connection, sweep.id), lambda agent: agent.id)


def _agent(
    sweep: Sweep,
    info: GraphQLResolveInfo,
    agentName: str,  # noqa: N803  GraphQL's name
) -> Agent | None:
    found = get_agent(context(info).connection, ids.decode("Agent", agentName))
    return found if found.sweep_id == sweep.id else None


def _agent_state(agent: Agent) -> str:
    return "RUNNING" if agent.heartbeat_at > clock.ago(SILENT_AFTER_SECONDS) else "STOPPED"


def _agent_runs(
    agent: Agent,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
    **_ignored: object,
) -> dict[str, Any]:
    runs = list_agent_runs(context(info).connection, agent.id)
    return connect(runs, lambda run: run.id, first, after)


def _best_loss(sweep: Sweep, info: GraphQLResolveInfo) -> float | None:
    """Give the best value of the sweep's metric among its runs; None before there is one."""
    config = parse_config(sweep.config)
    if config.metric is None:
        return None
    runs = list_sweep_runs(context(info).connection, sweep)
    values = [value for run in runs if (value := read_summary(run, config.metric)) is not None]
    return (max if config.metric.maximize else min)(values, default=None)


def _upsert(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    connection = scope.connection
    if input.get("id"):
        sweep = get_sweep(connection, ids.decode("Sweep", input["id"]))
    elif input.get("config"):
        project = ensure_project(connection, scope.entity_of(input), input.get("projectName"))
        sweep = create_sweep(connection, project.id, input["config"])
    else:
        raise ClientError("a sweep needs a config: send it, or the id of a sweep")
    update_sweep(connection, sweep.id, input)
    if input.get("priorRunsFilters"):
        runs = search_runs(connection, sweep.project_id, input["priorRunsFilters"], None)
        add_prior_runs(connection, sweep.id, runs)
    warnings = find_violations(input["config"]) if input.get("config") else []
    return {"sweep": get_sweep(connection, sweep.id), "configValidationWarnings": warnings}


def _create_agent(
    _root: object,
    info: GraphQLResolveInfo,
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    scope = context(info)
    connection = scope.connection
    project = find_project(connection, scope.entity_of(input), input.get("projectName"))
    sweep = None if project is None else find_sweep(connection, project.id, input["sweep"])
    if sweep is None:
        raise NotFoundError(f"there is no sweep {input['sweep']!r}")
    return {"agent": create_agent(connection, sweep.id, input["host"])}


def _heartbeat(
    _root: object,
    info: GraphQLResolveInfo,
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    connection = context(info).connection
    try:
        agent = get_agent(connection, ids.decode("Agent", input["id"]))
    except NotFoundError as error:
        raise GoneError(str(error)) from error
    states = parse_object(input.get("runState") or "{}")
    working_on = [name for name, is_working in states.items() if is_working]
    return {"agent": agent, "commands": json.dumps(commands_for(connection, agent, working_on))}


RESOLVERS: Resolvers = {
    "Project": {
        "sweep": _find,
        "sweeps": _list,
        "totalSweeps": lambda project, info: len(list_sweeps(context(info).connection, project.id)),
    },
    "Sweep": {
        "id": lambda sweep, _info: ids.encode("Sweep", sweep.id),
        "project": lambda sweep, info: get_project(context(info).connection, sweep.project_id),
        "state": lambda sweep, info: current_state(context(info).connection, sweep),
        "method": lambda sweep, _info: parse_config(sweep.config).method,
        "heartbeatAt": lambda sweep, _info: sweep.updated_at,
        "earlyStopJobRunning": lambda _sweep, _info: False,
        "controllerRunName": lambda _sweep, _info: None,
        "bestLoss": _best_loss,
        "runCount": lambda sweep, info: len(list_sweep_runs(context(info).connection, sweep)),
        "runCountExpected": lambda sweep, _info: expected_runs(parse_config(sweep.config)),
        "runs": _runs,
        "priorRuns": _prior_runs,
        "agent": _agent,
        "agents": _agents,
    },
    "Agent": {
        "id": lambda agent, _info: ids.encode("Agent", agent.id),
        "name": lambda agent, _info: ids.encode("Agent", agent.id),
        "state": lambda agent, _info: _agent_state(agent),
        "totalRuns": lambda agent, info: len(list_agent_runs(context(info).connection, agent.id)),
        "runs": _agent_runs,
    },
    "Mutation": {
        "upsertSweep": _upsert,
        "createAgent": _create_agent,
        "agentHeartbeat": _heartbeat,
    },
}
