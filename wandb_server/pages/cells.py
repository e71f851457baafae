"""Images, sounds and other files in the cells of logged tables.

The file of a run's table only says "Image" there. Which one is told by the same table in the
artifact that the SDK logs beside it: its cells name files of that artifact.
"""

import mimetypes
import sqlite3
from dataclasses import replace
from typing import Any, NamedTuple

from wandb_server.artifact.lookups import get_artifact, get_collection, get_type
from wandb_server.artifact.records import ArtifactFile
from wandb_server.artifact.references import find_file, locate
from wandb_server.pages import addresses
from wandb_server.pages.previews import Preview, preview
from wandb_server.pages.visits import FileLink, Visit, file_link
from wandb_server.projects import get_project

_WORDS = {"image-file": "Image", "html-file": "Html", "audio-file": "Audio", "video-file": "Video"}


class Media(NamedTuple):
    """A cell that stands for a file; `kind` is image, audio, video, or file for a link."""

    kind: str
    text: str
    file: FileLink


def stored_link(visit: Visit, file: ArtifactFile, name: str) -> FileLink:
    """Link under a name to a file of a version, on that version's own page."""
    page = version_url(visit.connection, file.artifact_id)
    link = file_link(visit.urls, page, file.name, file.size, file.digest, file.ref)
    return link._replace(name=name)


def linked_file(visit: Visit, page: str, file: ArtifactFile) -> FileLink:
    """Link to a file of the version that `page` shows; a reference leads to what it names here."""
    if file.digest is None and (found := find_file(visit.connection, file.artifact_id, file.name)):
        return stored_link(visit, found, file.name)
    return file_link(visit.urls, page, file.name, file.size, file.digest, file.ref)


def version_url(connection: sqlite3.Connection, artifact_id: int) -> str:
    """Give the address of a version's own page."""
    artifact = get_artifact(connection, artifact_id)
    collection = get_collection(connection, artifact.collection_id)
    home = get_project(connection, collection.project_id)
    kind = get_type(connection, collection.type_id).name
    return addresses.version(
        home.entity, home.name, kind, collection.name, artifact.version_index or 0
    )


def preview_logged(visit: Visit, reference: object) -> tuple[FileLink, Preview] | None:
    """Look into the artifact's copy of a table that a run logged.

    Args:
        visit: Whose connection and blobs are read.
        reference: What the logged value has as its `artifact_path`.

    Returns:
        The copy and its head; None where it isn't here or is too large to be a table.
    """
    place = locate(visit.connection, reference) if isinstance(reference, str) else None
    file = find_file(visit.connection, *place) if place else None
    if file is None:
        return None
    found = preview_stored(visit, file)
    return (stored_link(visit, file, file.name), found) if found.kind == "table" else None


def preview_stored(visit: Visit, file: ArtifactFile) -> Preview:
    """Look into a file of a version; cells of its tables that name files become `Media`.

    Args:
        visit: Whose connection and blobs are read.
        file: One that has a digest.

    Raises:
        OSError: It can't be read.
    """
    found = preview(visit.blobs.path(file.digest or ""), file.name)
    if found.kind != "table" or not file.name.endswith(".table.json"):
        return found
    rows = [[_cell(visit, file.artifact_id, cell) for cell in row] for row in found.rows]
    return replace(found, rows=rows)


def _cell(visit: Visit, artifact_id: int, cell: Any) -> Any:
    """Give the file that a cell stands for, or the cell as it is."""
    if not isinstance(cell, dict) or not isinstance(cell.get("path"), str) or "_type" not in cell:
        return cell
    file = find_file(visit.connection, artifact_id, cell["path"])
    if file is None:
        return cell
    link = stored_link(visit, file, file.name)
    word = _WORDS.get(str(cell["_type"]), str(cell["_type"]).removesuffix("-file"))
    return Media(_kind(link), str(cell.get("caption") or word), link)


def _kind(link: FileLink) -> str:
    if link.is_image:
        return "image"
    kind = (mimetypes.guess_type(link.name)[0] or "").partition("/")[0]
    return kind if kind in {"audio", "video"} else "file"
