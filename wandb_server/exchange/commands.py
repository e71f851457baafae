"""The words of `export` and `import`; what they do loads only when it is asked for."""

import argparse
from collections.abc import Callable
from pathlib import Path

Run = Callable[[argparse.Namespace], int]
Add = Callable[[str, Run, str], argparse.ArgumentParser]


def add_commands(add: Add) -> None:
    """Add the commands to the program's own.

    Args:
        add: Makes the parser of a command from its name, what runs it, and one sentence.
    """
    command = add("export", _export, "Write a project as Parquet tables and plain files.")
    command.add_argument("source", metavar="project", help="project: name or entity/name")
    command.add_argument("folder", type=Path, help="folder to make")
    command = add("import", _import, "Make a project from what `export` wrote.")
    command.add_argument("folder", type=Path, help="what `export` made")
    command.add_argument("--project", help="name of the new project; default: the same")


def _export(options: argparse.Namespace) -> int:
    from wandb_server.exchange.actions import export_folder  # loads what only this needs

    return export_folder(options)


def _import(options: argparse.Namespace) -> int:
    from wandb_server.exchange.actions import import_folder

    return import_folder(options)
