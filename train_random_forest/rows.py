"""Checks of the table to learn from, and its split."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype, is_string_dtype
from settings import Dataset
from sklearn.model_selection import train_test_split


class DataError(Exception):
    """The table can't be learned from as asked."""


def check_table(table: pd.DataFrame, dataset: Dataset) -> None:
    """Check that target and features are there, of the right type, and hold something.

    Args:
        table: Rows to learn from.
        dataset: What to predict from which columns.

    Raises:
        DataError: Names the column and what is wrong with it.
    """
    if missing := [name for name in [*dataset.features, dataset.target] if name not in table]:
        raise DataError(
            f"the table lacks {', '.join(missing)}; it has {', '.join(map(str, table.columns))}. "
            "Correct target and features of the data set."
        )
    if table.empty:
        raise DataError("the table has no rows.")
    check_target(table[dataset.target], dataset.task)
    for name in dataset.features:
        check_feature(table[name], dataset)


def check_target(target: "pd.Series[Any]", task: str) -> None:
    """Check that a target has no nulls, and at least two classes or only numbers.

    Raises:
        DataError: It doesn't.
    """
    if nulls := int(target.isna().sum()):
        raise DataError(
            f"target {target.name} is null in {nulls} of {len(target)} rows: drop them first, as "
            "preprocess does."
        )
    if task == "regression" and not is_numeric_dtype(target):
        raise DataError(
            f"target {target.name} holds {target.dtype}, a regression needs numbers: "
            "set task: classification, or name another target."
        )
    if task == "classification" and target.nunique() < 2:
        raise DataError(
            f"target {target.name} has one class only ({target.iloc[0]}): a "
            "classification needs rows of two classes at least."
        )


def check_feature(column: "pd.Series[Any]", dataset: Dataset) -> None:
    """Check that a feature holds values of its kind.

    Raises:
        DataError: All are null, one is infinite, or they are of another type.
    """
    name = str(column.name)
    if column.isna().all():
        raise DataError(
            f"feature {name} is null in all {len(column)} rows: take it out of the features, or "
            "mend the source."
        )
    if name in dataset.numerical and not is_numeric_dtype(column):
        raise DataError(f"feature {name} is listed as numerical but holds {column.dtype}.")
    if name in dataset.text and not is_string_dtype(column.dropna()):
        raise DataError(f"feature {name} is listed as text but holds {column.dtype}.")
    if name in dataset.numerical and np.isinf(column.dropna().astype(float)).any():
        raise DataError(f"feature {name} holds infinite values: make them null, or drop the rows.")


def split_table(
    table: pd.DataFrame, size: float, stratify: str, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split rows at random into a training and a validation part.

    Args:
        table: Rows to split.
        size: Share of the rows that validates, in (0, 1).
        stratify: Column whose shares both parts keep; empty splits at random.
        seed: Same seed, same split.

    Returns:
        Training and validation rows, in random order.

    Raises:
        DataError: The table can't be split this way.
    """
    if stratify and stratify not in table:
        raise DataError(
            f"stratify={stratify} is no column: use one of {', '.join(map(str, table.columns))}, "
            "or leave it empty."
        )
    groups = table[stratify] if stratify else None
    if groups is not None:
        check_groups(groups)
    try:
        training, validation = train_test_split(
            table, test_size=size, stratify=groups, random_state=seed
        )
    except ValueError as error:
        raise DataError(
            f"{len(table)} rows can't be split with validation_size={size} and "
            f"stratify={stratify or 'nothing'}: {error}"
        ) from error
    return training, validation


def check_groups(groups: "pd.Series[Any]") -> None:
    """Check that each value stands in two rows at least, so that both parts can have it.

    Raises:
        DataError: Names the values that don't.
    """
    counts = groups.value_counts(dropna=False)
    if lonely := sorted(map(str, counts.index[counts < 2])):
        raise DataError(
            f"stratify={groups.name} needs two rows of each value, and {', '.join(lonely)} has "
            "one: drop such rows, or stratify by nothing."
        )


def check_classes(training: "pd.Series[Any]", validation: "pd.Series[Any]") -> None:
    """Check that no class of the validation part is missing in the training part.

    Raises:
        DataError: Names the classes that are.
    """
    if unknown := sorted(map(str, set(validation.unique()) - set(training.unique()))):
        raise DataError(
            f"all rows of {', '.join(unknown)} fell into the validation part, so the model can't "
            f"know them: stratify by {training.name}, or drop such rows."
        )
