"""Tools around the pipeline: `python -m pipeline lock`, `rollback`, `reproduce`, ..."""

# ruff: noqa: T201 - printing is what a command line is for

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.console import say
from pipeline.errors import PipelineError
from pipeline.lock import lock
from pipeline.promotions import history
from pipeline.rollback import NO_REASON, rollback

INTERRUPTED = 130  # what shells expect after Ctrl-C
_OVERRIDES = "keys of config.yaml, as main.py takes them: main.project_name=songs"
_REPRODUCE = """\
Run again what led to an artifact or a run, from the recorded commit, config and inputs, and
compare. Nothing of the original is changed: it happens in a folder of its own, with a W&B
server and an MLflow store of its own.
"""
_REPRODUCE_END = """\
exit codes:
  0  identical, or equal within the tolerance
  1  different
  2  it can't be done: no such run, no record, an unreachable commit, a step that fails
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool that the command line names.

    Args:
        arguments: Words after the program's name; None takes the process's own.

    Returns:
        Exit code: 0, 1 after an error (2 for `reproduce`), 130 after Ctrl-C; else the tool's own.
    """
    options = build_parser().parse_args(arguments)
    tool: Callable[[argparse.Namespace], int] = options.run
    try:
        return tool(options)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return int(options.fault)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line; its result holds what runs as `run`."""
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    tools = parser.add_subparsers(dest="tool", required=True, metavar="TOOL")

    def add(
        name: str, run: Callable[[argparse.Namespace], int], text: str, fault: int = 1
    ) -> argparse.ArgumentParser:
        tool = tools.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        tool.set_defaults(run=run, fault=fault)
        return tool

    pins = add("lock", _lock, "pin what each conda.yml brings, in the constraints.txt beside it")
    pins.add_argument(
        "--upgrade",
        action="store_true",
        help="take the newest versions; else what is pinned stays, as far as it fits",
    )
    back = add(
        "rollback", _rollback, "give the production alias back to the version that had it before"
    )
    back.add_argument("--why", default=NO_REASON, help="the reason, for the record")
    past = add("history", _history, "tell which versions held the production alias, and why")
    again = add(
        "reproduce", _reproduce, "run again what led to an artifact or a run, and compare", fault=2
    )
    again.description, again.epilog = _REPRODUCE, _REPRODUCE_END
    again.add_argument(
        "target", help="model_export:v3, model_export:prod, or the id of a run in MLflow or W&B"
    )
    again.add_argument(
        "--tolerance",
        type=float,
        default=1e-9,
        help="relative difference of numbers that counts as equal; default: 1e-9",
    )
    again.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="new folder to keep the code and results in"
    )
    doctor = add(
        "doctor", _doctor, "look at all that a run needs, and say how to mend what is amiss"
    )
    room = add("clean", _clean, "show what can be removed, and with --delete remove it")
    room.add_argument("--delete", action="store_true", help="remove it; else it is only shown")
    room.add_argument(
        "--cache-size",
        type=_size,
        default="5GB",
        metavar="SIZE",
        help="what wandb may keep of artifacts on this machine; default: 5GB",
    )
    room.add_argument(
        "--days",
        type=_positive,
        default=30,
        help="age from which folders in outputs/ and multirun/ go; default: 30",
    )
    room.add_argument(
        "--versions",
        type=_positive,
        metavar="N",
        help="also delete versions without an alias in W&B, but for the N newest of each artifact",
    )
    for tool in (back, past, again, doctor, room):
        tool.add_argument("overrides", nargs="*", default=[], help=_OVERRIDES)
    return parser


def _lock(options: argparse.Namespace) -> int:
    say(*map(str, lock(upgrade=options.upgrade)))
    return 0


def _rollback(options: argparse.Namespace) -> int:
    say(*rollback(options.overrides, options.why))
    return 0


def _history(options: argparse.Namespace) -> int:
    say(*history(options.overrides))
    return 0


def _reproduce(options: argparse.Namespace) -> int:
    from pipeline.reproduce.command import reproduce
    from pipeline.signals import stop_on_signals

    # What it has started is ended well, whatever signal asks for it.
    stop_on_signals(lambda: False)
    return reproduce(
        options.target,
        options.overrides,
        options.tolerance,
        options.keep,
        say,
    )


def _doctor(options: argparse.Namespace) -> int:
    from pipeline.upkeep.doctor import doctor

    colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return doctor(options.overrides, say, colored=colored)


def _clean(options: argparse.Namespace) -> int:
    from pipeline.upkeep.clean import Wishes, clean

    wishes = Wishes(options.cache_size, options.days, options.versions, options.overrides)
    return clean(wishes, say, delete=options.delete)


def _size(text: str) -> int:
    from pipeline.upkeep.removal import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
