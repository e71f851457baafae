"""The pages of artifacts: all of a project, one's versions, one version, one file."""

from typing import Any

from starlette.responses import Response

from wandb_server import queries
from wandb_server.artifact.lookups import find_member, get_artifact, get_type
from wandb_server.artifact.records import (
    LOGGED_TABLE,
    Artifact,
    ArtifactFile,
    Collection,
    Membership,
)
from wandb_server.artifact.references import find_file
from wandb_server.errors import NotFoundError
from wandb_server.pages import addresses
from wandb_server.pages.cells import linked_file, preview_stored
from wandb_server.pages.frames import Frame, give_frame, make_frame
from wandb_server.pages.visits import (
    FileLink,
    Visit,
    file_link,
    find_home,
    find_place,
    linked_run,
    version_number,
)
from wandb_server.projects import Project
from wandb_server.queries import CollectionRow
from wandb_server.runs import get_run

_VERSIONS_SHOWN = 200
_FRAMES_SHOWN = 2


def artifacts(visit: Visit) -> dict[str, Any]:
    """List the artifacts of a project by type: all types, or the one in the address."""
    home = find_home(visit)
    kind = visit.names.get("type")
    rows = queries.collection_rows(visit.connection, home.id)
    by_type: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row.type == LOGGED_TABLE, row.type, row.name)):
        if kind in (None, row.type):
            by_type.setdefault(row.type, []).append({"row": row, "url": collection_url(home, row)})
    if kind is not None and not by_type:
        raise NotFoundError(f"The project {home.name} has no artifact of type {kind}.")
    return {"project": home, "by_type": by_type, "logged_table": LOGGED_TABLE}


def collection_url(home: Project, row: CollectionRow) -> str:
    """Give the address of an artifact's page."""
    return addresses.collection(home.entity, home.name, row.type, row.name)


def collection(visit: Visit) -> dict[str, Any]:
    """List the versions of an artifact."""
    home, found = find_place(visit)
    kind = get_type(visit.connection, found.type_id).name
    url = addresses.collection(home.entity, home.name, kind, found.name)
    rows = queries.version_rows(visit.connection, found, _VERSIONS_SHOWN + 1)
    shown = rows[:_VERSIONS_SHOWN]
    return {
        "project": home,
        "collection": found,
        "type": kind,
        "url": url,
        "is_cut": len(rows) > len(shown),
        "versions": [
            {
                "row": row,
                "number": version_number(row),
                "url": f"{url}/{version_number(row)}",
                "made_by": _maker(visit, get_artifact(visit.connection, row.artifact_id)),
            }
            for row in shown
        ],
    }


def _maker(visit: Visit, artifact: Artifact) -> Any:
    if artifact.run_id is None:
        return None
    return linked_run(visit.connection, get_run(visit.connection, artifact.run_id))


def find_version(visit: Visit, label: str) -> tuple[Project, Collection, Membership]:
    """Look up a version of the artifact in the address by its number or an alias.

    Raises:
        NotFoundError: There is none.
    """
    home, place = find_place(visit)
    member = find_member(visit.connection, place.id, label)
    if member is None:
        raise NotFoundError(f"The artifact {place.name} has no version {label}.")
    return home, place, member


def base(visit: Visit) -> dict[str, Any]:
    """Collect what every page about one version shows."""
    home, place, member = find_version(visit, visit.names["label"])
    kind = get_type(visit.connection, place.type_id).name
    number = f"v{member.version_index}"
    url = addresses.collection(home.entity, home.name, kind, place.name)
    return {
        "project": home,
        "collection": place,
        "member": member,
        "url": url,
        "number": number,
        "own_url": f"{url}/{number}",
    }


def version(visit: Visit) -> dict[str, Any]:
    """Show a version of an artifact; the address gives its number or an alias."""
    shown = base(visit)
    place, member = shown["collection"], shown["member"]
    artifact = get_artifact(visit.connection, member.artifact_id)
    row = queries.version_row(visit.connection, artifact, place, member.version_index)
    page = queries.version_page(visit.connection, artifact, row)
    others = queries.version_numbers(visit.connection, place.id)
    older = [number for number in others if number < member.version_index]
    links = [linked_file(visit, shown["own_url"], file) for file in page.files]
    both = zip(page.files, links, strict=True)
    pages = [(file, link) for file, link in both if link.is_page and link.url]
    return shown | {
        "page": page,
        "others": [f"v{number}" for number in others if number != member.version_index],
        "older": f"v{older[0]}" if older else None,
        "files": links,
        "frames": [
            (link, _frame(visit, shown["own_url"], shown["own_url"], file, link))
            for file, link in pages[:_FRAMES_SHOWN]
        ],
        "made_by": page.logged_by and linked_run(visit.connection, page.logged_by),
        "used_by": [linked_run(visit.connection, user) for user in page.used_by],
    }


def version_file(visit: Visit) -> dict[str, Any]:
    """Show a file of a version."""
    shown = base(visit)
    file = _find_stored(visit, shown["member"])
    url = shown["own_url"]
    link = file_link(visit.urls, url, visit.names["file"], file.size, file.digest, None)
    return {
        "project": shown["project"],
        "owner_url": url,
        "owner": f"{shown['collection'].name}:{shown['number']}",
        "file": link,
        "preview": preview_stored(visit, file),
        "frame": _frame(visit, link.preview or "", url, file, link) if link.is_page else None,
    }


def version_frame(visit: Visit) -> Response:
    """Give a web page among the files of a version, as it may run its scripts.

    Raises:
        NotFoundError: There is none of this name here, or its content is gone.
    """
    file = _find_stored(visit, base(visit)["member"])
    return give_frame(visit.blobs.path(file.digest or ""))


def _find_stored(visit: Visit, member: Membership) -> ArtifactFile:
    file = find_file(visit.connection, member.artifact_id, visit.names["file"])
    if file is None:
        raise NotFoundError(f"This version has no file {visit.names['file']} here.")
    return file


def _frame(visit: Visit, here: str, owner: str, file: ArtifactFile, link: FileLink) -> Frame:
    stored = find_file(visit.connection, file.artifact_id, file.name)
    digest = stored.digest if stored else None
    return make_frame(visit, here, owner, link, visit.blobs.path(digest or ""))
