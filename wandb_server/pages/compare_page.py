"""The page that compares runs: their curves, results, settings, and what mattered."""

from collections.abc import Sequence
from typing import Any

from wandb_server.filters import Document
from wandb_server.lines import HISTORY
from wandb_server.pages import addresses
from wandb_server.pages.compare_media import put_side_by_side
from wandb_server.pages.importance import Influence, rank_influences
from wandb_server.pages.overlays import filters_of
from wandb_server.pages.parallel import Parallel, RunValues, draw_parallel, plain
from wandb_server.pages.plots import (
    COLOURS,
    Plot,
    Series,
    draw_bars,
    draw_dots,
    draw_lines,
)
from wandb_server.pages.run_media import Shown
from wandb_server.pages.run_table import (
    complete,
    find_runs,
    numbers_of,
    read_cell,
    read_number,
    settings,
    varying,
)
from wandb_server.pages.run_view import DEFAULT_SORT, heading, read_view
from wandb_server.pages.series import (
    RUNTIME,
    STEP,
    TIMESTAMP,
    defined_axes,
    numeric_keys,
    read_metrics,
)
from wandb_server.pages.smoothing import prepare_lines, read_smoothing
from wandb_server.pages.visits import Visit, find_home, find_named_run
from wandb_server.projects import Project
from wandb_server.runs import Run, get_run

_MOST_RUNS = 200
_CURVES = 10  # runs whose history is drawn: one colour each
_CHARTS = 12
_BARS = 30
_AXES = 6
_BESIDE = 4  # runs whose plots and images are put side by side
_COLUMNS = 20  # runs side by side in the table of settings
_LINES_READ = 10_000  # of all drawn runs together


def compare(visit: Visit) -> dict[str, Any]:
    """Compare the runs that `run` names, or those that the filter finds."""
    home = find_home(visit)
    view = read_view(visit.query)
    smoothing = read_smoothing(visit.query.get("smoothing", ""))
    names = list(dict.fromkeys(visit.query.getlist("run")))
    if names:
        rows = [find_named_run(visit, home, name).id for name in names]
        wanted = set(rows)
        found = [run for run in find_runs(visit.connection, home.id, view) if run["row"] in wanted]
    else:
        found = find_runs(visit.connection, home.id, view)
    runs = [complete(visit.connection, run) for run in found[:_MOST_RUNS]]
    metrics = _numeric(runs)
    sorted_by = view.sort.removeprefix("-")
    first = sorted_by if sorted_by in metrics else _first_score(runs, metrics)
    metric = visit.query.get("metric") or first or ""
    different = [f"config.{name}" for name in varying([dict(settings(run)) for run in runs])]
    numeric_settings = [
        key for key in different if any(read_number(run, key) is not None for run in runs)
    ]
    influences = _influences(runs, different, metric)
    strongest = [item.key for item in influences if item.key in numeric_settings]
    x = visit.query.get("x") or next(iter(strongest + numeric_settings), "")
    rows_beside = [get_run(visit.connection, run["row"]) for run in runs[:_BESIDE]]
    beside = put_side_by_side(visit, home, rows_beside)
    pairs = [("run", name) for name in names] or view.pairs(columns=(), group="")
    return {
        "project": home,
        "url": addresses.project(home.entity, home.name),
        "count": len(found),
        "runs": [_entry(home, run, index) for index, run in enumerate(runs[:_CURVES])],
        "shown": len(runs),
        "pairs": [pair for pair in pairs if pair[0] != "filter"],
        "filter": None if names else view.filter,
        "metrics": metrics,
        "metric": metric,
        "xs": [*numeric_settings, *(key for key in metrics if key != metric)],
        "x": x,
        "axis": visit.query.get("axis", ""),
        "axes": [STEP, RUNTIME, TIMESTAMP],
        "search": visit.query.get("search", ""),
        "smoothing": smoothing,
        "charts": _curves(visit, home, runs[:_CURVES], smoothing),
        "beside": beside,
        "mask_filters": filters_of(
            item.over for row in beside for item in row.found if isinstance(item, Shown)
        ),
        "bars": _bars(home, runs, metric),
        "dots": _dots(home, runs, x, metric),
        "parallel": _parallel(home, runs, [item.key for item in influences], metric),
        "influences": influences,
        "table": _settings_table(home, runs[:_COLUMNS], different),
        "sort_default": DEFAULT_SORT,
    }


