"""The pages of sweeps: all of a project, and one with its runs and the best so far."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from wandb_server.errors import NotFoundError
from wandb_server.pages import addresses
from wandb_server.pages.expressions import quote
from wandb_server.pages.importance import rank_influences
from wandb_server.pages.parallel import Parallel, RunValues, draw_parallel, plain
from wandb_server.pages.visits import Visit, find_home, run_duration, run_link, run_metrics
from wandb_server.projects import Project
from wandb_server.queries import RunRow, run_row
from wandb_server.sweeps.config import SweepConfig, parse_config
from wandb_server.sweeps.progress import current_state
from wandb_server.sweeps.store import Sweep, find_sweep, list_agents, list_sweep_runs, list_sweeps

_RUNS_SHOWN = 200
_AXES = 6


def sweeps(visit: Visit) -> dict[str, Any]:
    """List the sweeps of a project."""
    home = find_home(visit)
    found = list_sweeps(visit.connection, home.id)
    return {"project": home, "sweeps": [_entry(visit, home, sweep) for sweep in found]}


def sweep(visit: Visit) -> dict[str, Any]:
    """Show a sweep: what it looks for, how far it is, its runs from the best on."""
    home = find_home(visit)
    found = find_sweep(visit.connection, home.id, visit.names["sweep"])
    if found is None:
        raise NotFoundError(f"The project {home.name} has no sweep {visit.names['sweep']}.")
    config = parse_config(found.config)
    rows = _ranked(visit, found, config)
    url = addresses.project(home.entity, home.name)
    query = [("filter", f"sweep = {quote(found.name)}")]
    # What is the same in all runs stands in the configuration.
    varied = [item for item in config.parameters if item.distribution != "constant"]
    return {
        "project": home,
        "entry": _entry(visit, home, found),
        "config": config,
        "text": found.config,
        "agents": len(list_agents(visit.connection, found.id)),
        "states": Counter(row.state for row in rows),
        "headings": [parameter.name for parameter in varied],
        "runs": [
            {
                "link": run_link(home, row),
                "state": row.state,
                "ran": run_duration(row),
                "score": _score(row, config),
                "values": [_dig(row.config, parameter.path) for parameter in varied],
            }
            for row in rows[:_RUNS_SHOWN]
        ],
        "parallel": _parallel(home, rows[:_RUNS_SHOWN], config),
        "runs_left_out": max(len(rows) - _RUNS_SHOWN, 0),
        "table_url": addresses.with_query(url, query),
        "compare_url": addresses.with_query(
            f"{url}/compare",
            query + ([("metric", f"summary.{config.metric.name}")] if config.metric else []),
        ),
    }


def _entry(visit: Visit, home: Project, found: Sweep) -> dict[str, Any]:
    config = parse_config(found.config)
    rows = _ranked(visit, found, config)
    best = rows[0] if rows and _score(rows[0], config) is not None else None
    return {
        "name": found.display_name or config.name or found.name,
        "id": found.name,
        "url": addresses.sweep(home.entity, home.name, found.name),
        "state": current_state(visit.connection, found).lower(),
        "method": config.method,
        "metric": config.metric and config.metric.name,
        "goal": "maximize" if config.metric and config.metric.maximize else "minimize",
        "runs": len(rows),
        "ended": sum(row.state not in {"running", "pending"} for row in rows),
        "cap": config.run_cap,
        "created": found.created_at,
        "best": best and run_link(home, best),
        "best_score": best and _score(best, config),
    }


def _parallel(home: Project, rows: Sequence[RunRow], config: SweepConfig) -> Parallel | None:
    """Draw the settings that go with the metric most, the first five, and the metric."""
    if config.metric is None:
        return None
    scores = [_score(row, config) for row in rows]
    columns = {
        parameter.name: [plain(_dig(row.config, parameter.path)) for row in rows]
        for parameter in config.parameters
    }
    shown = [item.key for item in rank_influences(columns, scores)][: _AXES - 1]
    values = zip(*(columns[name] for name in shown), scores, strict=True)
    links = [run_link(home, row) for row in rows]
    runs = [
        RunValues(link.text, link.url, found) for link, found in zip(links, values, strict=True)
    ]
    chart = draw_parallel([*shown, config.metric.name], runs)
    return chart if shown and len(chart.lines) > 1 else None


def _ranked(visit: Visit, found: Sweep, config: SweepConfig) -> Sequence[RunRow]:
    """List a sweep's runs, the best first and those without a score last."""
    rows = [run_row(run) for run in list_sweep_runs(visit.connection, found)]
    sign = -1 if config.metric and config.metric.maximize else 1

    def rank(row: RunRow) -> tuple[bool, float]:
        score = _score(row, config)
        return score is None, 0.0 if score is None else sign * score

    return sorted(rows, key=rank)


def _score(row: RunRow, config: SweepConfig) -> float | None:
    value = run_metrics(row).get(config.metric.name) if config.metric else None
    return float(value) if isinstance(value, int | float) else None


def _dig(config: dict[str, Any], path: Sequence[str]) -> Any:
    value: Any = config
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
