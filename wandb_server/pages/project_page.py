"""The page of a project: its runs as a table that can be searched, sorted and grouped."""

import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from wandb_server import queries
from wandb_server.artifact.records import LOGGED_TABLE
from wandb_server.errors import ClientError
from wandb_server.filters import Document
from wandb_server.pages import addresses, formats
from wandb_server.pages.run_table import (
    PAGE_SIZE,
    choose_columns,
    cut_page,
    find_runs,
    group_runs,
    known_columns,
    read_cell,
)
from wandb_server.pages.run_view import OWN_COLUMNS, RunView, heading, read_view
from wandb_server.pages.visits import Visit, find_home
from wandb_server.projects import Project

_NO_GROUPS = {"tags", "notes", "created", "duration", "id"}
_OWN = tuple(OWN_COLUMNS)
_ALL = ("config.", "summary.", "duration")  # every setting and result
# A cell that begins so is taken for a formula by spreadsheets.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Column(NamedTuple):
    """A column: its key and heading, and the addresses that change it; None where none fits."""

    key: str
    heading: str
    is_number: bool
    sorted: str
    sort_url: str
    left_url: str | None
    right_url: str | None
    remove_url: str


def project(visit: Visit) -> dict[str, Any]:
    """Show a project's runs as its address asks, and its artifacts."""
    home = find_home(visit)
    shown = _base(visit, home)
    try:
        view = read_view(visit.query)
        return shown | _table(visit, home, view)
    except ClientError as error:
        return shown | {"view": RunView(visit.query.get("filter", "")), "wrong": str(error)}


def project_csv(visit: Visit) -> tuple[str, str]:
    """Write the runs that a view finds, on all of its pages, as CSV.

    Returns:
        A name for the file and its text: the run's id and name, then the view's columns.

    Raises:
        ClientError: The view can't be read.
    """
    home = find_home(visit)
    view = read_view(visit.query)
    found = find_runs(visit.connection, home.id, view, ["id", "name", *_OWN, *_ALL])
    columns = view.columns or choose_columns(cut_page(visit.connection, found, 1).runs, view)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "name", *columns])
    for run in found:
        cells = [run["name"], run["displayName"], *(read_cell(run, key) for key in columns)]
        writer.writerow([_csv_cell(cell) for cell in cells])
    return f"{home.name}.csv", text.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, int | float) or value is None:
        return value
    text = value if isinstance(value, str) else formats.full_value(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _base(visit: Visit, home: Project) -> dict[str, Any]:
    url = addresses.project(home.entity, home.name)
    return {
        "project": home,
        "url": url,
        "collections": [
            {"row": row, "url": addresses.collection(home.entity, home.name, row.type, row.name)}
            for row in queries.collection_rows(visit.connection, home.id)
            if row.type != LOGGED_TABLE
        ],
        "wrong": None,
        "known": [],
        "groupable": [],
        "columns": [],
        "groups": None,
        "page": None,
    }


def _table(visit: Visit, home: Project, view: RunView) -> dict[str, Any]:
    url = addresses.project(home.entity, home.name)
    wanted = [view.group, *(view.columns or [*_OWN, *_ALL])] if view.group else []
    found = find_runs(visit.connection, home.id, view, wanted)
    page = cut_page(visit.connection, found, view.page)
    keys = view.columns or choose_columns(page.runs, view)
    columns = [_column(url, view, keys, index, page.runs) for index in range(len(keys))]
    known = known_columns(page.runs)
    shown: dict[str, Any] = {
        "view": view,
        "keys": keys,
        "columns": columns,
        "known": [key for key in (*OWN_COLUMNS, *known) if key not in keys],
        "groupable": [key for key in (*OWN_COLUMNS, *known) if key not in _NO_GROUPS],
        "csv_url": addresses.with_query(f"{url}/runs.csv", view.pairs()),
        "compare_url": addresses.with_query(f"{url}/compare", view.pairs(columns=(), group="")),
        "hidden": view.pairs(),
    }
    if view.group:
        return shown | _groups(url, view, found, columns)
    return shown | {
        "page": page,
        "rows": [_row(home, run, keys) for run in page.runs],
        "first": (min(view.page, page.pages) - 1) * PAGE_SIZE + 1,
        "before_url": _page_url(url, view, page.pages, -1),
        "after_url": _page_url(url, view, page.pages, 1),
    }


def _groups(
    url: str, view: RunView, found: Sequence[Document], columns: Sequence[Column]
) -> dict[str, Any]:
    numeric = [column for column in columns if column.is_number]
    groups, count = group_runs(found, view, [column.key for column in numeric])
    return {
        "columns": numeric,
        "group_heading": heading(view.group),
        "groups": [
            {
                "group": group,
                "url": group.filter
                and addresses.with_query(url, view.pairs(filter=group.filter, group="")),
            }
            for group in groups
        ],
        "group_count": count,
        "run_count": len(found),
    }


def _page_url(url: str, view: RunView, pages: int, step: int) -> str | None:
    target = min(view.page, pages) + step
    return addresses.with_query(url, view.pairs(page=target)) if 1 <= target <= pages else None


def _column(
    url: str, view: RunView, keys: Sequence[str], index: int, runs: Sequence[Document]
) -> Column:
    key = keys[index]
    values = [value for run in runs if (value := read_cell(run, key)) is not None]
    is_number = bool(values) and all(isinstance(value, int | float) for value in values)
    ways = {key: "ascending", f"-{key}": "descending"}
    # Numbers are looked at from the largest on, words from the first letter on.
    first, second = (f"-{key}", key) if is_number or key == "created" else (key, f"-{key}")
    sort = second if view.sort == first else first

    def arranged(order: Sequence[str]) -> str:
        return addresses.with_query(url, view.pairs(columns=tuple(order), page=view.page))

    def swapped(other: int) -> str | None:
        if not 0 <= other < len(keys):
            return None
        order = list(keys)
        order[index], order[other] = order[other], order[index]
        return arranged(order)

    return Column(
        key=key,
        heading=heading(key),
        is_number=is_number,
        sorted=ways.get(view.sort, "none"),
        sort_url=addresses.with_query(url, view.pairs(sort=sort)),
        left_url=swapped(index - 1),
        right_url=swapped(index + 1),
        remove_url=arranged([other for other in keys if other != key]),
    )


def _row(home: Project, run: Document, keys: Sequence[str]) -> dict[str, Any]:
    return {
        "id": run["name"],
        "name": run["displayName"] or run["name"],
        "url": addresses.run(home.entity, home.name, run["name"]),
        "cells": [(key, read_cell(run, key)) for key in keys],
    }
