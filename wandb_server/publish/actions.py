"""What `publish` does: checks first, then the replay, then the report."""

# ruff: noqa: T201 - printing is what a command line is for

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from wandb_server import paths, service
from wandb_server.publish.replay import Replay
from wandb_server.publish.report import Report
from wandb_server.publish.source import read_source
from wandb_server.publish.target import connect, load_sdk, point_sdk
from wandb_server.server_error import ServerError
from wandb_server.upkeep.store import opened


def publish(options: argparse.Namespace) -> int:
    """Send a project to another server; exit code 1 when something isn't there in the end.

    Raises:
        ServerError: Nothing was sent, for the reason that it gives.
    """
    folder = paths.data_dir()
    # Opened like this, nobody collects what is being sent.
    with TemporaryDirectory(prefix="wandb-publish-") as scratch, opened(folder) as store:
        environment = point_sdk(os.environ, folder, options.to, Path(scratch))
        with store.read():
            source = read_source(store.connection, options.source)
        _refuse_itself(options.to)
        sdk = load_sdk(environment)
        target = connect(sdk, options.to, options.entity, options.project or source.project.name)
        report = Report(_say, dry_run=options.dry_run)
        try:
            replay = Replay(sdk, store, source, target, Path(scratch), report)
        except (sdk.Error, ValueError) as error:
            raise ServerError(f"nothing was sent: {target.path} can't be read: {error}") from error
        sessions = replay.plan()
        if options.dry_run:
            replay.preview(sessions)
        else:
            replay.send(sessions)
        sdk.teardown()
    for line in report.closing(target.path, target.url):
        print(line)
    return 0 if report.is_complete else 1


def _say(line: str) -> None:
    print(line, flush=True)  # each at once, also into a file


def _refuse_itself(url: str) -> None:
    server = service.running()
    if server is not None and server.base_url == url.rstrip("/"):
        raise ServerError(f"--to {url} is the server that the project is on: give another one")
