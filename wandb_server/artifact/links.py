"""Links of versions into portfolios, and the deletion of versions and collections."""

import sqlite3
from collections.abc import Sequence

from wandb_server import clock
from wandb_server.artifact.aliases import remove_aliases, set_aliases, settle_latest
from wandb_server.artifact.commit import add_member
from wandb_server.artifact.create import ensure_collection, ensure_type
from wandb_server.artifact.lookups import (
    find_collection,
    get_collection,
    get_type,
    list_aliases,
)
from wandb_server.artifact.records import (
    LATEST,
    Artifact,
    Collection,
    Membership,
)
from wandb_server.database import fetch, fetch_one
from wandb_server.errors import ClientError
from wandb_server.names import check_artifact_name
from wandb_server.registries import check_type


def link_artifact(
    connection: sqlite3.Connection,
    artifact: Artifact,
    project_id: int,
    portfolio_name: str,
    aliases: Sequence[str],
) -> Membership:
    """Put a committed version into a portfolio, which is made if it doesn't exist.

    Linking it again keeps its number there and moves the aliases.

    Raises:
        ClientError: The name isn't allowed or is taken by another type or by a sequence, or
            the project is a registry that doesn't take this type.
    """
    source = get_collection(connection, artifact.collection_id)
    type_name = get_type(connection, source.type_id).name
    check_type(connection, project_id, type_name)
    portfolio = ensure_collection(connection, project_id, type_name, portfolio_name, "PORTFOLIO")
    if _find_link(connection, portfolio.id, artifact.id) is None:
        add_member(connection, portfolio.id, artifact.id)
    set_aliases(connection, portfolio.id, artifact.id, [LATEST, *aliases])
    (member,) = fetch(
        connection,
        Membership,
        "SELECT * FROM membership WHERE collection_id = ? AND artifact_id = ?",
        portfolio.id,
        artifact.id,
    )
    return member


def unlink_artifact(connection: sqlite3.Connection, artifact_id: int, portfolio_id: int) -> None:
    """Take a version out of a portfolio; the version itself stays. Twice is once.

    Raises:
        ClientError: The collection is the version's own.
    """
    if get_collection(connection, portfolio_id).kind != "PORTFOLIO":
        raise ClientError("a version can't be unlinked from its own collection: delete it")
    connection.execute(
        "DELETE FROM membership WHERE collection_id = ? AND artifact_id = ?",
        (portfolio_id, artifact_id),
    )
    settle_latest(connection, portfolio_id)


def delete_artifact(
    connection: sqlite3.Connection, artifact: Artifact, *, delete_aliases: bool
) -> None:
    """Delete a version: it leaves all collections, and its number is never given again.

    Raises:
        ClientError: It has aliases and `delete_aliases` is false.
    """
    aliases = list_aliases(connection, artifact.id)
    if aliases and not delete_aliases:
        names = ", ".join(alias.alias for alias in aliases)
        raise ClientError(
            f"the version has the aliases {names}: remove them, or delete with delete_aliases=True"
        )
    collections = {alias.collection_id for alias in aliases}
    for collection_id in collections:
        labels = [alias.alias for alias in aliases if alias.collection_id == collection_id]
        remove_aliases(connection, collection_id, artifact.id, labels)
    connection.execute("DELETE FROM membership WHERE artifact_id = ?", (artifact.id,))
    connection.execute(
        "UPDATE artifact SET state = 'DELETED', updated_at = ? WHERE id = ?",
        (clock.now(), artifact.id),
    )
    for collection_id in collections:
        settle_latest(connection, collection_id)


def delete_collection(connection: sqlite3.Connection, collection_id: int) -> None:
    """Delete a collection with its versions; of a portfolio only the links."""
    versions = fetch(
        connection, Artifact, "SELECT * FROM artifact WHERE collection_id = ?", collection_id
    )
    for artifact in versions:
        delete_artifact(connection, artifact, delete_aliases=True)
    connection.execute("DELETE FROM collection WHERE id = ?", (collection_id,))


def rename_collection(
    connection: sqlite3.Connection,
    collection: Collection,
    name: str | None,
    description: str | None,
) -> None:
    """Change the name or the description of a collection; None leaves it as it is.

    Raises:
        ClientError: The name isn't allowed, or is taken.
    """
    if name is not None and name != collection.name:
        check_artifact_name(name)
        if find_collection(connection, collection.project_id, name) is not None:
            raise ClientError(f"artifact name {name!r} is taken in this project: take another")
    connection.execute(
        "UPDATE collection SET name = coalesce(?, name), description = coalesce(?, description),"
        " updated_at = ? WHERE id = ?",
        (name, description, clock.now(), collection.id),
    )


def move_collection(connection: sqlite3.Connection, collection: Collection, type_name: str) -> None:
    """Give a collection another artifact type, which is made if it doesn't exist.

    Raises:
        ClientError: The name of the type isn't allowed.
    """
    artifact_type = ensure_type(connection, collection.project_id, type_name)
    connection.execute(
        "UPDATE collection SET type_id = ?, updated_at = ? WHERE id = ?",
        (artifact_type.id, clock.now(), collection.id),
    )


def _find_link(
    connection: sqlite3.Connection, collection_id: int, artifact_id: int
) -> Membership | None:
    return fetch_one(
        connection,
        Membership,
        "SELECT * FROM membership WHERE collection_id = ? AND artifact_id = ?",
        collection_id,
        artifact_id,
    )
