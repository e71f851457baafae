"""`POST /files/{entity}/{project}/{run}/file_stream`: what a run sends while it lives."""

import json
import sqlite3
from typing import Any

from wandb_server.bodies import unpack
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.history import extend_keys
from wandb_server.lines import EVENTS, HISTORY, OUTPUT, next_number, parse_object, store_lines
from wandb_server.runs import Run, beat, find_run_by_path, update_run
from wandb_server.sweeps.hand_outs import is_told_to_stop

_STREAMS = {
    "wandb-history.jsonl": HISTORY,
    "wandb-events.jsonl": EVENTS,
    "output.log": OUTPUT,
}
_SUMMARY = "wandb-summary.json"
_LARGEST_NUMBER = 2**53


def read_post(body: bytes, encoding: str) -> dict[str, Any]:
    """Read the body of a post.

    Args:
        body: JSON, perhaps compressed.
        encoding: The Content-Encoding header: "gzip" or "".

    Raises:
        ClientError: It can't be read.
    """
    try:
        post = json.loads(unpack(body, encoding))
    except ValueError as error:
        raise ClientError(f"the body can't be read as JSON: {error}") from error
    if not isinstance(post, dict) or not isinstance(post.get("files") or {}, dict):
        raise ClientError("the body must be a JSON object whose files is an object")
    return post


def apply_post(
    connection: sqlite3.Connection,
    path: tuple[str, str, str],
    post: dict[str, Any],
    writer: str = "",
) -> dict[str, Any]:
    """Store what a run sent; a post that comes twice changes nothing the second time.

    Args:
        connection: Inside a write transaction.
        path: Entity, project and name of the run.
        post: As `read_post` gave it.
        writer: Which of several writers of one run this is; "" when there is one.

    Returns:
        The answer: `stopped` tells the SDK to stop the run.

    Raises:
        NotFoundError: There is no such run; the SDK then gives up on its metrics.
        ClientError: A file's offset or content is of the wrong type.
    """
    run = find_run_by_path(connection, *path)
    if run is None:
        raise NotFoundError(f"there is no run {'/'.join(path)}")
    for name, chunk in (post.get("files") or {}).items():
        offset, lines = _read_chunk(name, chunk)
        if name == _SUMMARY and lines:
            _store_summary(connection, run, lines[-1], merge=bool(writer))
        elif name in _STREAMS:
            _store(connection, run, _STREAMS[name], offset, lines, writer)
    stopping = bool(run.stop_requested) or is_told_to_stop(connection, run.id)
    state, exitcode = _state(post, run, stopping=stopping)
    if writer and run.exitcode is not None and exitcode is None:
        # The one who ends a shared run ends it for all, whatever others are still sending.
        state, exitcode = run.state, run.exitcode
    beat(connection, run.id, state, exitcode)
    return {"stopped": bool(run.stop_requested), "exitcode": None, "limits": {}}


def _read_chunk(name: str, chunk: object) -> tuple[int, list[str]]:
    offset = chunk.get("offset") if isinstance(chunk, dict) else None
    content = chunk.get("content") if isinstance(chunk, dict) else None
    if not isinstance(offset, int) or not 0 <= offset < _LARGEST_NUMBER:
        raise ClientError(f"{name}: the offset must be a line number, not {offset!r}")
    if not isinstance(content, list) or not all(isinstance(line, str) for line in content):
        raise ClientError(f"{name}: the content must be a list of lines")
    return offset, content


def _store(
    connection: sqlite3.Connection,
    run: Run,
    stream: str,
    offset: int,
    lines: list[str],
    writer: str,
) -> None:
    if stream == HISTORY:
        # Lines below this number were counted when they came for the first time.
        start = next_number(connection, run.id, stream)
        new = lines[max(0, start - offset) :] if not writer else lines
        keys = extend_keys(run.history_keys, new, max(start, offset))
        connection.execute("UPDATE run SET history_keys = ? WHERE id = ?", (keys, run.id))
    store_lines(connection, run.id, stream, offset, lines, writer)


def _store_summary(connection: sqlite3.Connection, run: Run, text: str, *, merge: bool) -> None:
    if merge:
        text = json.dumps(parse_object(run.summary_metrics) | parse_object(text))
    update_run(connection, run.id, {"summaryMetrics": text})


def _state(post: dict[str, Any], run: Run, *, stopping: bool) -> tuple[str, int | None]:
    """Tell the state of a run from a post: what isn't the end is a sign of life.

    That it is about to be preempted, a run says only once.
    """
    preempting = bool(post.get("preempting")) or run.state == "preempting"
    if not post.get("complete"):
        return ("preempting" if preempting else "running"), None
    exitcode = post.get("exitcode")
    exitcode = exitcode if isinstance(exitcode, int) else 0
    if exitcode == 0:
        return "finished", exitcode
    if stopping:
        return "killed", exitcode
    return ("preempted" if preempting else "failed"), exitcode
