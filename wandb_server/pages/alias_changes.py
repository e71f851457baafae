"""Aliases that are set, moved or taken away by hand: asked first, then done."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from wandb_server.artifact.aliases import remove_aliases, set_aliases, touch_collection
from wandb_server.artifact.lookups import find_collection, find_member, get_type, list_aliases
from wandb_server.artifact.records import LATEST
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.names import check_alias
from wandb_server.pages import addresses
from wandb_server.pages.artifact_pages import base
from wandb_server.pages.visits import Visit
from wandb_server.projects import find_project


class ConflictError(ClientError):
    """What was asked about has changed since."""


def ask(visit: Visit) -> dict[str, Any]:
    """Ask whether an alias shall be set, moved or taken away, naming both versions."""
    shown = base(visit)
    alias = visit.query.get("alias", "").strip()
    wrong = None
    holder = None
    try:
        _check(alias)
        holder = _holder(visit.connection, shown["collection"].id, alias)
    except ClientError as error:
        wrong = str(error)
    known = list_aliases(visit.connection, None, shown["collection"].id)
    return shown | {
        "alias": alias,
        "holder": holder,
        "is_removal": visit.query.get("action") == "remove",
        "wrong": wrong,
        "known": [item.alias for item in known if item.alias != LATEST],
        "token": visit.token,
    }


def change(connection: sqlite3.Connection, fields: Mapping[str, str]) -> str:
    """Do what was confirmed.

    Args:
        connection: Inside a write transaction.
        fields: entity, project, artifact, version (`v3`), alias, holder (the version that the
            alias pointed to when it was asked about, or ""), action (`set` or `remove`).

    Returns:
        The address of the version's page.

    Raises:
        ConflictError: The alias points elsewhere by now; nothing was changed.
        ClientError: The alias isn't allowed, or there is no such version.
    """
    missing = NotFoundError(f"There is no version {fields['artifact']}:{fields['version']}.")
    home = find_project(connection, fields["entity"], fields["project"])
    if home is None:
        raise missing
    place = find_collection(connection, home.id, fields["artifact"])
    if place is None:
        raise missing
    member = find_member(connection, place.id, fields["version"])
    if member is None:
        raise missing
    alias = _check(fields["alias"])
    holder = _holder(connection, place.id, alias)
    if holder != (fields["holder"] or None):
        raise ConflictError(
            f"{alias} points to {holder or 'no version'} by now, not to "
            f"{fields['holder'] or 'none'}: look again, then decide."
        )
    apply = remove_aliases if fields["action"] == "remove" else set_aliases
    apply(connection, place.id, member.artifact_id, [alias])
    touch_collection(connection, place.id)
    kind = get_type(connection, place.type_id).name
    url = addresses.collection(home.entity, home.name, kind, place.name)
    return f"{url}/v{member.version_index}"


def _check(alias: str) -> str:
    if alias == LATEST:
        raise ClientError(f"{LATEST!r} follows the newest version by itself; name another alias.")
    return check_alias(alias)


def _holder(connection: sqlite3.Connection, collection_id: int, alias: str) -> str | None:
    """Give the version that an alias points to now."""
    found = find_member(connection, collection_id, alias)
    return None if found is None else f"v{found.version_index}"
