"""Checks a table against the rules of its data set, and against the data in production."""

import argparse
import errno
import gc
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import wandb
from checks import CheckError, Inputs, Result, run_checks
from report import count_outcomes, describe, make_rows, write_json, write_markdown
from rules import DatasetError, read_dataset

NO_REFERENCE = (
    "nothing to compare with: no model is in production, or it isn't known which data it is from "
    "(check_data.reference_artifact names some)"
)

logger = logging.getLogger(__name__)


class ParameterError(Exception):
    """A parameter has a value that it can't have."""


class DataError(Exception):
    """The table breaks a rule, or there is none."""


def main(arguments: list[str]) -> None:
    """Run the step: read the tables, check them, log the results.

    Raises:
        ParameterError: A parameter has a value that it can't have.
        DatasetError: The data set's YAML file says something that it can't say.
        DataError: A check failed, or there is no table to check.
        CheckError: The checks themselves are broken.
    """
    parameters = parse(arguments)
    dataset = read_dataset(parameters.dataset)
    # The pipeline puts the file into a folder that differs from run to run.
    config = vars(parameters) | {"dataset": parameters.dataset.name}
    with open_run("check_data", config) as run:
        sample, sample_artifact = read_table(run, parameters.sample_artifact)
        reference, no_reference = read_reference(run, parameters, sample_artifact)
        accept_drift = parameters.accept_drift == "true"
        results = run_checks(
            Inputs(sample, reference, no_reference, dataset, parameters.ks_alpha, accept_drift)
        )
        log_results(run, parameters, no_reference or parameters.reference_artifact, results)
        raise_failures(results, parameters)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the parameters of the step, each one valid.

    Raises:
        ParameterError: One has a value that it can't have.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample_artifact", required=True, help="artifact to check")
    parser.add_argument("--reference_artifact", default="", help="artifact to compare with")
    parser.add_argument("--report_artifact", required=True, help="name of the report to log")
    parser.add_argument("--dataset", type=Path, required=True, help="YAML of the data set")
    parser.add_argument("--ks_alpha", type=float, default=0.05, help="family-wise error rate")
    parser.add_argument("--accept_drift", default="false", help="true only reports a change")
    parameters = parser.parse_args(arguments)
    if not 0 < parameters.ks_alpha < 1:
        raise ParameterError(
            f"ks_alpha={parameters.ks_alpha} is no error rate: use a number between 0 and 1, "
            "such as 0.05."
        )
    if parameters.accept_drift not in {"true", "false"}:
        raise ParameterError(f"accept_drift={parameters.accept_drift!r} isn't true or false.")
    check_artifact_name("report_artifact", parameters.report_artifact)
    return parameters


def read_reference(
    run: wandb.Run, parameters: argparse.Namespace, sample: wandb.Artifact
) -> tuple[pa.Table | None, str]:
    """Return the table to compare with, or None and the reason why there is none."""
    if not parameters.reference_artifact:
        return None, NO_REFERENCE
    table, artifact = read_table(run, parameters.reference_artifact)
    if artifact.digest == sample.digest:
        return None, (
            f"nothing to compare: the reference {parameters.reference_artifact} holds the same "
            "data as the sample"
        )
    return table, ""


def log_results(
    run: wandb.Run, parameters: argparse.Namespace, reference: str, results: list[Result]
) -> None:
    """Log the results as a table, counts, and an artifact; returns when they are stored."""
    columns, rows = make_rows(results)
    run.log({"checks": wandb.Table(columns=columns, data=rows)})
    counts = count_outcomes(results)
    run.summary.update({f"checks/{outcome}": number for outcome, number in counts.items()})
    artifact = wandb.Artifact(parameters.report_artifact, type="check_report", metadata=counts)
    pages = {"report.json": write_json, "report.md": write_markdown}
    for name, write in pages.items():
        with artifact.new_file(name, mode="w", encoding="utf-8") as file:
            file.write(write(parameters.sample_artifact, reference, results))
    log_artifact(run, artifact)
    for result in results:
        if result.outcome == "warned" or (result.outcome == "skipped" and not result.column):
            logger.info("%s: %s", result.outcome.capitalize(), describe(result))
    logger.info("Checks: %s", ", ".join(f"{number} {name}" for name, number in counts.items()))


def raise_failures(results: list[Result], parameters: argparse.Namespace) -> None:
    """Raise DataError with every failed check, if there is one."""
    failed = [result for result in results if result.outcome == "failed"]
    if not failed:
        return
    advice = ["Mend the data, or the rules of its columns in the data set's YAML."]
    if any(result.check == "distribution" for result in failed):
        advice.append("If what has changed is right, accept it: check_data.accept_drift=true")
    raise DataError(
        f"{len(failed)} of {len(results)} checks of {parameters.sample_artifact} failed "
        "(row 0 is the first row):\n"
        + "\n".join([*(f"  {describe(result)}" for result in failed), *advice])
    )


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


def read_table(run: wandb.Run, name: str) -> tuple[pa.Table, wandb.Artifact]:
    """Return the table of an artifact that holds one Parquet file, and the artifact.

    Raises:
        DataError: There is no such artifact, or it holds no table.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            artifact = run.use_artifact(name)
            with pq.ParquetFile(artifact.file(folder)) as file:
                return file.read(), artifact
    except wandb.errors.CommError as error:
        raise DataError(
            f"artifact {name!r} can't be had: {error}. Is it spelled as name:version, "
            "and was it made in this project?"
        ) from error
    except (ValueError, pa.ArrowException) as error:
        raise DataError(f"artifact {name!r} holds no table in one Parquet file: {error}") from error


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
    try:
        main(sys.argv[1:])
    except (ParameterError, DatasetError, DataError, CheckError, wandb.Error) as error:
        sys.exit(f"check_data: {error}")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit(f"check_data: the disk is full: {error}. Make room, and run it again.")
    except KeyboardInterrupt:
        sys.exit("check_data: stopped.")
    finally:
        gc.freeze()  # or Python looks for garbage in all the libraries before it ends
