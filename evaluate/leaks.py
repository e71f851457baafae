"""Test rows that a model has met in training: its scores on them are too good."""

import numpy as np
import pandas as pd
import wandb
from comparison import Leak
from origin import name_of
from tracking import read_table


def find_leak(model: wandb.Artifact, test: wandb.Artifact, rows: pd.DataFrame) -> Leak | None:
    """Look for test rows in the data that a model was trained on.

    Data and test rows of one split have none in common, so rows are only compared if they are of
    different ones: after a change of the split, or where somebody has named the versions.

    Args:
        model: A version that a run logged, with the name of the data in its metadata.
        test: The version that has the test rows.
        rows: The test rows.

    Returns:
        What was found; None if there are no such rows, or if it isn't known what the model was
        trained on.

    Raises:
        DataError: What the model was trained on holds no table.
    """
    name, maker = model.metadata.get("train_artifact"), model.logged_by()
    if not name or maker is None:
        return None
    subject = name_of(model)
    collection = name.partition(":")[0]
    used = [one for one in maker.used_artifacts() if one.name.partition(":")[0] == collection]
    if not used:
        return Leak(
            None,
            f"{subject} was trained on {name}, which isn't in W&B any more: whether it has seen "
            "some of these test rows isn't known.",
        )
    seen = 0 if is_one_split(used[0], test) else count_seen(read_table(used[0]), rows)
    if not seen:
        return None
    return Leak(
        seen,
        f"{subject} was trained on {used[0].name}, which has {seen:,} of these {len(rows):,} test "
        "rows: its scores on them are too good.",
    )


def is_one_split(train: wandb.Artifact, test: wandb.Artifact) -> bool:
    """Tell whether one run made both: new, or with equal content that was known before."""
    maker = train.logged_by()
    names = [made.name for made in maker.logged_artifacts()] if maker else []
    return name_of(test) in names


def count_seen(train: pd.DataFrame, rows: pd.DataFrame) -> int:
    """Return how many rows are among those of another table, by the columns of both.

    >>> count_seen(pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [2, 3], "b": [0, 0]}))
    1
    """
    columns = [name for name in rows.columns if name in train.columns]
    known, asked = (
        pd.util.hash_pandas_object(table[columns], index=False).to_numpy()
        for table in (train, rows)
    )
    return int(np.isin(asked, known).sum())
