"""What clients change about runs."""

from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import clock, ids
from wandb_server.artifact.lineage import list_outputs
from wandb_server.artifact.links import delete_artifact
from wandb_server.branches import fork_history, rewind_run
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.lines import clear_lines, parse_object
from wandb_server.names import check_file_path
from wandb_server.projects import ensure_project
from wandb_server.resolvers.context import Context, Resolvers, context
from wandb_server.resolvers.runs import UpsertedRun
from wandb_server.run_files import delete_files
from wandb_server.runs import (
    Run,
    create_run,
    delete_run,
    find_run,
    get_run,
    request_stop,
    restart_run,
    sdk_part,
    update_run,
)

Input = dict[str, Any]
_SUCCESS = {"success": True}
_ENVIRONMENT = "e"  # where the SDK's part of a config tells of the machine and the program
# An alert of the same title within this time is the same request, sent again.
_RETRY_SECONDS = 1.0


def find_named_run(scope: Context, fields: Input) -> Run:
    """Look up the run that an input names by entityName, projectName and runName.

    Raises:
        NotFoundError: It doesn't exist.
    """
    project = ensure_project(scope.connection, scope.entity_of(fields), fields.get("projectName"))
    run = find_run(scope.connection, project.id, str(fields.get("runName")))
    if run is None:
        path = f"{project.entity}/{project.name}/{fields.get('runName')}"
        raise NotFoundError(f"there is no run {path}")
    return run


def _upsert(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    run, inserted = _find_or_create(scope, input)
    starts = _is_start(input)
    afresh = starts and input.get("id") is None and not scope.shared
    if afresh and not inserted:
        clear_lines(scope.connection, run.id)
    if starts:
        restart_run(scope.connection, run.id)
    update_run(scope.connection, run.id, input)
    if afresh:
        fork_history(scope.connection, get_run(scope.connection, run.id))
    bucket = UpsertedRun(**vars(get_run(scope.connection, run.id)))
    return {"bucket": bucket, "inserted": inserted}


def _is_start(fields: Input) -> bool:
    """Tell whether the SDK starts or resumes a run, from what else it says about the run.

    It names host or program then, and the id of a run that it resumes. While a run is at work, it
    sends them all again to change tags, notes or config: without a config, or with one that tells
    the program's environment, which isn't in it yet when the run starts.
    """
    if fields.get("host") is None and fields.get("jobProgram") is None:
        return False
    if fields.get("id") is None:
        return True
    own = sdk_part(parse_object(fields.get("config") or "{}"))
    return own is not None and _ENVIRONMENT not in own


def _find_or_create(scope: Context, fields: Input) -> tuple[Run, bool]:
    connection = scope.connection
    if fields.get("id"):
        return get_run(connection, ids.decode("Run", fields["id"])), False
    if not fields.get("name"):
        raise ClientError("a run needs a name: send its name, or its id")
    project = ensure_project(connection, scope.entity_of(fields), fields.get("modelName"))
    found = find_run(connection, project.id, fields["name"])
    if found is not None:
        return found, False
    state = fields.get("state") or "running"
    return create_run(connection, project.id, fields["name"], state), True


def _rewind(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    run = find_named_run(scope, input)
    return {
        "rewoundRun": rewind_run(scope.connection, run, input["metricName"], input["metricValue"])
    }


def _delete(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    run_id = ids.decode("Run", input["id"])
    if input.get("deleteArtifacts"):
        for artifact in list_outputs(scope.connection, run_id):
            delete_artifact(scope.connection, artifact, delete_aliases=True)
    delete_run(scope.connection, run_id)
    return {"clientMutationId": None}


def _stop(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    request_stop(scope.connection, get_run(scope.connection, ids.decode("Run", input["id"])).id)
    return _SUCCESS


# States that a client may set, and from which ones.
_TRANSITIONS = {
    "pending": {"running", "failed", "crashed", "preempted"},
    "failed": {"pending", "running", "crashed"},
}


def _update_state(
    _root: object,
    info: GraphQLResolveInfo,
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    scope = context(info)
    run = get_run(scope.connection, ids.decode("Run", input["id"]))
    state = input["state"]
    now = run.current_state()
    if now not in _TRANSITIONS.get(state, set()):
        raise ClientError(f"invalid state transition: a run that is {now} can't become {state!r}")
    update_run(scope.connection, run.id, {"state": state})
    return _SUCCESS


def _create_files(
    _root: object,
    info: GraphQLResolveInfo,
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    scope = context(info)
    run = find_named_run(scope, input)
    names = [check_file_path("run file", name) for name in input["files"]]
    files = [
        {"id": name, "name": name, "uploadUrl": scope.urls.upload_run_file(run.id, name)}
        for name in names
    ]
    return {"runID": ids.encode("Run", run.id), "uploadHeaders": [], "files": files}


def _delete_files(
    _root: object,
    info: GraphQLResolveInfo,
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    rows = [ids.decode("RunFile", file_id) for file_id in input["files"]]
    delete_files(context(info).connection, rows)
    return _SUCCESS


def _alert(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    run = find_named_run(scope, input)
    wait_seconds = max(_RETRY_SECONDS, (input.get("waitDuration") or 0) / 1000)
    scope.connection.execute(
        "INSERT INTO alert (run_id, title, text, severity, created_at) SELECT ?, ?, ?, ?, ?"
        " WHERE NOT EXISTS (SELECT 1 FROM alert"
        "   WHERE run_id = ? AND title = ? AND created_at > ?)",
        (
            run.id,
            input["title"],
            input["text"],
            input.get("severity") or "INFO",
            clock.now(),
            run.id,
            input["title"],
            clock.ago(wait_seconds),
        ),
    )
    return _SUCCESS


RESOLVERS: Resolvers = {
    "Mutation": {
        "upsertBucket": _upsert,
        "rewindRun": _rewind,
        "deleteRun": _delete,
        "stopRun": _stop,
        "updateRunState": _update_state,
        "createRunFiles": _create_files,
        "markRunFilesUploaded": lambda _root, _info, **_input: _SUCCESS,
        "deleteFiles": _delete_files,
        "notifyScriptableRunAlert": _alert,
    }
}
