"""The filters and orders of `wandb.Api().runs(...)`: MongoDB's operators over fields of runs.

A filter is parsed once into a predicate over documents; a document is a nested dict of the
fields that clients may name. Fields are reached by dotted paths: `config.lr.value`,
`config.lr`, `summary_metrics.loss`, `state`.
"""

import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from wandb_server.errors import ClientError
from wandb_server.patterns import Pattern

Document = Mapping[str, Any]
Predicate = Callable[[Document], bool]
Test = Callable[[Any], bool]
MISSING = object()  # what a field reader gives where nothing is


def parse_filter(text: str | None) -> Predicate:
    """Read a filter.

    Args:
        text: JSON object as the SDK sends it, such as `{"state": {"$ne": "failed"}}`; None or
            "" lets everything pass.

    Returns:
        A function that tells whether a document passes.

    Raises:
        ClientError: It isn't a JSON object, or uses an operator that doesn't exist.
    """
    try:
        expression = json.loads(text or "{}")
    except ValueError as error:
        raise ClientError(f"filters: not valid JSON: {error}") from error
    return _parse(expression)


def parse_order(text: str | None) -> list[tuple[str, bool]]:
    """Read an order such as `-created_at,+summary_metrics.loss`.

    Returns:
        Pairs of a field and whether it is descending; empty when no order is given.
    """
    fields = [part.strip() for part in (text or "").split(",")]
    return [(field.lstrip("+-"), field.startswith("-")) for field in fields if field]


def sort_documents(
    documents: Sequence[Document], order: Sequence[tuple[str, bool]]
) -> list[Document]:
    """Sort documents by fields, the first one first; those that lack the field come last.

    NaN counts as lacking: it is neither greater nor less than a number.
    """
    result = list(documents)
    for field, descending in reversed(order):
        read = field_reader(field)
        present: list[tuple[tuple[int, float, str], Document]] = []
        missing: list[Document] = []
        for item in result:
            value = read(item)
            if _is_nothing(value):
                missing.append(item)
            else:
                present.append((_sortable(value), item))
        present.sort(key=itemgetter(0), reverse=descending)
        result = [item for _, item in present] + missing
    return result


def field_reader(path: str) -> Callable[[Document], Any]:
    """Make a function that reads a field of documents.

    Args:
        path: Such as `state` or `config.lr`. Below its first dot a key may hold dots itself;
            `config.x` also finds the value that the SDK stores as `{value: x}`.

    Returns:
        A function that gives the value, or MISSING when nothing is there.
    """
    root, dot, rest = path.partition(".")
    unwraps = path.startswith("config.")

    def read(document: Document) -> Any:
        if not dot or path in document:
            return document.get(path, MISSING)
        value = document.get(root, MISSING)
        is_direct = isinstance(value, dict) and rest in value
        found = value[rest] if is_direct else _descend(value, rest)
        return found["value"] if unwraps and isinstance(found, dict) and "value" in found else found

    return read


def _descend(value: Any, path: str) -> Any:
    if not isinstance(value, dict):  # asking for a Mapping takes ten times as long
        return MISSING
    if path in value:
        return value[path]
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        head = ".".join(parts[:count])
        if head in value:
            inner = value[head]
            rest = ".".join(parts[count:])
            found = _descend(inner, rest)
            if found is MISSING and isinstance(inner, dict) and "value" in inner:
                return _descend(inner["value"], rest)
            return found
    return MISSING


def _is_nothing(value: object) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or value is MISSING or is_nan


def _sortable(value: object) -> tuple[int, float, str]:
    """Order values of mixed types: numbers before texts before everything else."""
    if isinstance(value, (bool, int, float)):
        return (0, float(value), "")
    return (1, 0.0, value) if isinstance(value, str) else (2, 0.0, json.dumps(value, default=str))


def _parse(expression: object) -> Predicate:
    if not isinstance(expression, dict):
        raise ClientError(f"filters: a JSON object is wanted, not {str(expression)[:40]!r}")
    return _all([_parse_part(key, value) for key, value in expression.items()])


