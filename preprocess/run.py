"""Drops the rows that must not be trained on: duplicates, and rows without a target."""

import argparse
import difflib
import errno
import gc
import logging
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import wandb

logger = logging.getLogger(__name__)


class ParameterError(Exception):
    """A parameter has a value that it can't have."""


class DataError(Exception):
    """The table can't be cleaned as asked."""


def main(arguments: list[str]) -> None:
    """Run the step: read, drop rows, log the clean table.

    Raises:
        ParameterError: A parameter has a value that it can't have.
        DataError: The table lacks the target, or nothing is left of it.
    """
    parameters = parse(arguments)
    with open_run("preprocess", vars(parameters)) as run:
        table, dropped = clean(read_table(run, parameters.input_artifact), parameters.target)
        metadata = {"rows": table.num_rows, "columns": table.column_names, "dropped": dropped}
        log_table(run, table, parameters.output_artifact, metadata)
        run.summary["rows"] = table.num_rows
        for reason, rows in dropped.items():
            run.summary[f"dropped/{reason}"] = rows
        logger.info(
            "Dropped %s duplicate rows and %s rows without %s; %s rows are left",
            f"{dropped['duplicates']:,}",
            f"{dropped['missing_target']:,}",
            parameters.target,
            f"{table.num_rows:,}",
        )


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the parameters of the step, each one valid.

    Raises:
        ParameterError: One has a value that it can't have.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input_artifact", required=True, help="artifact with the raw table")
    parser.add_argument("--output_artifact", required=True, help="name of the artifact to log")
    parser.add_argument("--target", required=True, help="column to predict")
    parameters = parser.parse_args(arguments)
    check_artifact_name("output_artifact", parameters.output_artifact)
    return parameters


def clean(table: pa.Table, target: str) -> tuple[pa.Table, dict[str, int]]:
    """Drop duplicate rows, then rows without a target.

    Args:
        table: Any columns; nulls and NaN are missing values.
        target: Column that every row must have a value in.

    Returns:
        The rows left, in their order, with the types they had; and the number of rows
        dropped, by reason: duplicates, missing_target.

    Raises:
        DataError: The target is no column of the table, or no row is left.
    """
    table = drop_index(table)
    check_target(table.column_names, target)
    unique = drop_duplicates(table)
    complete = unique.filter(pc.invert(pc.is_null(unique[target], nan_is_null=True)))
    if complete.num_rows == 0:
        raise DataError(
            f"no row is left: none of the {table.num_rows:,} rows has a value in {target!r}."
        )
    return complete, {
        "duplicates": table.num_rows - unique.num_rows,
        "missing_target": unique.num_rows - complete.num_rows,
    }


def drop_index(table: pa.Table) -> pa.Table:
    """Return the table without pandas' nameless row index: it makes duplicates look different."""
    index = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
    return table.drop_columns(index).replace_schema_metadata(None)


def check_target(columns: list[str], target: str) -> None:
    """Raise DataError, with the names that come close, unless target is one of the columns."""
    if target not in columns:
        close = difflib.get_close_matches(target, columns)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise DataError(
            f"target={target!r} is no column of the table.{hint} "
            f"Its columns are: {', '.join(columns)}. Give one of them as `target`, or another "
            "table."
        )


def drop_duplicates(table: pa.Table) -> pa.Table:
    """Return the first of each set of equal rows, in their order; missing values are equal."""
    keys = [comparable(column) for column in table.columns]
    names = [str(position) for position in range(len(keys))]
    rows = pa.chunked_array([pa.arange(0, table.num_rows)])
    groups = pa.table([*keys, rows], names=[*names, "row"]).group_by(names)
    first = groups.aggregate([("row", "min")])["row_min"]
    return table.filter(pc.is_in(rows, value_set=first))


def comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column whose values are equal exactly if those of `column` are."""
    if pa.types.is_nested(column.type):
        # Arrow groups by plain values only.
        return pa.chunked_array([pa.array(map(repr, column.to_pylist()), pa.string())])
    if pa.types.is_floating(column.type):
        # Null and NaN both say that a value is missing.
        return pc.if_else(pc.is_nan(column), None, column)
    return column


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


def read_table(run: wandb.Run, name: str) -> pa.Table:
    """Download an artifact that holds one Parquet file, and read it.

    Raises:
        DataError: There is no such artifact, or it holds no table.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = run.use_artifact(name).file(folder)
            with pq.ParquetFile(path) as file:
                return file.read()
    except wandb.errors.CommError as error:
        raise DataError(
            f"artifact {name!r} can't be had: {error}. Is it spelled as name:version, "
            "and was it made in this project?"
        ) from error
    except (ValueError, pa.ArrowException) as error:
        raise DataError(f"artifact {name!r} holds no table in one Parquet file: {error}") from error


def log_table(run: wandb.Run, table: pa.Table, name: str, metadata: dict[str, Any]) -> None:
    """Log a table as the only file, `name`, of an artifact; returns when it is stored."""
    artifact = wandb.Artifact(name, type="clean_data", metadata=metadata)
    with artifact.new_file(name, mode="wb") as file:
        # zstd: an eighth smaller than snappy on a table of songs, and no slower.
        pq.write_table(table, file, compression="zstd")
    log_artifact(run, artifact)


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
    except (ParameterError, DataError, wandb.Error) as error:
        sys.exit(f"preprocess: {error}")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit(f"preprocess: the disk is full: {error}. Make room, and run it again.")
    except KeyboardInterrupt:
        sys.exit("preprocess: stopped.")
    finally:
        gc.freeze()  # or Python looks for garbage in all the libraries before it ends
