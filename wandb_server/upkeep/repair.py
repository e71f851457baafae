"""Mend what can be mended, and put aside, never away, what can't be trusted."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from wandb_server import locks
from wandb_server.artifact.links import delete_artifact
from wandb_server.artifact.lookups import get_artifact, list_aliases
from wandb_server.blobs import LOCK
from wandb_server.integrity import digest_of
from wandb_server.server_error import ServerError
from wandb_server.upkeep.check import ALTERED, Lost, Report
from wandb_server.upkeep.collect import LOCK_SECONDS
from wandb_server.upkeep.files import store_content
from wandb_server.upkeep.manifest import rebuild_manifest
from wandb_server.upkeep.references import MANIFEST, Use
from wandb_server.upkeep.restore import stored_in
from wandb_server.upkeep.store import Store

ASIDE = "damaged"  # folder for files that aren't what they should be; nothing reads it

Say = Callable[[str], None]


def repair(
    store: Store, report: Report, say: Say, *, source: Path | None = None, forget: bool = False
) -> list[Lost]:
    """Do what can be done about what a check found, and say each thing that is done.

    Altered and stray files are moved out of the way, since a file under a wrong name keeps
    the right content from being stored again. What is lost is put back when its content lies
    anywhere in the folder, and manifests are written anew.

    Args:
        store: The opened data folder.
        report: What a check has just found in it.
        say: Called with one line for each thing that was done.
        source: A backup to take lost content from; None for none.
        forget: Also remove from the records what remains lost: names of run files, and
            versions that lack a file.

    Returns:
        What remains lost.

    Raises:
        ServerError: The backup can't be read.
        OSError: A file can't be moved or written.
        sqlite3.Error: The database can't be changed.
    """
    for item in report.lost:
        if item.fault == ALTERED:
            _set_aside(store, item.path, say, item.digest)
    for file in report.stray:
        _set_aside(store, file.path, say, None)
    wanted = {item.digest: item for item in report.lost if item.uses}
    _put_back(store, wanted, _set_aside_before(store.folder / ASIDE), say)
    if source:
        _put_back(store, wanted, stored_in(source), say)
    remaining = [left for item in wanted.values() if (left := _rebuild(store, item, say))]
    if forget:
        for item in remaining:
            _forget(store, item, say)
        return []
    return remaining


def _set_aside(store: Store, path: Path, say: Say, digest: str | None) -> None:
    """Move a file out of the store, unless an upload has just put the right one there."""
    folder = store.folder / ASIDE
    folder.mkdir(mode=0o700, exist_ok=True)
    place = folder / f"{path.name}.{time.time_ns()}"
    with locks.held(store.blobs_folder / LOCK, LOCK_SECONDS) as had:
        if not had:
            raise ServerError("the stored files stayed locked: try again later")
        if not path.exists() or (digest and digest_of(path) == digest):
            return
        path.rename(place)
    say(f"moved {path} to {place}")


def _set_aside_before(folder: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Go through what was set aside, now or earlier, as actual digest and content."""
    for path in sorted(folder.iterdir()) if folder.exists() else []:
        if path.is_file():
            digest = digest_of(path)
            with path.open("rb") as content:
                yield digest, content


def _put_back(
    store: Store, wanted: dict[str, Lost], found: Iterable[tuple[str, IO[bytes]]], say: Say
) -> None:
    """Store lost content that is found; what was stored is wanted no longer."""
    for digest, content in found:
        if digest in wanted and store_content(store.blobs, content, digest):
            say(f"put back {wanted.pop(digest).path}")


def _rebuild(store: Store, item: Lost, say: Say) -> Lost | None:
    """Write lost manifests anew; returns what else the content is needed for."""
    left = []
    for use in item.uses:
        if use.kind == "version" and use.file == MANIFEST and rebuild_manifest(store, use.owner_id):
            say(f"wrote the manifest of {use.owner} anew")
        else:
            left.append(use)
    return replace(item, uses=left) if left else None


def _forget(store: Store, item: Lost, say: Say) -> None:
    """Remove lost content from the records, unless it has just been uploaded again."""
    with store.write():
        if store.blobs.size(item.digest) is not None:
            return
        for use in item.uses:
            if use.kind == "run":
                _forget_run_file(store, use, say)
            else:
                _forget_version(store, use, say)


def _forget_run_file(store: Store, use: Use, say: Say) -> None:
    store.connection.execute(
        "DELETE FROM run_file WHERE run_id = ? AND name = ? AND digest = ?",
        (use.owner_id, use.file, use.digest),
    )
    say(f"removed the name {use.file} from run {use.owner}")


def _forget_version(store: Store, use: Use, say: Say) -> None:
    version = get_artifact(store.connection, use.owner_id)
    if version.state != "COMMITTED":
        return  # it lacked another file, too
    aliases = [alias.alias for alias in list_aliases(store.connection, version.id)]
    delete_artifact(store.connection, version, delete_aliases=True)
    names = f" (aliases: {', '.join(aliases)})" if aliases else ""
    say(f"deleted version {use.owner}{names}, which lacks {use.file}")
