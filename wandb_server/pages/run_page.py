"""The page of a run, and that of one of its files."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from starlette.responses import Response

from wandb_server import queries
from wandb_server.artifact.records import LOGGED_TABLE
from wandb_server.blobs import BlobStore
from wandb_server.console import parse_line
from wandb_server.errors import NotFoundError
from wandb_server.lines import EVENTS, HISTORY, OUTPUT, count_lines, parse_object, read_last_lines
from wandb_server.pages import addresses, formats
from wandb_server.pages.frames import give_frame, make_frame
from wandb_server.pages.plots import Plot, Series, draw_lines
from wandb_server.pages.previews import preview
from wandb_server.pages.run_media import show_media
from wandb_server.pages.series import (
    RUNTIME,
    STEP,
    TIMESTAMP,
    Metric,
    defined_axes,
    numeric_keys,
    read_metrics,
)
from wandb_server.pages.smoothing import prepare_lines, read_smoothing
from wandb_server.pages.terminal import read_spans
from wandb_server.pages.visits import (
    Visit,
    file_link,
    find_home,
    find_named_run,
    run_duration,
    version_link,
)
from wandb_server.run_files import RunFile, list_files
from wandb_server.runs import Run

_CONSOLE_LINES = 500
_CHARTS = 24
_LARGEST_METADATA = 1 << 20  # bytes
_METADATA, _PATCH, _CODE = "wandb-metadata.json", "diff.patch", "code/"


class Chart(NamedTuple):
    """A metric's chart; `plot` is None when nothing can be drawn, which `note` explains."""

    key: str
    plot: Plot | None
    note: str


def run(visit: Visit) -> dict[str, Any]:
    """Show a run with its settings, results, charts, output, files and artifacts."""
    home = find_home(visit)
    found = find_named_run(visit, home, visit.names["run"])
    page = queries.run_page(visit.connection, found)
    url = addresses.run(home.entity, home.name, found.name)
    files = [
        file_link(visit.urls, url, file.name, file.size, file.digest, None) for file in page.files
    ]
    lines = read_last_lines(visit.connection, found.id, OUTPUT, _CONSOLE_LINES)
    return {
        "project": home,
        "run": found,
        "row": page.row,
        "ran": run_duration(page.row),
        "is_live": page.row.state in {"running", "pending"},
        "alerts": page.alerts,
        "about": _about(visit.blobs, found, page.files),
        "summary": _without_media(page.row.summary),
        **_charts(visit, found),
        "system": _system_charts(visit, found),
        "console": [
            (parsed["level"], read_spans(parsed["line"])) for parsed in map(parse_line, lines)
        ],
        "lines_left_out": count_lines(visit.connection, found.id, OUTPUT) - len(lines),
        "files": files,
        **show_media(visit, found, url, page.files, files),
        "used": [version_link(visit.connection, row) for row in page.inputs],
        "made": [
            version_link(visit.connection, row) for row in page.outputs if row.type != LOGGED_TABLE
        ],
    }


def run_file(visit: Visit) -> dict[str, Any]:
    """Show a file of a run."""
    home = find_home(visit)
    found = find_named_run(visit, home, visit.names["run"])
    file = _find_file(visit, found)
    url = addresses.run(home.entity, home.name, found.name)
    link = file_link(visit.urls, url, file.name, file.size, file.digest, None)
    path = visit.blobs.path(file.digest)
    return {
        "project": home,
        "owner_url": url,
        "owner": found.display_name or found.name,
        "file": link,
        "preview": preview(path, file.name),
        "frame": make_frame(visit, link.preview or "", url, link, path) if link.is_page else None,
    }


def run_frame(visit: Visit) -> Response:
    """Give a web page among the files of a run, as it may run its scripts.

    Raises:
        NotFoundError: There is none of this name, or its content is gone.
    """
    found = find_named_run(visit, find_home(visit), visit.names["run"])
    return give_frame(visit.blobs.path(_find_file(visit, found).digest))


def _find_file(visit: Visit, found: Run) -> RunFile:
    for file in list_files(visit.connection, found.id):
        if file.name == visit.names["file"]:
            return file
    raise NotFoundError(f"The run {found.name} has no file {visit.names['file']}.")


