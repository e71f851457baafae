"""The schema's own scalars, as they may come in: graphql-core takes any value for them."""

from typing import Any

from graphql import GraphQLError, GraphQLScalarType, GraphQLSchema

_LARGEST = 2**63  # of what a column holds


def attach_scalars(schema: GraphQLSchema) -> None:
    """Check what clients send for the scalars that reach the database or a JSON parser."""
    parsers = {"JSONString": _parse_text, "Int64": _parse_whole, "Duration": _parse_whole}
    for name, parse in parsers.items():
        scalar = schema.type_map[name]
        if isinstance(scalar, GraphQLScalarType):
            scalar.parse_value = parse  # type: ignore[method-assign]


def _parse_text(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"JSON as text is wanted, not {str(value)[:40]}")
    return value


def _parse_whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -_LARGEST <= value < _LARGEST:
        raise GraphQLError(f"a whole number of 64 bits is wanted, not {str(value)[:40]}")
    return value
