"""Runs as clients read them: what they are, their history, console and files."""

import json
import logging
from importlib.util import find_spec
from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import ids
from wandb_server.artifact.lineage import list_inputs, list_outputs
from wandb_server.console import console_page, console_tail
from wandb_server.history import read_spec, sample_lines, sample_rows, thin_out
from wandb_server.lines import (
    EVENTS,
    HISTORY,
    OUTPUT,
    finite,
    next_number,
    read_last_lines,
    read_lines,
    read_steps,
    step_span,
)
from wandb_server.projects import Project, get_project
from wandb_server.resolvers.context import Context, Resolver, Resolvers, context
from wandb_server.resolvers.files import missing_file_node, run_file_node
from wandb_server.resolvers.identity import user_of
from wandb_server.resolvers.paging import connect
from wandb_server.run_files import list_files, look_up_files
from wandb_server.run_search import search_runs
from wandb_server.runs import Run, find_run, get_run

_SAMPLES = 500
_STEP = "_step"
_LAST_STEP = "RunHistoryKeys"  # the operation by which the SDK asks for a run's last step
_AT_WORK = {"pending", "running", "preempting"}
_log = logging.getLogger(__name__)


class UpsertedRun(Run):
    """The run in the answer to an upsert, which doesn't tell its number of history lines.

    The SDK would take that number as the offset of the lines that it is about to send, and a
    run that is synced twice would hold its history twice.
    """


def run_connection(runs: list[Run]) -> dict[str, Any]:
    """Put all of the runs on one page."""
    return connect(runs, lambda run: run.id)


def _find(
    project: Project,
    info: GraphQLResolveInfo,
    name: str | None = None,
    **_ignored: object,
) -> Run | None:
    return find_run(context(info).connection, project.id, name or "")


