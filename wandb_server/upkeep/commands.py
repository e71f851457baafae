"""The words of the housekeeping commands; what they do loads only when it is asked for."""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path

Run = Callable[[argparse.Namespace], int]
Add = Callable[[str, Run, str], argparse.ArgumentParser]

GRACE_HOURS = 24.0


def add_commands(add: Add) -> None:
    """Add the commands to the program's own.

    Args:
        add: Makes the parser of a command from its name, what runs it, and one sentence.
    """
    _add_check(add("check", _later("check"), "Look for damage: compare all files with records."))
    _add_gc(add("gc", _later("gc"), "Show, or with --delete remove, what nothing refers to."))
    backup = add("backup", _later("backup"), "Write all data into one new file.")
    backup.add_argument("file", type=Path, help="file to make")
    restore = add("restore", _later("restore"), "Fill the data folder from a backup.")
    restore.add_argument("file", type=Path, help="what `backup` made")
    restore.add_argument(
        "--replace", action="store_true", help="put the data that is there aside, in the folder"
    )
    add("rotate-key", _later("rotate_key"), "Make a new key; the old one is refused from then on.")


def _add_check(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--quick", action="store_true", help="don't read the files, so miss altered ones"
    )
    command.add_argument(
        "--repair",
        action="store_true",
        help="put lost files back where their content is found, move altered and stray ones "
        "aside, remove unused ones; says each thing it does",
    )
    command.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="with --repair: take lost files from this backup, too",
    )
    command.add_argument(
        "--forget",
        action="store_true",
        help="with --repair: also remove from the records what stays lost: names of run files, "
        "and versions that lack a file",
    )
    _add_grace(command)


def _add_gc(command: argparse.ArgumentParser) -> None:
    command.add_argument("--delete", action="store_true", help="do it, rather than show it")
    command.add_argument(
        "--older-than",
        type=_number,
        metavar="DAYS",
        help="also give up versions of that age that have no alias, no link, and that no other "
        "version refers to",
    )
    command.add_argument(
        "--runs-older-than",
        type=_number,
        metavar="DAYS",
        help="also give up runs that ended so long ago and have neither logged nor used a version "
        "that is left",
    )
    command.add_argument(
        "--project",
        action="append",
        default=[],
        metavar="NAME",
        help="give up versions and runs of this project only, as entity/name or name; may be "
        "repeated",
    )
    command.add_argument(
        "--compact",
        action="store_true",
        help="with --delete: also make the database file as small as it can be; writers wait "
        "meanwhile",
    )
    _add_grace(command)


def _add_grace(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--grace",
        type=_number,
        default=GRACE_HOURS,
        metavar="HOURS",
        help="leave unused files that are younger than this, since they may belong to what is "
        "being logged; default: %(default)g",
    )


def _number(text: str) -> float:
    if not text.replace(".", "", 1).isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 up")
    return float(text)


def _later(name: str) -> Run:
    """Load a command when it runs: who asks for `env` needs no web stack."""

    def run(options: argparse.Namespace) -> int:
        command: Run = getattr(importlib.import_module("wandb_server.upkeep.actions"), name)
        return command(options)

    return run