def _entry(home: Project, run: Document, index: int) -> dict[str, Any]:
    return {
        "name": _name(run),
        "url": addresses.run(home.entity, home.name, run["name"]),
        "colour": index % COLOURS,
        "state": run["state"],
    }


def _name(run: Document) -> str:
    return str(run["displayName"] or run["name"])


def _numeric(runs: Sequence[Document]) -> list[str]:
    """List the results of which some run has a number, as keys of columns."""
    names = sorted({name for run in runs for name in run["summary_metrics"] if name[:1] != "_"})
    keys = [f"summary.{name}" for name in names]
    return [key for key in keys if any(read_number(run, key) is not None for run in runs)]


def _first_score(runs: Sequence[Document], metrics: Sequence[str]) -> str | None:
    """Choose the metric to look at first: one that differs, is no count, and is everywhere."""

    def rank(key: str) -> tuple[bool, bool, int, int]:
        numbers = numbers_of(runs, key)
        is_count = all(number.is_integer() for number in numbers)
        return len(set(numbers)) < 2, is_count, -len(numbers), key.count("/")

    return min(metrics, key=rank, default=None)


def _curves(
    visit: Visit, home: Project, runs: Sequence[Document], smoothing: float
) -> list[tuple[str, Plot]]:
    """Overlay the history of the runs, one chart a metric."""
    rows: list[Run] = [get_run(visit.connection, run["row"]) for run in runs]
    search = visit.query.get("search", "").lower()
    keys = sorted({key for row in rows for key in numeric_keys(row) if search in key.lower()})[
        :_CHARTS
    ]
    axis = visit.query.get("axis", "")
    lines: dict[str, list[Series]] = {key: [] for key in keys}
    labels: dict[str, str] = {}
    for index, row in enumerate(rows):
        own = defined_axes(row, keys)
        axes = {key: axis or own[key] for key in keys}
        labels = axes | labels
        metrics = read_metrics(visit.connection, row.id, HISTORY, axes, _LINES_READ // len(rows))
        url = addresses.run(home.entity, home.name, row.name)
        for key, metric in metrics.items():
            if metric.points:
                lines[key].append(
                    Series(row.display_name or row.name, metric.points, index % COLOURS, url)
                )
    return [
        (key, draw_lines(key, labels[key], prepare_lines(lines[key], smoothing)))
        for key in keys
        if lines[key]
    ]


def _bars(home: Project, runs: Sequence[Document], metric: str) -> Plot | None:
    series = _points(home, runs, metric, metric)[:_BARS]
    return draw_bars(heading(metric), series) if series else None


def _dots(home: Project, runs: Sequence[Document], x: str, metric: str) -> Plot | None:
    series = _points(home, runs, x, metric)
    return draw_dots(heading(metric), heading(x), series) if series else None


def _points(home: Project, runs: Sequence[Document], x: str, y: str) -> list[Series]:
    """Give each run that has both numbers as a series of one point."""
    series = []
    for index, run in enumerate(runs if x and y else ()):
        a, b = read_number(run, x), read_number(run, y)
        if a is not None and b is not None:
            url = addresses.run(home.entity, home.name, run["name"])
            colour = index % COLOURS if len(runs) <= COLOURS else 0
            series.append(Series(_name(run), [(a, b)], colour, url))
    return series


def _parallel(
    home: Project, runs: Sequence[Document], ranked: Sequence[str], metric: str
) -> Parallel | None:
    keys = [*ranked[: _AXES - 1], metric]
    if len(keys) < 2 or not metric:
        return None
    values = [
        RunValues(
            _name(run),
            addresses.run(home.entity, home.name, run["name"]),
            [*(plain(read_cell(run, key)) for key in keys[:-1]), read_number(run, metric)],
        )
        for run in runs
    ]
    chart = draw_parallel([heading(key) for key in keys], values)
    return chart if len(chart.lines) > 1 else None


def _influences(runs: Sequence[Document], different: Sequence[str], metric: str) -> list[Influence]:
    if not metric:
        return []
    targets = [read_number(run, metric) for run in runs]
    columns = {key: [plain(read_cell(run, key)) for run in runs] for key in different}
    return rank_influences(columns, targets)


def _settings_table(
    home: Project, runs: Sequence[Document], different: Sequence[str]
) -> dict[str, Any]:
    return {
        "runs": [_entry(home, run, index) for index, run in enumerate(runs)],
        "rows": [(heading(key), [read_cell(run, key) for run in runs]) for key in different],
    }
