"""How large a GraphQL query may be, so that no client keeps the server busy with one.

The bounds are several times what the SDK's own documents need. Fragments count wherever they
are spread: a short text can stand for a very long query.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionContext,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    parse,
)

from wandb_server.errors import ClientError

MAX_CHARACTERS = 20_000
MAX_DEPTH = 25
MAX_FIELDS = 500
MAX_ALIASES = 100
# Fields of an answer, all items of all lists counted: about ten seconds of work.
MAX_ANSWERED_FIELDS = 1_000_000


class TooCostlyError(BaseException):
    """The answer to a query grew too large.

    It isn't an `Exception`, because graphql-core turns those into a null and goes on.
    """


@dataclass(frozen=True)
class Cost:
    """What a selection amounts to with all of its fragments written out."""

    fields: int = 0
    aliases: int = 0
    depth: int = 0

    def beside(self, other: "Cost") -> "Cost":
        """Add what stands on the same level."""
        return Cost(
            self.fields + other.fields,
            self.aliases + other.aliases,
            max(self.depth, other.depth),
        )


def parse_bounded(text: str) -> DocumentNode:
    """Parse a query that isn't too large.

    Raises:
        ClientError: It is; the message says which bound it passes.
        GraphQLSyntaxError: It can't be parsed, or is nested too deeply for that.
    """
    _check("characters", len(text), MAX_CHARACTERS)
    document = parse(text)
    cost = measure(document)
    _check("levels", cost.depth, MAX_DEPTH)
    _check("fields", cost.fields, MAX_FIELDS)
    _check("aliases", cost.aliases, MAX_ALIASES)
    return document


def measure(document: DocumentNode) -> Cost:
    """Measure a document: all operations together, or the largest fragment if that is larger.

    Raises:
        ClientError: A fragment holds itself.
    """
    return _Measure(document).total()


def _check(what: str, found: int, allowed: int) -> None:
    if found > allowed:
        raise ClientError(f"the query has {found} {what}: send {allowed} at most in one request")


class _Measure:
    def __init__(self, document: DocumentNode) -> None:
        self._operations = [
            item for item in document.definitions if isinstance(item, OperationDefinitionNode)
        ]
        self._fragments = {
            item.name.value: item
            for item in document.definitions
            if isinstance(item, FragmentDefinitionNode)
        }
        # None while a fragment is being measured.
        self._measured: dict[str, Cost | None] = {}

    def total(self) -> Cost:
        operations = [self._selections(operation.selection_set) for operation in self._operations]
        parts = [_add(operations), *map(self._fragment, self._fragments)]
        return Cost(
            max(part.fields for part in parts),
            max(part.aliases for part in parts),
            max(part.depth for part in parts),
        )

    def _selections(self, selections: SelectionSetNode | None) -> Cost:
        return _add(self._selection(item) for item in (selections.selections if selections else ()))

    def _selection(self, node: SelectionNode) -> Cost:
        if isinstance(node, FragmentSpreadNode):
            return self._fragment(node.name.value)
        inner = self._selections(getattr(node, "selection_set", None))
        if not isinstance(node, FieldNode):
            return inner
        return Cost(inner.fields + 1, inner.aliases + bool(node.alias), inner.depth + 1)

    def _fragment(self, name: str) -> Cost:
        if name not in self._fragments:
            return Cost()  # validation names it
        if name not in self._measured:
            self._measured[name] = None
            self._measured[name] = self._selections(self._fragments[name].selection_set)
        cost = self._measured[name]
        if cost is None:
            raise ClientError(f"the fragment {name} holds itself")
        return cost


def _add(costs: Iterable[Cost]) -> Cost:
    total = Cost()
    for cost in costs:
        total = total.beside(cost)
    return total


class BoundedExecution(ExecutionContext):
    """Executes a query and gives up when the answer grows too large."""

    _answered = 0

    def execute_field(self, *arguments: Any) -> Any:
        """Count the field, then resolve it.

        Raises:
            TooCostlyError: It is one too many.
        """
        self._answered += 1
        if self._answered > MAX_ANSWERED_FIELDS:
            raise TooCostlyError
        return super().execute_field(*arguments)
