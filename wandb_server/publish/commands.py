"""The words of `publish`; what it does loads only when it is asked for."""

import argparse
from collections.abc import Callable

Run = Callable[[argparse.Namespace], int]
Add = Callable[[str, Run, str], argparse.ArgumentParser]


def add_commands(add: Add) -> None:
    """Add the command to the program's own.

    Args:
        add: Makes the parser of a command from its name, what runs it, and one sentence.
    """
    command = add("publish", _publish, "Send a project's runs and artifacts to another server.")
    command.add_argument("source", metavar="project", help="project to send: name or entity/name")
    command.add_argument("--to", required=True, metavar="URL", help="base address of the target")
    command.add_argument("--entity", help="entity there; default: your default one")
    command.add_argument("--project", help="name of the project there; default: the same")
    command.add_argument("--dry-run", action="store_true", help="only say what would be sent")


def _publish(options: argparse.Namespace) -> int:
    from wandb_server.publish.actions import publish  # loads what only this command needs

    return publish(options)
