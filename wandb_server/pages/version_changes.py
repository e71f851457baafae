"""What changed between two versions of an artifact: files, metadata, tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wandb_server.artifact.lookups import find_member, get_artifact, list_artifact_files
from wandb_server.artifact.records import Artifact, ArtifactFile
from wandb_server.blobs import BlobStore
from wandb_server.errors import NotFoundError
from wandb_server.lines import finite, parse_object
from wandb_server.pages import formats
from wandb_server.pages.artifact_pages import base
from wandb_server.pages.previews import Shape, table_shape
from wandb_server.pages.visits import Visit

_TABLES_COUNTED = 20


@dataclass(frozen=True)
class FileChange:
    """A file that is in one version only, or whose content differs; sizes in bytes."""

    name: str
    before: int | None
    after: int | None
    table: str


def changes(visit: Visit) -> dict[str, Any]:
    """Compare the version in the address with the one that `from` names."""
    shown = base(visit)
    place, label = shown["collection"], visit.query.get("from", "")
    old = find_member(visit.connection, place.id, label)
    if old is None:
        raise NotFoundError(f"The artifact {place.name} has no version {label}.")
    before = get_artifact(visit.connection, old.artifact_id)
    after = get_artifact(visit.connection, shown["member"].artifact_id)
    files = [
        {file.name: file for file in list_artifact_files(visit.connection, artifact.id)}
        for artifact in (before, after)
    ]
    return shown | {
        "old": f"v{old.version_index}",
        "before": before,
        "after": after,
        "files": compare_files(visit.blobs, *files),
        "same": sum(
            _content(files[0].get(name)) == _content(file) for name, file in files[1].items()
        ),
        "metadata": compare_values(_metadata(before), _metadata(after)),
    }


def compare_files(
    blobs: BlobStore, before: Mapping[str, ArtifactFile], after: Mapping[str, ArtifactFile]
) -> list[FileChange]:
    """List the files that differ by name; for tables, also how their rows and columns do."""
    names = sorted(
        name
        for name in before.keys() | after.keys()
        if _content(before.get(name)) != _content(after.get(name))
    )
    return [
        FileChange(
            name,
            before[name].size if name in before else None,
            after[name].size if name in after else None,
            _compare_tables(blobs, before[name], after[name])
            if name in before and name in after and index < _TABLES_COUNTED
            else "",
        )
        for index, name in enumerate(names)
    ]


def compare_values(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[tuple[str, Any, Any]]:
    """List the names whose values differ, with both; None where there is none."""
    names = sorted(before.keys() | after.keys())
    pairs = [(name, before.get(name), after.get(name)) for name in names]
    return [(name, old, new) for name, old, new in pairs if old != new]


def _content(file: ArtifactFile | None) -> tuple[str | None, str | None] | None:
    return None if file is None else (file.digest, file.ref)


def _metadata(artifact: Artifact) -> dict[str, Any]:
    return dict(formats.flatten(finite(parse_object(artifact.metadata or "{}"))))


def _compare_tables(blobs: BlobStore, before: ArtifactFile, after: ArtifactFile) -> str:
    if before.digest is None or after.digest is None:
        return ""
    old = table_shape(blobs.path(before.digest), before.name)
    new = table_shape(blobs.path(after.digest), after.name)
    return _say(old, new) if old and new else ""


def _say(old: Shape, new: Shape) -> str:
    rows = (
        f"{old.rows} rows, then {new.rows}" if old.rows != new.rows else f"{new.rows} rows in both"
    )
    added = [name for name in new.columns if name not in old.columns]
    removed = [name for name in old.columns if name not in new.columns]
    parts = [rows]
    if added:
        parts.append(f"new columns {', '.join(added)}")
    if removed:
        parts.append(f"without the columns {', '.join(removed)}")
    if not added and not removed:
        parts.append(
            "the same columns" if new.columns == old.columns else "columns in another order"
        )
    return "; ".join(parts)
