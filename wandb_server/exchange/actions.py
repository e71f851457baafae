"""What `export` and `import` do, and what they say."""

# ruff: noqa: T201 - printing is what a command line is for

import argparse
import os

from wandb_server import paths
from wandb_server.database import Database
from wandb_server.errors import ClientError, StorageError
from wandb_server.server_error import ServerError
from wandb_server.upkeep.store import opened
from wandb_server.upkeep.wording import counted

_PRIVATE = 0o077  # what others may not do with files made here
try:
    from wandb_server.exchange.export import export_project
    from wandb_server.exchange.load import import_project
except ModuleNotFoundError as error:
    if error.name != "pyarrow":
        raise
    raise ServerError(
        "tables are written by pyarrow, which isn't installed: pip install pyarrow"
    ) from error


def export_folder(options: argparse.Namespace) -> int:
    """Write a project into a new folder.

    Raises:
        ServerError: It can't be; the message says why.
    """
    os.umask(_PRIVATE)
    target = options.folder.absolute()
    try:
        with opened(paths.data_dir()) as store:
            index = export_project(store, options.source, target)
    except (ClientError, StorageError) as error:
        raise ServerError(f"{target} is no whole export: {error}") from error
    runs, versions = counted(index["runs"], "run"), counted(index["versions"], "version")
    print(f"Wrote {target}: {runs}, {versions}.")
    for item in index["left_out"]:
        print(f"left out: {item}, a version of another project")
    return 0


def import_folder(options: argparse.Namespace) -> int:
    """Make a project from an exported folder.

    Raises:
        ServerError: It can't be, and nothing was made; the message says why.
    """
    os.umask(_PRIVATE)
    folder = paths.data_dir()
    if not (folder / paths.DATABASE).exists():
        paths.prepare(folder)
    try:
        Database(folder / paths.DATABASE).close()  # made, or brought up to date
        with opened(folder) as store:
            index = import_project(store, options.folder.absolute(), options.project)
    except (ClientError, StorageError) as error:
        raise ServerError(f"nothing was imported: {error}") from error
    runs, versions = counted(index["runs"], "run"), counted(index["versions"], "version")
    print(f"Made the project {index['entity']}/{index['project']}: {runs}, {versions}.")
    return 0
