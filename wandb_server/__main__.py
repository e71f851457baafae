"""The command line: `python -m wandb_server serve | start | stop | status | env | open | ...`."""

# ruff: noqa: T201 - printing is what a command line is for

import argparse
import os
import shlex
import sys
import time
import webbrowser
from collections.abc import Callable, Sequence
from typing import TypeVar

from wandb_server import idle, paths, reach, service
from wandb_server.exchange.commands import add_commands as add_exchange_commands
from wandb_server.keys import load_or_create_key
from wandb_server.publish.commands import add_commands as add_publish_commands
from wandb_server.server_error import ServerError
from wandb_server.service import Server, ensure_running
from wandb_server.upkeep.commands import add_commands
from wandb_server.version import VERSION

INTERRUPTED = 130  # what shells expect after Ctrl-C
BROKEN_PIPE = 141  # what they give for a program that the signal SIGPIPE has ended
NOT_RUNNING = 3  # exit code of `status`, as with services of the system
_OWN = {"no_proxy", "wandb_username"}  # variables that another machine has values of its own for

_DESCRIPTION = f"""\
A local W&B server: the wandb SDK logs runs and artifacts to this machine, with no account
and no internet. It serves this machine only (127.0.0.1), unless `serve` is told otherwise, and
every request needs its key.

Data folder: the variable {paths.VARIABLE}, else your user data folder.
"""
_EPILOG = """\
Use it from a shell:
  eval "$(python -m wandb_server env)"        # sh, bash, zsh
  python -m wandb_server env --shell fish | source
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after the program's name; None takes the process's own.

    Returns:
        Exit code: 0, 1 after an error, 3 when `status` finds no server, 4 when `check`,
        `backup` or `restore` finds damage, 130 after Ctrl-C, 141 if nobody reads the output.
    """
    options = build_parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        code = command(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # What reads this, `head` perhaps, has ended. Python writes the rest when it ends, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except ServerError as error:
        print(f"wandb_server: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line; its result holds what runs as `run`."""
    parser = argparse.ArgumentParser(
        prog="python -m wandb_server",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(title="commands", metavar="<command>", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> _Command:
        command = commands.add_parser(name, help=text[0].lower() + text[1:-1], description=text)
        command.set_defaults(run=run)
        return command

    for name, run, text in (
        ("serve", _serve, "Serve in this terminal until Ctrl-C."),
        ("start", _start, "Start the server in the background, unless it runs."),
    ):
        command = add(name, run, text)
        _add_start_options(command)
        if name == "serve":
            _add_reach_options(command)
    add("stop", _stop, "Stop the server, after the requests that are being served.")
    add("status", _status, "Show whether it runs, where, since when, and the sizes of its data.")
    environment = add("env", _env, "Print the lines that point a shell's wandb to the server.")
    environment.add_argument("--shell", choices=["sh", "fish"], default="sh", help="default: sh")
    _add_remote_option(environment)
    page = add("open", _open, "Open the server's page in the browser, signed in.")
    page.add_argument("path", nargs="?", default="/", help="page to open, such as /local/songs")
    page.add_argument("--print", action="store_true", help="only print the link")
    _add_remote_option(page)
    add_commands(add)
    add_publish_commands(add)
    add_exchange_commands(add)
    return parser


_Command = argparse.ArgumentParser
_Read = TypeVar("_Read")


def _add_start_options(command: _Command) -> None:
    command.add_argument(
        "--port", type=_port, help="port to listen on; default: the last one, or a free one"
    )
    command.add_argument(
        "--idle-hours",
        type=_checked(idle.parse_hours),
        help=f"end after this long without a request; default: {idle.VARIABLE}, "
        f"or {idle.HOURS:.0f}",
    )


def _add_reach_options(command: _Command) -> None:
    command.add_argument(
        "--host",
        type=_checked(reach.read_host),
        metavar="ADDRESS",
        help="listen on this address, too, such as 192.0.2.1; 0.0.0.0 is all of this machine's",
    )
    command.add_argument(
        "--allow-remote",
        action="store_true",
        help="let other machines reach it by --host. There is no TLS: who listens in the network "
        "can read the key and the data",
    )
    command.add_argument(
        "--public-url",
        type=_checked(reach.read_public_url),
        metavar="URL",
        help="what others call it, if not by an address of its own: a proxy with TLS that passes "
        "the name on, such as https://wandb.example.org, or a name of this machine",
    )


def _add_remote_option(command: _Command) -> None:
    command.add_argument(
        "--remote", action="store_true", help="for another machine, if the server allows any"
    )


def _checked(read: Callable[[str], _Read]) -> Callable[[str], _Read]:
    """Let argparse tell what is wrong with a value."""

    def check(text: str) -> _Read:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return check


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)


def _serve(options: argparse.Namespace) -> int:
    from wandb_server.process import serve  # sets up what only a server needs

    beyond = reach.Reach(options.host, options.public_url)
    reach.check_allowed(beyond, allow_remote=options.allow_remote)
    folder = paths.data_dir()
    paths.prepare(folder)
    load_or_create_key(folder)
    hours = options.idle_hours or idle.default_hours()

    def announce(url: str) -> None:
        print(f"Serving {folder} at {url}", flush=True)
        if beyond != reach.LOCAL:
            print("`python -m wandb_server env --remote` prints what another machine needs.")
        if beyond.is_open:
            print(reach.warning(beyond, url), file=sys.stderr, flush=True)
        print("Ctrl-C ends it.", flush=True)

    try:
        serve(folder, options.port, 3600 * hours, announce, beyond)
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


def _start(options: argparse.Namespace) -> int:
    server = ensure_running(options.port, options.idle_hours)
    print(f"The local W&B server runs at {server.base_url}")
    if options.port and not server.base_url.endswith(f":{options.port}"):
        raise ServerError(
            f"it ran already, so --port {options.port} had no effect. To move it, stop it first: "
            "python -m wandb_server stop"
        )
    return 0


def _stop(_options: argparse.Namespace) -> int:
    print("Stopped." if service.stop() else "No server runs.")
    return 0


def _status(_options: argparse.Namespace) -> int:
    from wandb_server.upkeep.actions import show_usage  # loads what a server needs
    from wandb_server.upkeep.wording import readable

    folder = paths.data_dir()
    server = service.running() if folder.exists() else None
    for name, value in _describe(server, reach.recall(folder)):
        print(f"{name:<12}{value}")
    print(f"{'data folder':<12}{folder}")
    with paths.folder_errors(folder):
        sizes = paths.sizes(folder)
    for name, size in sizes.items():
        print(f"{'':<12}{name:<28}{readable(size):>10}")
    show_usage()
    return 0 if server else NOT_RUNNING


def _describe(server: Server | None, remote: str | None) -> list[tuple[str, str]]:
    if server is None:
        return [("state", "not running; `python -m wandb_server start` starts it")]
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(server.health.started_at))
    return [
        ("state", f"running since {since}"),
        ("address", server.base_url),
        *([("for others", reach.wording(remote))] if remote else []),
        ("process", str(server.health.pid)),
        ("version", server.health.version),
    ]


def _env(options: argparse.Namespace) -> int:
    form = {"sh": "export {}={}", "fish": "set -gx {} {}"}[options.shell]
    for name, value in _pick(options).environment().items():
        if not options.remote or name.lower() not in _OWN:
            print(form.format(name, shlex.quote(value)))
    return 0


def _pick(options: argparse.Namespace) -> Server:
    """Give the server, with the base URL for this machine or for others."""
    if not options.remote:
        return ensure_running()
    server = service.running()
    if server is None:
        raise ServerError("no server runs: start it by `python -m wandb_server serve --host ...`")
    return server._replace(base_url=reach.usable(reach.recall(server.data_dir)))


def _open(options: argparse.Namespace) -> int:
    link = _pick(options).sign_in_url(options.path)
    print(link)
    if not (options.print or options.remote) and _has_browser():
        webbrowser.open(link)
    return 0


def _has_browser() -> bool:
    """Tell whether there is a screen; a text browser would take the terminal over."""
    return sys.platform == "darwin" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


if __name__ == "__main__":
    sys.exit(main())
