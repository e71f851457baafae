"""Aliases and tags: labels that are set, moved and taken away."""

import sqlite3
from collections.abc import Iterable

from wandb_server import clock
from wandb_server.artifact.records import (
    LATEST,
)
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.names import check_alias, check_label


def set_aliases(
    connection: sqlite3.Connection, collection_id: int, artifact_id: int, aliases: Iterable[str]
) -> None:
    """Point aliases of a collection to one of its versions, wherever they pointed before.

    Args:
        connection: Inside a write transaction: the aliases move all at once or not at all.
        collection_id: Row of the collection.
        artifact_id: Row of a version that the collection holds.
        aliases: The labels.

    Raises:
        ClientError: A label isn't allowed as an alias.
        NotFoundError: The collection doesn't hold the version.
    """
    labels = [check_alias(alias) for alias in aliases]
    member = connection.execute(
        "SELECT 1 FROM membership WHERE collection_id = ? AND artifact_id = ?",
        (collection_id, artifact_id),
    ).fetchone()
    if member is None:
        raise NotFoundError(f"artifact {artifact_id} isn't in collection {collection_id}")
    connection.executemany(
        "INSERT INTO alias (collection_id, artifact_id, alias) VALUES (?, ?, ?)"
        " ON CONFLICT (collection_id, alias) DO UPDATE SET artifact_id = excluded.artifact_id",
        [(collection_id, artifact_id, label) for label in labels],
    )


def remove_aliases(
    connection: sqlite3.Connection, collection_id: int, artifact_id: int, aliases: Iterable[str]
) -> None:
    """Take aliases away from a version; one that points elsewhere by now stays."""
    connection.executemany(
        "DELETE FROM alias WHERE collection_id = ? AND artifact_id = ? AND alias = ?",
        [(collection_id, artifact_id, alias) for alias in aliases],
    )


def settle_latest(connection: sqlite3.Connection, collection_id: int) -> None:
    """Point `latest` to the newest version if it points to none, as after a deletion."""
    connection.execute(
        "INSERT OR IGNORE INTO alias (collection_id, artifact_id, alias)"
        " SELECT collection_id, artifact_id, ? FROM membership WHERE collection_id = ?"
        " ORDER BY version_index DESC LIMIT 1",
        (LATEST, collection_id),
    )


def add_tags(
    connection: sqlite3.Connection, owner: str, owner_id: int, tags: Iterable[str]
) -> None:
    """Add tags to an "artifact" or to a "collection"; those it has already stay.

    Raises:
        ClientError: A tag isn't a plain label, or the owner is of another kind.
    """
    table = _tag_table(owner)
    connection.executemany(
        f"INSERT OR IGNORE INTO {table} ({owner}_id, name) VALUES (?, ?)",  # noqa: S608  ours
        [(owner_id, check_label("tag", tag)) for tag in tags],
    )


def remove_tags(
    connection: sqlite3.Connection, owner: str, owner_id: int, tags: Iterable[str]
) -> None:
    """Take tags away from an "artifact" or a "collection"."""
    table = _tag_table(owner)
    connection.executemany(
        f"DELETE FROM {table} WHERE {owner}_id = ? AND name = ?",  # noqa: S608  our own names
        [(owner_id, tag) for tag in tags],
    )


def touch_collection(connection: sqlite3.Connection, collection_id: int) -> None:
    """Note that the collection changed now."""
    connection.execute(
        "UPDATE collection SET updated_at = ? WHERE id = ?", (clock.now(), collection_id)
    )


def _tag_table(owner: str) -> str:
    if owner not in {"artifact", "collection"}:
        raise ClientError(f"{owner!r} can't carry tags")
    return f"{owner}_tag"
