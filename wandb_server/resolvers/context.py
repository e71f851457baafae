"""What every resolver is given, and how resolvers are tied to fields."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from graphql import GraphQLResolveInfo, GraphQLSchema

from wandb_server.blobs import BlobStore
from wandb_server.history_files import HistoryFiles
from wandb_server.projects import DEFAULT_ENTITY
from wandb_server.scans import Scans
from wandb_server.urls import Urls

Resolver = Callable[..., Any]
# Resolvers by type and field, such as {"Run": {"state": ...}}.
Resolvers = dict[str, dict[str, Resolver]]


@dataclass(frozen=True)
class Context:
    """The surroundings of one GraphQL request.

    `connection` is inside a transaction: for reading in a query, for writing in a mutation.
    `scans` are those that are about to begin. `shared` says that several processes write to the
    same run. `user` is the name of who asks, which is also the entity where none is named.
    """

    connection: sqlite3.Connection
    blobs: BlobStore
    urls: Urls
    scans: Scans = field(default_factory=Scans)
    history_files: HistoryFiles = field(default_factory=HistoryFiles)
    shared: bool = False
    user: str = DEFAULT_ENTITY

    def entity_of(self, fields: Mapping[str, Any]) -> str:
        """Give the entity that an input names, the user's own where it names none."""
        return str(fields.get("entityName") or self.user)


def context(info: GraphQLResolveInfo) -> Context:
    """Give the context of the request that a field is resolved for."""
    found: Context = info.context
    return found


def attach(schema: GraphQLSchema, resolvers: Resolvers) -> None:
    """Tie resolvers to the fields of a schema.

    Raises:
        KeyError: The schema has no such type or field.
    """
    for type_name, fields in resolvers.items():
        for field_name, resolver in fields.items():
            schema.type_map[type_name].fields[field_name].resolve = resolver  # type: ignore[attr-defined]


def resolve_by_name(source: Any, info: GraphQLResolveInfo, **_arguments: object) -> Any:
    """Read `createdAt` from the key `createdAt` of a dict or the attribute `created_at`."""
    if isinstance(source, dict):
        return source.get(info.field_name)
    return getattr(source, _snake(info.field_name))


@lru_cache(maxsize=1024)
def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