def _search(
    project: Project,
    info: GraphQLResolveInfo,
    filters: str | None = None,
    order: str | None = None,
    first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    connection = context(info).connection
    rows = search_runs(connection, project.id, filters, order)
    return connect(rows, lambda row: row, first, after, lambda row: get_run(connection, row))


def _count(project: Project, info: GraphQLResolveInfo, filters: str | None = None) -> int:
    return len(search_runs(context(info).connection, project.id, filters, None))


def _history_keys(run: Run, info: GraphQLResolveInfo) -> Any:
    name = info.operation.name
    if name and name.value == _LAST_STEP:
        context(info).scans.announce(run.id)
    return finite(json.loads(run.history_keys)) or None


def _history(
    run: Run,
    info: GraphQLResolveInfo,
    minStep: int | None = None,  # noqa: N803  GraphQL's name
    maxStep: int | None = None,  # noqa: N803  GraphQL's name
    samples: int | None = None,
) -> list[str]:
    connection = context(info).connection
    if minStep is None and maxStep is None:
        return sample_lines(connection, run.id, samples or _SAMPLES)
    return read_steps(connection, run.id, minStep or 0, maxStep)


def _events(run: Run, info: GraphQLResolveInfo, samples: int | None = None) -> list[str]:
    lines = read_lines(context(info).connection, run.id, EVENTS)
    return thin_out([line.content for line in lines], samples or _SAMPLES)


def _sampled_history(run: Run, info: GraphQLResolveInfo, specs: list[str]) -> list[Any]:
    connection = context(info).connection
    return [finite(sample_rows(connection, run.id, read_spec(spec))) for spec in specs]


def _parquet_history(run: Run, info: GraphQLResolveInfo, **_keys: object) -> dict[str, Any]:
    """Give who downloads the history a file of it, and tell a scan to read all of it live.

    The last step of a run that is still at work isn't in the file, so that the SDK knows that
    there will be more.
    """
    scope: Context = context(info)
    span = step_span(scope.connection, run.id)
    if span is None:
        return {"parquetUrls": [], "liveData": []}
    first, last = span
    end = last if run.current_state() in _AT_WORK else None
    if scope.scans.begin(run.id) or first == end or not _has_pyarrow():
        return {"parquetUrls": [], "liveData": [{_STEP: first}]}
    digest = scope.history_files.get(scope.connection, run.id, end, scope.blobs)
    url = scope.urls.download(digest, "history.parquet")
    return {"parquetUrls": [url], "liveData": [] if end is None else [{_STEP: end}]}


def _has_pyarrow() -> bool:
    if find_spec("pyarrow"):
        return True
    _log.warning("History isn't exported to Parquet: the package pyarrow isn't installed.")
    return False


def _history_count(run: Run, info: GraphQLResolveInfo) -> int | None:
    if isinstance(run, UpsertedRun):
        return None
    return next_number(context(info).connection, run.id, HISTORY)


def _tail(stream: str) -> Resolver:
    def resolve(run: Run, info: GraphQLResolveInfo) -> str:
        lines = read_last_lines(context(info).connection, run.id, stream, 1)
        return json.dumps([line.content for line in lines])

    return resolve


def _last_event(run: Run, info: GraphQLResolveInfo) -> str | None:
    lines = read_last_lines(context(info).connection, run.id, EVENTS, 1)
    return lines[0].content if lines else None


def _wandb_config(run: Run, _info: GraphQLResolveInfo, keys: list[str] | None = None) -> str | None:
    inner = run.sdk_config()
    if inner is None:
        return None
    return json.dumps({key: inner[key] for key in inner if keys is None or key in keys})


def _log_lines(
    run: Run,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    **_ignored: object,
) -> dict[str, Any]:
    connection = context(info).connection
    if last is not None:
        return console_tail(connection, run.id, last)
    return console_page(connection, run.id, first, after)


def _files(
    run: Run,
    info: GraphQLResolveInfo,
    names: list[str | None] | None = None,
    pattern: str | None = None,
    first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    scope: Context = context(info)
    if names:
        return _named_files(scope, run, [name for name in names if name], first, after)
    files = list_files(scope.connection, run.id, pattern)
    return connect(
        files, lambda file: file.id, first, after, lambda file: run_file_node(scope, file)
    )


def _named_files(
    scope: Context, run: Run, names: list[str], first: int | None, after: str | None
) -> dict[str, Any]:
    """Give one node a name, also for those that the run hasn't got: the SDK relies on that."""
    found = look_up_files(scope.connection, run.id, names)

    def load(name: str) -> dict[str, Any]:
        file = found[name]
        return run_file_node(scope, file) if file else missing_file_node(scope, name)

    return connect(list(found), str, first, after, load)


def _artifacts(kind: str) -> Resolver:
    find = list_outputs if kind == "output" else list_inputs

    def resolve(
        run: Run, info: GraphQLResolveInfo, first: int | None = None, after: str | None = None
    ) -> dict[str, Any]:
        found = find(context(info).connection, run.id)
        return connect(found, lambda artifact: artifact.id, first, after)

    return resolve


_RUN: dict[str, Resolver] = {
    "id": lambda run, _info: ids.encode("Run", run.id),
    "project": lambda run, info: get_project(context(info).connection, run.project_id),
    "user": lambda _run, info: user_of(info),
    "state": lambda run, _info: run.current_state(),
    "group": lambda run, _info: run.group_name,
    "commit": lambda run, _info: run.commit_hash,
    "tags": lambda run, _info: json.loads(run.tags),
    "readOnly": lambda _run, _info: False,
    "stopped": lambda run, _info: bool(run.stop_requested),
    "shouldStop": lambda run, _info: bool(run.stop_requested),
    "failed": lambda run, _info: run.current_state() == "failed",
    "running": lambda run, _info: run.current_state() == "running",
    "historyKeys": _history_keys,
    "historyLineCount": _history_count,
    "eventsLineCount": lambda run, info: next_number(context(info).connection, run.id, EVENTS),
    "logLineCount": lambda run, info: next_number(context(info).connection, run.id, OUTPUT),
    "historyTail": _tail(HISTORY),
    "eventsTail": _tail(EVENTS),
    "systemMetrics": _last_event,
    "wandbConfig": _wandb_config,
    "history": _history,
    "events": _events,
    "sampledHistory": _sampled_history,
    "parquetHistory": _parquet_history,
    "logLines": _log_lines,
    "files": _files,
    "fileCount": lambda run, info: len(list_files(context(info).connection, run.id)),
    "outputArtifacts": _artifacts("output"),
    "inputArtifacts": _artifacts("input"),
}

RESOLVERS: Resolvers = {
    "Project": {"run": _find, "bucket": _find, "runs": _search, "runCount": _count},
    "Run": _RUN,
}
