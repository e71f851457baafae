"""Connections: lists that the client reads page by page."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
_LARGEST_PAGE = 10_000


def connect(
    items: Sequence[Item],
    key: Callable[[Item], object],
    first: int | None = None,
    after: str | None = None,
    load: Callable[[Item], Any] = lambda item: item,
) -> dict[str, Any]:
    """Cut one page out of a list.

    The cursor names the last item and its place. The next page starts behind that item, also
    when others came in before it; if the item is gone, behind its place.

    Args:
        items: The whole list, in order.
        key: Gives what an item is recognised by, such as its row id.
        first: Largest size of the page; None means no limit but the server's.
        after: Cursor of the last item of the page before.
        load: Turns the items of this page into what the resolvers of the nodes take.

    Returns:
        The fields of a connection: edges, pageInfo, totalCount.
    """
    start = _start(items, key, after)
    size = _LARGEST_PAGE if first is None else max(0, min(first, _LARGEST_PAGE))
    page = items[start : start + size]
    edges = [
        {"node": load(item), "cursor": f"{start + index}:{key(item)}"}
        for index, item in enumerate(page)
    ]
    return {
        "edges": edges,
        "pageInfo": {
            "endCursor": edges[-1]["cursor"] if edges else None,
            "hasNextPage": start + size < len(items),
        },
        "totalCount": len(items),
    }


def _start(items: Sequence[Item], key: Callable[[Item], object], after: str | None) -> int:
    place, _, last = (after or "").partition(":")
    if not place.isascii() or not place.isdigit():
        return 0
    index = min(int(place[:18]), len(items))
    if index < len(items) and str(key(items[index])) == last:
        return index + 1
    found = (at for at, item in enumerate(items) if str(key(item)) == last)
    return next(found, index) + 1
