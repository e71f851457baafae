"""Find collections and versions by the filters and orders of the public API."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from wandb_server import ids
from wandb_server.artifact.lookups import (
    get_artifact,
    list_aliases,
    list_artifact_tags,
    list_collection_tags,
)
from wandb_server.artifact.records import Collection, Membership
from wandb_server.errors import ClientError
from wandb_server.filters import Document, parse_filter, parse_order, sort_documents

Item = TypeVar("Item")
# What versions are asked for when nothing else is wanted; every member is committed.
_ALL_VERSIONS: tuple[dict[str, str], ...] = ({}, {"state": "COMMITTED"})


def select_items(
    items: Sequence[Item],
    describe: Callable[[Item], Document],
    filters: str | None,
    order: str | None,
) -> list[Item]:
    """Pick and sort items by their descriptions.

    Args:
        items: In the order that holds where `order` says nothing.
        describe: Lays an item out under the names that filters and orders use.
        filters: Filter as JSON text, see `filters.py`; None lets all pass.
        order: Such as `-created_at`; None keeps the order of the items.

    Raises:
        ClientError: The filter can't be read, or there is nothing of the order's name.
    """
    passes, fields = parse_filter(filters), parse_order(order)
    if not order and json.loads(filters or "{}") in _ALL_VERSIONS:
        return list(items)  # spares the look at each of them
    documents = [{**describe(item), "": item} for item in items]
    _check_order(documents, fields)
    found = [document for document in documents if passes(document)]
    return [document[""] for document in sort_documents(found, fields)]


def _check_order(documents: Sequence[Document], fields: Sequence[tuple[str, bool]]) -> None:
    for field, _ in fields:
        if documents and field not in documents[0]:
            allowed = ", ".join(sorted(filter(None, documents[0])))
            raise ClientError(f"order {field!r}: it must be one of {allowed}")


def _spread(fields: dict[str, Any]) -> Document:
    """Give each of several names, written as one key with blanks in between, the value."""
    return {name: value for names, value in fields.items() for name in names.split()}


def search_collections(
    connection: sqlite3.Connection,
    collections: Sequence[Collection],
    filters: str | None,
    order: str | None,
) -> list[Collection]:
    """Pick collections by name, description, tag, id and times.

    Raises:
        ClientError: As `select_items`.
    """

    def describe(collection: Collection) -> Document:
        own = [collection.id, ids.encode("ArtifactCollection", collection.id)]
        return _spread(
            {
                "id collection_id artifact_collection_id": own,
                "name collection_name artifact_collection_name": collection.name,
                "tag tags": [tag.name for tag in list_collection_tags(connection, collection.id)],
                "description": collection.description,
                "created_at createdAt": collection.created_at,
                "updated_at updatedAt": collection.updated_at,
                "state": "READY",
            }
        )

    return select_items(collections, describe, filters, order)


def search_members(
    connection: sqlite3.Connection,
    members: Sequence[Membership],
    filters: str | None,
    order: str | None,
) -> list[Membership]:
    """Pick versions by number, alias, tag, metadata, size, id and times.

    Raises:
        ClientError: As `select_items`.
    """

    def describe(member: Membership) -> Document:
        artifact = get_artifact(connection, member.artifact_id)
        aliases = list_aliases(connection, artifact.id, member.collection_id)
        number = member.version_index
        return _spread(
            {
                "id artifact_id": [artifact.id, ids.encode("Artifact", artifact.id)],
                "version": [number, str(number), f"v{number}"],
                "version_index versionIndex": number,
                "alias aliases": [alias.alias for alias in aliases],
                "tag tags": [tag.name for tag in list_artifact_tags(connection, artifact.id)],
                "metadata artifact_metadata": json.loads(artifact.metadata or "{}"),
                "size artifact_size": artifact.size,
                "created_at createdAt artifact_created_at": artifact.created_at,
                "updated_at updatedAt": artifact.updated_at,
                "linked_at acm_created_at": member.created_at,
                "digest": artifact.digest,
                "state": artifact.state,
            }
        )

    return select_items(members, describe, filters, order)
