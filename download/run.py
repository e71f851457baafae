"""Downloads a table and logs it as a Parquet artifact."""

import argparse
import errno
import gc
import logging
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb
from artifact import make_artifact
from convert import TableError, TableFile, make_parquet
from fetch import DownloadError, Fetched, fetch, local_path, public_form

logger = logging.getLogger(__name__)


class ParameterError(Exception):
    """A parameter has a value that it can't have."""


def main(arguments: list[str]) -> None:
    """Run the step: download, verify, log the artifact.

    Raises:
        ParameterError: A parameter is out of its range.
        DownloadError: The file can't be had completely, or isn't the table that was meant.
    """
    parameters = parse(arguments)
    hide_secrets(parameters.url)
    config = vars(parameters) | {"url": public_form(parameters.url)}
    with open_run("download", config) as run, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetched = fetch(parameters.url, folder / "fetched", parameters.timeout, parameters.retries)
        table = verify(fetched, folder / "table.parquet", parameters.sha256)
        artifact = make_artifact(parameters.output_artifact, fetched, table)
        log_artifact(run, artifact)
        run.summary.update({"rows": table.rows, "columns": len(table.columns)})
        logger.info("Downloaded %s rows in %d columns", f"{table.rows:,}", len(table.columns))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the parameters of the step, each one valid.

    Raises:
        ParameterError: One is out of its range.
        DownloadError: The url names nothing that can be fetched from here.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="URL or absolute path of the file")
    parser.add_argument("--output_artifact", required=True, help="name of the artifact to log")
    parser.add_argument("--sha256", default="", help="checksum the file must have; empty: any")
    parser.add_argument("--timeout", type=float, default=30, help="seconds without a byte")
    parser.add_argument("--retries", type=int, default=3, help="attempts after the first one")
    parameters = parser.parse_args(arguments)
    local_path(parameters.url)
    check_artifact_name("output_artifact", parameters.output_artifact)
    if parameters.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", parameters.sha256):
        raise ParameterError(
            f"sha256={parameters.sha256!r} isn't a SHA-256: give its 64 hexadecimal digits."
        )
    if not 0 < parameters.timeout < float("inf"):
        raise ParameterError(f"timeout={parameters.timeout} isn't a number of seconds above 0.")
    if parameters.retries < 0:
        raise ParameterError(f"retries={parameters.retries} is below 0.")
    return parameters


def hide_secrets(url: str) -> None:
    """Leave a web address's secrets out of the program's arguments, which the SDK notes."""
    if local_path(url) is None:
        sys.argv[1:] = [word.replace(url, public_form(url)) for word in sys.argv[1:]]


def check_artifact_name(parameter: str, name: str) -> None:
    """Ask the SDK, before work starts, whether an artifact may have this name.

    Raises:
        ParameterError: It may not.
    """
    try:
        wandb.Artifact(name, type="any")
    except ValueError as error:
        raise ParameterError(f"{parameter}={name!r}: {error}") from error


@contextmanager
def open_run(step: str, config: dict[str, Any]) -> Iterator[wandb.Run]:
    """Open the step's W&B run, which fails if the step does.

    Unlike the run's own `with`, this prints no traceback of an error that is expected.

    Raises:
        ParameterError: W&B is switched off.
    """
    run = wandb.init(job_type=step, config=config)
    try:
        refuse_offline(run)
        yield run
    except BaseException as error:
        run.summary["error"] = str(error)
        run.finish(exit_code=1)
        raise
    run.finish()


def refuse_offline(run: wandb.Run) -> None:
    """Raise ParameterError if W&B is switched off."""
    if run.offline or run.disabled:
        raise ParameterError(
            "WANDB_MODE is offline or disabled, but steps pass artifacts on through W&B: "
            "unset it, or set it to online."
        )


def verify(fetched: Fetched, target: Path, sha256: str) -> TableFile:
    """Return the fetched file as readable Parquet, written to `target` if it was CSV.

    Args:
        fetched: What was fetched.
        target: Where a converted table goes.
        sha256: Checksum that the fetched file must have, in any case; empty checks none.

    Raises:
        DownloadError: It isn't a table, or not the one with this checksum.
    """
    try:
        table = make_parquet(fetched.path, target, fetched.content_type)
    except TableError as error:
        raise DownloadError(
            f"{fetched.source} can't be used: {error}\nMend the source, or give another `url`."
        ) from error
    except OSError as error:
        raise DownloadError(f"{target} can't be written: {error.strerror}.") from error
    if sha256 and fetched.sha256 != sha256.lower():
        raise DownloadError(
            f"{fetched.source} has the SHA-256 {fetched.sha256}, not {sha256.lower()}: the file "
            "has changed, or another one was meant. Check it, then set sha256 anew."
        )
    return table


def log_artifact(run: wandb.Run, artifact: wandb.Artifact) -> str:
    """Log an artifact, and note its version in the run's summary; returns when it is stored.

    Returns:
        The version, such as v3: also when equal content made no new one.

    Raises:
        wandb.Error: It can't be stored.
    """
    name, logged = artifact.name, run.log_artifact(artifact)
    try:
        version = logged.wait().version
    except ValueError as error:  # what the SDK says of an upload that failed
        raise wandb.errors.CommError(f"artifact {name!r} can't be stored: {error}") from error
    run.summary[f"output/{name}"] = version
    return version


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # Being ended is like Ctrl-C: the half-fetched file goes, and the run ends as failed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(sys.argv[1:])
    except (ParameterError, DownloadError, wandb.Error) as error:
        sys.exit(f"download: {error}")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit(f"download: the disk is full: {error}. Make room, and run it again.")
    except KeyboardInterrupt:
        sys.exit("download: stopped.")
    finally:
        gc.freeze()  # or Python looks for garbage in all the libraries before it ends
