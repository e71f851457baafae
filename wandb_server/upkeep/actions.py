"""What the housekeeping commands do, and what they say."""

# ruff: noqa: T201 - printing is what a command line is for

import argparse
import os
import sys
import time
from collections.abc import Iterable

from wandb_server import paths, service
from wandb_server.projects import DEFAULT_ENTITY
from wandb_server.server_error import ServerError
from wandb_server.upkeep.backup import write_backup
from wandb_server.upkeep.check import Report, check_store
from wandb_server.upkeep.collect import collect, remove_unused
from wandb_server.upkeep.files import sizes_by_digest
from wandb_server.upkeep.repair import repair
from wandb_server.upkeep.restore import restore_backup
from wandb_server.upkeep.retention import Rules
from wandb_server.upkeep.store import DamagedDatabaseError, Store, connected, opened
from wandb_server.upkeep.usage import measure
from wandb_server.upkeep.wording import (
    collection_lines,
    counted,
    lost_lines,
    readable,
    report_lines,
    usage_lines,
    verdict,
)

DAMAGED = 4  # exit code of what finds, or leaves, damage
_PRIVATE = 0o077  # what others may not do with files made here
_SECONDS_BETWEEN_SIGNS = 2.0


def check(options: argparse.Namespace) -> int:
    """Look for damage, and mend what can be mended if asked to."""
    if (options.forget or options.source) and not options.repair:
        raise ServerError("--forget and --from are parts of --repair: give it, too")
    os.umask(_PRIVATE)
    try:
        with opened(paths.data_dir()) as store:
            report = _check(store, options)
            _print(report_lines(report, quick=options.quick))
            if options.repair:
                return _repair(store, report, options)
    except DamagedDatabaseError as error:
        print(f"{'database':<10}damaged\n{'':<10}{error}")
        return DAMAGED
    print(verdict(report))
    return DAMAGED if report.damaged else 0


def gc(options: argparse.Namespace) -> int:
    """Show or remove what nothing refers to."""
    if options.compact and not options.delete:
        raise ServerError("--compact is a part of --delete: give it, too")
    projects = tuple(
        name if "/" in name else f"{DEFAULT_ENTITY}/{name}" for name in options.project
    )
    rules = Rules(options.older_than, projects, options.runs_older_than)
    with opened(paths.data_dir()) as store:
        done = collect(store, rules, 3600 * options.grace, delete=options.delete)
        saved = store.compact() if options.compact else None
    _print(collection_lines(done, options.grace, delete=options.delete))
    if saved is not None:
        print(f"The database takes {readable(max(saved, 0))} less.")
    return 0


def backup(options: argparse.Namespace) -> int:
    """Write a backup."""
    os.umask(_PRIVATE)
    target = options.file.absolute()
    with opened(paths.data_dir()) as store:
        done = write_backup(store, target)
    about = done.description
    print(f"Wrote {target}: {counted(about.files, 'file')}, {readable(about.size)}, no key.")
    print(f"To use it: {paths.VARIABLE}=<a new folder> python -m wandb_server restore {target}")
    for fault in done.faults:
        print(f"wandb_server: the data is damaged: {fault}", file=sys.stderr)
    return DAMAGED if done.faults else 0


def restore(options: argparse.Namespace) -> int:
    """Fill the data folder from a backup, and check what came out."""
    os.umask(_PRIVATE)
    folder = paths.data_dir()
    aside = restore_backup(options.file.absolute(), folder, replace=options.replace)
    if aside:
        print(f"What was in {folder} lies in {aside} now.")
    with opened(folder) as store:
        # Each file was compared with its name when it was unpacked.
        report = check_store(store, _ignore, quick=True)
    _print(report_lines(report, quick=True))
    print(f"Restored {options.file} to {folder}. {verdict(report)}")
    return DAMAGED if report.damaged else 0


def rotate_key(_options: argparse.Namespace) -> int:
    """Make a new key."""
    server = service.rotate_key()
    print(
        "The data folder has a new key. The old one is refused, as are the links, sessions and "
        "addresses that were made with it."
    )
    if server:
        print(f"The server was started anew at {server.base_url}")
    print(
        'In each shell that uses it: eval "$(python -m wandb_server env)"\n'
        "In browsers: python -m wandb_server open\n"
        "A program that is logging now is refused from here on. What it logged comes in by: "
        "wandb sync --no-skip-online <its folder below ./wandb>"
    )
    return 0


def show_usage() -> None:
    """Print the sizes of projects, if there is a database yet.

    Raises:
        ServerError: The database can't be read.
    """
    folder = paths.data_dir()
    database = folder / paths.DATABASE
    if not database.exists():
        return
    with paths.folder_errors(folder), connected(database) as connection:
        usage = measure(connection, sizes_by_digest(folder / paths.BLOBS))
    print()
    _print(usage_lines(usage))


def _check(store: Store, options: argparse.Namespace) -> Report:
    progress = _Progress()
    try:
        return check_store(store, progress, quick=options.quick, grace=3600 * options.grace)
    finally:
        progress.end()


def _repair(store: Store, report: Report, options: argparse.Namespace) -> int:
    if report.unused:
        removed = remove_unused(store, report.unused, 3600 * options.grace)
        print(f"removed {counted(len(removed), 'file')} that nothing refers to")
    remaining = repair(store, report, print, source=options.source, forget=options.forget)
    for item in remaining:
        _print(["Stays lost:", *lost_lines(item)])
    if remaining:
        print(
            "Logging the same content again brings it back, and so does `check --repair --from "
            "<backup>`. Until then a download of it fails by name. `--repair --forget` gives it up."
        )
    if report.database:
        print("The database's own faults can't be mended here: restore a backup.")
    left = bool(remaining or report.database)
    print("Damage remains." if left else "Nothing that was found is left.")
    return DAMAGED if left else 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _ignore(_size: int) -> None:
    pass


class _Progress:
    """Says on a terminal, now and then, how much was read."""

    def __init__(self) -> None:
        self._read = 0
        self._said = time.monotonic()
        self._spoke = False

    def __call__(self, size: int) -> None:
        self._read += size
        now = time.monotonic()
        if sys.stderr.isatty() and now - self._said > _SECONDS_BETWEEN_SIGNS:
            print(f"\rread {readable(self._read)} ...", end="", file=sys.stderr, flush=True)
            self._said, self._spoke = now, True

    def end(self) -> None:
        """Leave the line on which it spoke."""
        if self._spoke:
            print(file=sys.stderr)
