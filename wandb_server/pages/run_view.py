"""What the address of a run table asks for: filter, order, columns, groups, page."""

from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import QueryParams

from wandb_server.errors import ClientError
from wandb_server.pages.expressions import FIELDS

# Columns of a run's own fields, by their keys, with their headings.
OWN_COLUMNS = {
    "state": "State",
    "job_type": "Job type",
    "group": "Group",
    "created": "Created",
    "duration": "Duration",
    "tags": "Tags",
    "notes": "Notes",
    "host": "Host",
    "commit": "Commit",
    "sweep": "Sweep",
    "id": "Id",
}
DEFAULT_SORT = "-created"
_MOST_COLUMNS = 40


@dataclass(frozen=True)
class RunView:
    """A table of runs, as its address describes it.

    `columns` are keys such as `state`, `config.depth` and `summary.loss`; none means those
    that the server chooses. `sort` is a key, with a minus for descending. `page` counts from 1.
    """

    filter: str = ""
    sort: str = DEFAULT_SORT
    group: str = ""
    columns: tuple[str, ...] = ()
    page: int = 1

    def pairs(self, **changes: Any) -> list[tuple[str, str]]:
        """Write the view, with changes, as what stands behind an address's question mark."""
        changed = replace(self, **({"page": 1} | changes))
        default = RunView()
        pairs = [
            (name, str(getattr(changed, name)))
            for name in ("filter", "sort", "group")
            if getattr(changed, name) != getattr(default, name)
        ]
        pairs += [("column", column) for column in changed.columns]
        return pairs if changed.page == 1 else [*pairs, ("page", str(changed.page))]


def read_view(query: QueryParams) -> RunView:
    """Read a view from an address.

    Raises:
        ClientError: A column that doesn't exist, too many of them, or no page number.
    """
    # The form that adds a column sends it by itself, so that it can be left empty.
    columns = [*query.getlist("column"), *filter(None, [query.get("add", "")])]
    sort = query.get("sort") or DEFAULT_SORT
    group = query.get("group", "")
    chosen = tuple(check_column(column) for column in dict.fromkeys(columns))
    if len(chosen) > _MOST_COLUMNS:
        raise ClientError(f"{len(chosen)} columns are asked for; {_MOST_COLUMNS} are allowed")
    check_column(sort.removeprefix("-"))
    page = query.get("page") or "1"
    if not page.isascii() or not page.isdigit() or int(page[:9]) < 1:
        raise ClientError(f"page {page[:20]!r}: a number from 1 on is wanted")
    return RunView(
        filter=query.get("filter", "").strip(),
        sort=sort,
        group=check_column(group) if group else "",
        columns=chosen,
        page=int(page[:9]),
    )


def check_column(key: str) -> str:
    """Check that a key names a field of a run, a setting or a result.

    Raises:
        ClientError: It doesn't.
    """
    if key in FIELDS or (key.startswith(("config.", "summary.")) and not key.endswith(".")):
        return key
    raise ClientError(
        f"there is no column {key[:80]!r}: write config.<setting>, summary.<metric>, or one of "
        f"{', '.join(OWN_COLUMNS)}"
    )


def heading(key: str) -> str:
    """Give the heading of a column."""
    return OWN_COLUMNS.get(key) or key.removeprefix("config.").removeprefix("summary.")