def _about(blobs: BlobStore, found: Run, files: Sequence[RunFile]) -> dict[str, str]:
    """Collect what is known of where a run came from: its row, and what the SDK uploaded."""
    by_name = {file.name: file for file in files}
    told = by_name.get(_METADATA)
    known: dict[str, Any] = {}
    if told and told.size <= _LARGEST_METADATA and blobs.size(told.digest) is not None:
        known = parse_object(blobs.read(told.digest).decode("utf-8", errors="replace"))
    git = known.get("git")
    commit = found.commit_hash or (git.get("commit") if isinstance(git, dict) else None)
    arguments = known.get("args")
    words = [known.get("program"), *(arguments if isinstance(arguments, list) else [])]
    facts = {
        "Command": " ".join(str(word) for word in words if word),
        "Commit": f"{commit} {_tell_changes(by_name)}" if commit else "",
        "Repository": found.repo,
        "Python": known.get("python"),
        "System": known.get("os"),
        "Host": found.host or known.get("host"),
        # Without a name or an address in git's settings, the SDK doesn't tell who ran it.
        "User": known.get("username")
        or known.get("email")
        or f"{blobs.owner()} (account of the server)",
    }
    return {name: formats.cut(str(value), 300) for name, value in facts.items() if value}


def _tell_changes(files: Collection[str]) -> str:
    """Say whether files differed from the commit, which the SDK looks at if it saves code."""
    if _PATCH in files:
        return "with changes, see diff.patch"
    if any(name.startswith(_CODE) for name in files):
        return "without changes"
    return "(with WANDB_SAVE_CODE=true, changes are recorded, too)"


def _without_media(summary: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is shown as plots and media."""
    kept: dict[str, Any] = {}
    for name, value in summary.items():
        if not isinstance(value, dict):
            kept[name] = value
        elif "_type" not in value and (inner := _without_media(value)):
            kept[name] = inner
    return kept


def _charts(visit: Visit, found: Run) -> dict[str, Any]:
    """Draw the run's metrics, over the x axis that the address asks for or else their own."""
    keys = numeric_keys(found)
    wanted = visit.query.get("metric", "")
    axis = visit.query.get("x", "")
    smoothing = read_smoothing(visit.query.get("smoothing", ""))
    fitting = [key for key in keys if wanted.lower() in key.lower()]
    shown = fitting[:_CHARTS]
    own = defined_axes(found, shown)
    axes = {key: axis or own[key] for key in shown}
    metrics = read_metrics(visit.connection, found.id, HISTORY, axes)
    return {
        "charts": [_chart(key, axes[key], metrics[key], smoothing) for key in shown],
        "charts_left_out": len(fitting) - len(shown),
        "metric": wanted,
        "axis": axis,
        "smoothing": smoothing,
        "axes": [STEP, RUNTIME, TIMESTAMP, *keys] if keys else [],
    }


def _system_charts(visit: Visit, found: Run) -> list[Chart]:
    """Draw what the SDK noted of the machine, over the run's time."""
    last = read_last_lines(visit.connection, found.id, EVENTS, 1)
    keys = sorted({key for line in last for key in parse_object(line.content) if key[:1] != "_"})
    axes = dict.fromkeys(keys[:_CHARTS], RUNTIME)
    metrics = read_metrics(visit.connection, found.id, EVENTS, axes)
    return [_chart(key, RUNTIME, metric, 0.0) for key, metric in metrics.items() if metric.points]


def _chart(key: str, axis: str, metric: Metric, smoothing: float) -> Chart:
    lines = prepare_lines([Series(key, metric.points)] if metric.points else [], smoothing)
    drawn = max((len(line.points) for line in lines), default=0)
    notes = []
    if not lines:
        notes.append(f"It has no number together with {axis}.")
    elif drawn < len(metric.points):
        notes.append(f"{drawn} of {len(metric.points)} points, extremes kept.")
    if metric.skipped:
        notes.append(f"{metric.skipped} values aren't finite numbers.")
    return Chart(key, draw_lines(key, axis, lines) if lines else None, " ".join(notes))
