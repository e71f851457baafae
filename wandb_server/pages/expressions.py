"""Filters as people write them, turned into the filters of `filters.py`.

`test/roc_auc_ovo > 0.95 and config.max_depth = 13`, `state = finished or tag = best`, `forest`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from wandb_server.errors import ClientError

Filter = dict[str, Any]

_LONGEST = 1_000  # characters
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<operator><=|>=|!=|==|!~|=|<|>|~)|(?P<mark>[(),])|(?P<word>[^\s"'()<>=!~,]+)"""
)
_COMPARISONS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
# Names of a run's own fields, by what people call them.
FIELDS = {
    "name": "displayName",
    "id": "name",
    "state": "state",
    "group": "group",
    "job_type": "jobType",
    "job": "jobType",
    "tag": "tags",
    "tags": "tags",
    "notes": "notes",
    "host": "host",
    "program": "program",
    "commit": "commit_hash",
    "sweep": "sweep",
    "created": "createdAt",
    "duration": "duration",
}


class _Token(NamedTuple):
    kind: str
    text: str


def read_expression(text: str) -> Filter:
    """Read a filter.

    Args:
        text: Comparisons (`=`, `!=`, `<`, `<=`, `>`, `>=`, `~` for "contains", `!~`) joined by
            `and`, `or`, `not` and brackets; a word alone is searched for in names, groups, job
            types, notes and tags. Names and values with spaces stand in quotes.

    Returns:
        The same as MongoDB's operators; {} for an empty text.

    Raises:
        ClientError: It can't be read; the message says where it fails and what is allowed.
    """
    if len(text) > _LONGEST:
        raise ClientError(f"the filter has {len(text)} characters; {_LONGEST} are allowed")
    tokens = list(_split(text))
    try:
        return _Reader(tokens).read() if tokens else {}
    except RecursionError as error:
        raise ClientError(f"the filter has too many brackets or nots: {_HELP}") from error


def field_path(name: str) -> str:
    """Give the path in a run's document of a name such as `state`, `config.x` or `summary.x`.

    Raises:
        ClientError: There is no such field.
    """
    if name.startswith("summary."):
        return "summary_metrics." + name.removeprefix("summary.")
    if name.startswith("config."):
        return name
    if name not in FIELDS:
        raise ClientError(f"{name[:40]!r} is no field of a run: {', '.join(FIELDS)}")
    return FIELDS[name]


def quote(text: str) -> str:
    """Write a name or a value so that an expression means it as it is."""
    return json.dumps(text, ensure_ascii=False)


def _split(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        found = _TOKEN.match(text, position)
        if found is None:
            raise ClientError(f"can't read the filter from {text[position:][:20]!r} on: {_HELP}")
        position = found.end()
        yield _Token(str(found.lastgroup), found.group())


_HELP = "write such as  test/accuracy > 0.9 and config.depth = 13,  state = finished,  or a word"


class _Reader:
    """Goes through the tokens once, from left to right."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._position = 0

    def read(self) -> Filter:
        result = self._either()
        if self._next() is not None:
            raise self._error()
        return result

    def _next(self) -> _Token | None:
        left = self._position < len(self._tokens)
        return self._tokens[self._position] if left else None

    def _take(self, *words: str) -> bool:
        token = self._next()
        taken = token is not None and token.kind != "text" and token.text.lower() in words
        self._position += taken
        return taken

    def _either(self) -> Filter:
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else {"$or": parts}

    def _both(self) -> Filter:
        parts = [self._part()]
        while True:
            joined = self._take("and", ",")
            token = self._next()
            ends = token is None or (token.kind != "text" and token.text.lower() in {"or", ")"})
            if ends and not joined:
                return parts[0] if len(parts) == 1 else {"$and": parts}
            parts.append(self._part())

    def _part(self) -> Filter:
        if self._take("not"):
            return {"$not": self._part()}
        if self._take("("):
            inner = self._either()
            if not self._take(")"):
                raise self._error()
            return inner
        name = self._word()
        token = self._next()
        if token is None or token.kind != "operator":
            return _search(name.text)
        self._position += 1
        value = self._word()
        return _compare(_unquote(name), token.text, value)

    def _word(self) -> _Token:
        token = self._next()
        if token is None or token.kind not in {"word", "text"}:
            raise self._error()
        self._position += 1
        return token

    def _error(self) -> ClientError:
        token = self._next()
        place = f"at {token.text!r}" if token else "at its end"
        return ClientError(f"can't read the filter {place}: {_HELP}")


def _unquote(token: _Token) -> str:
    return re.sub(r"\\(.)", r"\1", token.text[1:-1]) if token.kind == "text" else token.text


def _search(text: str) -> Filter:
    quoted = text[:1] in {'"', "'"}
    return {"text": _contains(_unquote(_Token("text" if quoted else "word", text)))}


def _contains(text: str) -> Filter:
    return {"$regex": "(?i)" + re.escape(text)}


def _compare(name: str, operator: str, value: _Token) -> Filter:
    """Compare a field; `!=` and `!~` are what `=` and `~` are not, a missing value too."""
    if operator.startswith("!"):
        return {"$not": _compare(name, operator.removeprefix("!") or "=", value)}
    test = _test(operator, value)
    if name in FIELDS or name.startswith(("config.", "summary.")):
        return {field_path(name): test}
    # A bare key is a result or a setting: whichever the run has.
    return {"$or": [{f"summary_metrics.{name}": test}, {f"config.{name}": test}]}


def _test(operator: str, token: _Token) -> Filter:
    text = _unquote(token)
    if operator == "~":
        return _contains(text)
    values = [text] if token.kind == "text" else [*_literals(text), text]
    if operator in _COMPARISONS:
        return {_COMPARISONS[operator]: values[0]}
    return {"$in": values}


def _literals(text: str) -> list[Any]:
    """Read a bare word as the number, truth value or nothing that it may mean."""
    names: dict[str, list[Any]] = {"true": [True], "false": [False], "none": [None], "null": [None]}
    if text.lower() in names:
        return names[text.lower()]
    try:
        return [int(text) if text.lstrip("+-").isdigit() else float(text)]
    except ValueError:
        return []