def _parse_part(key: str, value: Any) -> Predicate:
    if key == "$not":
        inner = _parse(value)
        return lambda document: not inner(document)
    if key in {"$and", "$or", "$nor"}:
        if not isinstance(value, list):
            raise ClientError(f"filters: {key} wants a list of filters")
        return _combine(key, [_parse(item) for item in value])
    if key.startswith("$"):
        raise ClientError(f"filters: there is no operator {key!r}; one of $and, $or, $nor, $not")
    test, read = _parse_test(value), field_reader(key)
    return lambda document: test(read(document))


def _combine(name: str, parts: list[Predicate]) -> Predicate:
    if name == "$and":
        return _all(parts)
    passes = _any(parts)
    return passes if name == "$or" else lambda document: not passes(document)


# Filters are asked about each of thousands of runs: a generator inside `all` or `any` takes as
# long as all the rest.
def _all(parts: Sequence[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    def passes(value: Any) -> bool:
        for part in parts:  # noqa: SIM110  see above
            if not part(value):
                return False
        return True

    return parts[0] if len(parts) == 1 else passes


def _any(parts: Sequence[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    def passes(value: Any) -> bool:
        for part in parts:  # noqa: SIM110  see above
            if part(value):
                return True
        return False

    return parts[0] if len(parts) == 1 else passes


def _parse_test(value: Any) -> Test:
    """Turn what stands behind a field into a test of the field's value."""
    if not isinstance(value, dict) or not any(key.startswith("$") for key in value):
        return lambda found: _equal(found, value)
    return _all(
        [_parse_operator(name, operand) for name, operand in value.items() if name != "$options"]
    )


def _parse_operator(name: str, operand: Any) -> Test:
    if name == "$not":
        inner = _parse_test(operand)
        return lambda found: not inner(found)
    if name in {"$regex", "$contains"}:
        text = str(operand)
        finds = Pattern(text).finds if name == "$regex" else partial(_contains, text)
        return lambda found: _matches(found, finds)
    if name in {"$in", "$nin", "$all"} and not isinstance(operand, list):
        raise ClientError(f"filters: {name} wants a list")
    try:
        make_test = _OPERATORS[name]
    except KeyError as error:
        allowed = ", ".join(sorted([*_OPERATORS, "$not", "$regex"]))
        raise ClientError(f"filters: there is no operator {name!r}; one of {allowed}") from error
    return make_test(operand)


def _contains(part: str, text: str) -> bool:
    return part in text


def _matches(found: object, finds: Callable[[str], bool]) -> bool:
    """Search a text, or as MongoDB does each item of a list."""
    if isinstance(found, list):
        return any(_matches(item, finds) for item in found)
    return isinstance(found, str) and finds(found)


def _equal(found: object, wanted: object) -> bool:
    """Compare as MongoDB does: a list also equals each of its items, null a missing field."""
    if wanted is None:
        return found is None or found is MISSING
    if isinstance(found, list) and not isinstance(wanted, list):
        return any(_equal(item, wanted) for item in found)
    return bool(found == wanted)


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def make_test(wanted: Any) -> Test:
        kind = str if isinstance(wanted, str) else (int, float)
        fits = isinstance(wanted, kind)
        return lambda found: fits and isinstance(found, kind) and test(found, wanted)

    return make_test


# Each makes a test of what is found from what is wanted.
_OPERATORS: dict[str, Callable[[Any], Test]] = {
    "$eq": lambda wanted: lambda found: _equal(found, wanted),
    "$ne": lambda wanted: lambda found: not _equal(found, wanted),
    "$gt": _compare(operator.gt),
    "$gte": _compare(operator.ge),
    "$lt": _compare(operator.lt),
    "$lte": _compare(operator.le),
    "$in": lambda wanted: _any([partial(_equal, wanted=item) for item in wanted]),
    "$nin": lambda wanted: lambda found: not any(_equal(found, item) for item in wanted),
    "$all": lambda wanted: lambda found: all(_equal(found, item) for item in wanted),
    "$exists": lambda wanted: lambda found: (found is not MISSING) == bool(wanted),
    "$size": lambda wanted: lambda found: isinstance(found, list) and len(found) == wanted,
}
