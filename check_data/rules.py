"""Reads what a data set's YAML file says about its table."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

TYPES = ("float", "integer", "string", "boolean")
TASKS = ("classification", "regression")
KINDS = ("numerical", "categorical", "text")


class DatasetError(Exception):
    """The YAML file says something that it can't say."""


@dataclass(frozen=True)
class Rules:
    """What every value of a column must be like.

    Attributes:
        type: float (whole numbers too), integer, string or boolean.
        minimum: Lowest value, if there is one.
        maximum: Highest value, if there is one.
        allowed: The values there may be, if they can be listed.
        max_null_fraction: Highest share of rows without a value, in [0, 1].
    """

    type: str
    minimum: float | None = None
    maximum: float | None = None
    allowed: list[Any] | None = None
    max_null_fraction: float = 0.0


@dataclass(frozen=True)
class Dataset:
    """What a table must be like.

    Attributes:
        task: classification or regression.
        target: Column to predict.
        features: Columns that the model sees, by kind: numerical, categorical, text.
        columns: Rules by column.
        minimum_rows: Rows that the table has at least.
    """

    task: str
    target: str
    features: dict[str, list[str]]
    columns: dict[str, Rules]
    minimum_rows: int

    def columns_with(self, kind: str) -> list[str]:
        """Return the columns that have a rule of this name, or belong to this group.

        Args:
            kind: A field of Rules; or required (every column named anywhere), numerical
                (features), distribution (features and target but for text), classes (the
                target of a classification).
        """
        categories = [*self.features["categorical"], self.target]
        if kind == "numerical":
            return self.features["numerical"]
        if kind == "classes":
            return [self.target] if self.task == "classification" else []
        if kind == "distribution":
            return list(dict.fromkeys([*self.features["numerical"], *categories]))
        if kind == "required":
            features = [name for names in self.features.values() for name in names]
            return list(dict.fromkeys([*self.columns, *features, self.target]))
        return [name for name, rules in self.columns.items() if getattr(rules, kind) is not None]

    def is_continuous(self, column: str) -> bool:
        """Tell whether the column is a number to measure, rather than a category to count."""
        is_measured_target = column == self.target and self.task == "regression"
        return column in self.features["numerical"] or is_measured_target


def read_dataset(path: Path) -> Dataset:
    """Read the YAML file of a data set; keys that no check uses are left alone.

    Raises:
        DatasetError: There is no such file, or a key has a value that it can't have.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "" if path.is_absolute() else " A relative path starts in the step's own folder."
        raise DatasetError(f"dataset={path} can't be read: {error.strerror}.{hint}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise DatasetError(f"dataset={path} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"dataset={path} holds no keys such as target and columns.")
    try:
        return parse_dataset(content)
    except DatasetError as error:
        raise DatasetError(f"dataset={path}: {error}") from error


def parse_dataset(content: dict[str, Any]) -> Dataset:
    """Return the data set that the content of a YAML file describes.

    Raises:
        DatasetError: A key is missing or has a value that it can't have.
    """
    task, target = content.get("task"), content.get("target")
    if task not in TASKS:
        raise DatasetError(f"task={task!r} isn't one of {', '.join(TASKS)}.")
    if not isinstance(target, str) or not target:
        raise DatasetError(f"target={target!r} isn't the name of a column.")
    features, columns = content.get("features") or {}, content.get("columns") or {}
    minimum_rows = content.get("minimum_rows", 1)
    if not isinstance(minimum_rows, int) or minimum_rows < 1:
        raise DatasetError(f"minimum_rows={minimum_rows!r} isn't a whole number above 0.")
    if not isinstance(columns, dict):
        raise DatasetError(f"columns={columns!r} isn't a mapping of columns to rules.")
    return Dataset(
        task,
        target,
        {kind: parse_names(kind, features.get(kind)) for kind in KINDS},
        {str(name): parse_rules(str(name), rules) for name, rules in columns.items()},
        minimum_rows,
    )


def parse_names(kind: str, names: Any) -> list[str]:
    """Return the names of the features of one kind; none if nothing is said of them."""
    names = names or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DatasetError(f"features.{kind}={names!r} isn't a list of columns.")
    return names


def parse_rules(column: str, content: Any) -> Rules:
    """Return the rules of one column.

    Raises:
        DatasetError: A rule is unknown or has a value that it can't have.
    """
    known = [field.name for field in fields(Rules)]
    if not isinstance(content, dict) or not set(content) <= set(known):
        raise DatasetError(f"columns.{column}={content!r} may only hold: {', '.join(known)}.")
    given = {name: value for name, value in content.items() if value is not None}
    if given.get("type") not in TYPES:
        raise DatasetError(
            f"columns.{column}.type={given.get('type')!r} isn't one of {', '.join(TYPES)}."
        )
    for name in ("minimum", "maximum", "max_null_fraction"):
        if not is_number(given.get(name, 0)):
            raise DatasetError(f"columns.{column}.{name}={given[name]!r} isn't a number.")
    if not 0 <= given.get("max_null_fraction", 0) <= 1:
        raise DatasetError(
            f"columns.{column}.max_null_fraction={given['max_null_fraction']} is outside [0, 1]."
        )
    if not isinstance(given.get("allowed", []), list):
        raise DatasetError(f"columns.{column}.allowed={given['allowed']!r} isn't a list.")
    return Rules(**given)


def is_number(value: Any) -> bool:
    """Tell whether a YAML value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
