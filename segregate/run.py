"""Splits a table into a training and a test part."""

import argparse
import errno
import gc
import logging
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import wandb
from sklearn.model_selection import train_test_split

logger = logging.getLogger(__name__)


class ParameterError(Exception):
    """A parameter has a value that it can't have."""


class DataError(Exception):
    """The table can't be split as asked."""


def main(arguments: list[str]) -> None:
    """Run the step: read, split, log both parts.

    Raises:
        ParameterError: A parameter has a value that it can't have.
        DataError: The table can't be split as asked.
    """
    parameters = parse(arguments)
    with open_run("segregate", vars(parameters)) as run:
        table = read_table(run, parameters.input_artifact)
        train, test = split_table(
            table, parameters.test_size, parameters.stratify, parameters.random_seed
        )
        log_table(run, train, parameters.train_artifact, "train_data")
        log_table(run, test, parameters.test_artifact, "test_data")
        run.summary.update({"rows/train": train.num_rows, "rows/test": test.num_rows})
        logger.info(
            "Split %s rows into %s to train and %s to test",
            f"{table.num_rows:,}",
            f"{train.num_rows:,}",
            f"{test.num_rows:,}",
        )


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the parameters of the step, each one valid.

    Raises:
        ParameterError: One has a value that it can't have.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input_artifact", required=True, help="artifact with the table")
    parser.add_argument("--train_artifact", required=True, help="name of the training part")
    parser.add_argument("--test_artifact", required=True, help="name of the test part")
    parser.add_argument("--test_size", type=float, required=True, help="share of the test part")
    parser.add_argument("--stratify", default="", help="column whose shares both parts keep")
    parser.add_argument("--random_seed", type=int, required=True, help="seed of the split")
    parameters = parser.parse_args(arguments)
    if not 0 < parameters.test_size < 1:
        raise ParameterError(
            f"test_size={parameters.test_size} is no share of the rows: "
            "use a number between 0 and 1, such as 0.3."
        )
    if not 0 <= parameters.random_seed < 2**32:
        raise ParameterError(f"random_seed={parameters.random_seed} is outside [0, 2**32).")
    for name in ("train_artifact", "test_artifact"):
        check_artifact_name(name, getattr(parameters, name))
    if parameters.train_artifact == parameters.test_artifact:
        raise ParameterError(
            f"train_artifact and test_artifact are both {parameters.train_artifact!r}: "
            "give them different names."
        )
    return parameters


def split_table(
    table: pa.Table, test_size: float, stratify: str, seed: int
) -> tuple[pa.Table, pa.Table]:
    """Split the rows of a table at random.

    Args:
        table: Any columns.
        test_size: Share of the rows that goes to the second part, in (0, 1); rounded up.
        stratify: Column without nulls whose shares both parts keep; empty: none.
        seed: What the choice follows from, in [0, 2**32).

    Returns:
        The training and the test part, in random order.

    Raises:
        DataError: Too few rows, or the column can't be kept in shares.
    """
    test_rows = math.ceil(table.num_rows * test_size)
    if not 0 < test_rows < table.num_rows:
        raise DataError(
            f"{table.num_rows} rows can't be split with test_size={test_size}: "
            "each part needs at least one row."
        )
    labels = None
    if stratify:
        labels = read_labels(table, stratify)
        check_labels(labels, stratify, min(test_rows, table.num_rows - test_rows))
    train, test = train_test_split(
        np.arange(table.num_rows), test_size=test_rows, random_state=seed, stratify=labels
    )
    return table.take(train), table.take(test)


def read_labels(table: pa.Table, column: str) -> list[Any]:
    """Return the values of the column to stratify by.

    Raises:
        DataError: There is no such column, or it has nulls.
    """
    if column not in table.column_names:
        raise DataError(
            f"stratify={column!r} is no column of the table. "
            f"Its columns are: {', '.join(table.column_names)}."
        )
    missing = pc.sum(pc.is_null(table[column], nan_is_null=True)).as_py()
    if missing:
        raise DataError(
            f"stratify={column!r} has no value in {missing} of {table.num_rows} rows: "
            "preprocess drops such rows if the column is its target."
        )
    labels: list[Any] = table[column].to_pylist()
    return labels


def check_labels(labels: list[Any], column: str, smaller_part: int) -> None:
    """Raise DataError unless each part can hold a row of each class."""
    counts = Counter(labels)
    alone = sorted(str(value) for value, count in counts.items() if count == 1)
    if alone:
        raise DataError(
            f"stratify={column!r} can't put {', '.join(alone[:5])} into both parts: "
            f"{'it has' if len(alone) == 1 else f'{len(alone)} classes have'} one row. "
            "Get more rows, drop the class, or leave stratify empty."
        )
    if len(counts) > smaller_part:
        raise DataError(
            f"stratify={column!r} has {len(counts)} classes, but the smaller part only "
            f"{smaller_part} rows: change test_size, or leave stratify empty."
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


def log_table(run: wandb.Run, table: pa.Table, name: str, kind: str) -> None:
    """Log a table as the only file, `name`, of an artifact; returns when it is stored."""
    metadata = {"rows": table.num_rows, "columns": table.column_names}
    artifact = wandb.Artifact(name, type=kind, metadata=metadata)
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
        sys.exit(f"segregate: {error}")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit(f"segregate: the disk is full: {error}. Make room, and run it again.")
    except KeyboardInterrupt:
        sys.exit("segregate: stopped.")
    finally:
        gc.freeze()  # or Python looks for garbage in all the libraries before it ends
