"""The commands of entry points."""

import re
import shlex

# A command that calls one Python program with plain words and parameters, and does nothing else.
_COMMAND = re.compile(r"exec python (?P<program>[\w.]+\.py)(\s+(--?\w[\w-]*|\{\w+\}))*\s*")


def find_program(command: str) -> str | None:
    """Return the program that an entry point's command calls, if it does nothing else.

    Args:
        command: As in the MLproject, with {parameters}.
    """
    found = _COMMAND.fullmatch(command)
    return found["program"] if found else None


def read_arguments(command: str) -> list[str]:
    """Return the program's arguments in such a command, with values for its parameters."""
    return shlex.split(command)[len(("exec", "python", "program")) :]
