"""Downloads a table and logs it as a Parquet artifact."""

import argparse
import base64
import hashlib
import logging
import re
import sys
import tempfile
from pathlib import Path

import wandb
from convert import TableError, TableFile, make_parquet
from fetch import DownloadError, Fetched, fetch, local_path, public_form
from wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry
from wandb.sdk.lib.paths import LogicalPath

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
    config = vars(parameters) | {"url": public_form(parameters.url)}
    with (
        wandb.init(job_type="download", config=config) as run,
        tempfile.TemporaryDirectory() as folder,
    ):
        if run.offline or run.disabled:
            raise ParameterError(
                "steps pass tables on through W&B, which WANDB_MODE=offline or disabled can't: "
                "unset WANDB_MODE."
            )
        fetched = fetch(
            parameters.url, Path(folder) / "fetched", parameters.timeout, parameters.retries
        )
        table = verify(fetched, Path(folder) / "table.parquet", parameters.sha256)
        run.log_artifact(make_artifact(parameters.output_artifact, fetched, table)).wait()
        run.summary.update({"rows": table.rows, "columns": len(table.columns)})
        logger.info(
            "%s: %d rows, %d columns, %d bytes",
            parameters.output_artifact,
            table.rows,
            len(table.columns),
            fetched.size,
        )


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
    if parameters.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", parameters.sha256):
        raise ParameterError(
            f"sha256={parameters.sha256!r} isn't a SHA-256: give its 64 hexadecimal digits."
        )
    if not 0 < parameters.timeout < float("inf"):
        raise ParameterError(f"timeout={parameters.timeout} isn't a number of seconds above 0.")
    if parameters.retries < 0:
        raise ParameterError(f"retries={parameters.retries} is below 0.")
    return parameters


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
        raise DownloadError(f"{fetched.source} can't be used: {error}") from error
    except OSError as error:
        raise DownloadError(f"{target} can't be written: {error.strerror}.") from error
    if sha256 and fetched.sha256 != sha256.lower():
        raise DownloadError(
            f"{fetched.source} has the SHA-256 {fetched.sha256}, not {sha256.lower()}: the file "
            "has changed, or another one was meant. Check it, then set sha256 anew."
        )
    return table


def make_artifact(name: str, fetched: Fetched, table: TableFile) -> wandb.Artifact:
    """Return an artifact with the table as its only file.

    Args:
        name: Name of the artifact and of the file in it.
        fetched: Where the table came from.
        table: The Parquet file; it must stay until the artifact is logged.
    """
    metadata = {
        "source": fetched.source,
        "size": fetched.size,
        "sha256": fetched.sha256,
        "rows": table.rows,
        "columns": table.columns,
        "etag": fetched.etag,
        "last_modified": fetched.last_modified,
    }
    artifact = wandb.Artifact(name, type="raw_data", metadata=metadata)
    # Artifact.add_file maps the whole file into memory to hash it, and copies it before that.
    entry = ArtifactManifestEntry(
        path=LogicalPath(name),
        digest=md5_base64(table.path),
        size=table.path.stat().st_size,
        local_path=str(table.path),
        skip_cache=True,
    )
    artifact.manifest.add_entry(entry)
    return artifact


def md5_base64(path: Path) -> str:
    """Return the digest by which W&B knows the content of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return base64.b64encode(digest.digest()).decode("ascii")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main(sys.argv[1:])
    except (ParameterError, DownloadError, wandb.Error) as error:
        sys.exit(f"download: {error}")
    except KeyboardInterrupt:
        sys.exit("download: stopped.")
