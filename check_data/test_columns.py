"""The rules that the data set's YAML file sets."""

import math

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from offenders import is_missing, is_repeated, refuse
from rules import Dataset, Rules

# A whole number is a number as well; text may be stored as a dictionary, which `values` undoes.
ACCEPTED = {
    "float": (pa.types.is_floating, pa.types.is_integer),
    "integer": (pa.types.is_integer,),
    "string": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    "boolean": (pa.types.is_boolean,),
}


def test_minimum_rows(sample: pa.Table, dataset: Dataset) -> None:
    """The table has enough rows."""
    if sample.num_rows < dataset.minimum_rows:
        pytest.fail(
            f"{sample.num_rows:,} rows are fewer than minimum_rows={dataset.minimum_rows:,}",
            pytrace=False,
        )


def test_no_duplicates(sample: pa.Table) -> None:
    """No row equals another."""
    refuse(is_repeated(sample), None, "the row equals one before it")


@pytest.mark.columns("required")
def test_present(sample: pa.Table, column: str) -> None:
    """The column exists."""
    if column not in sample.column_names:
        pytest.fail(
            f"the column is missing; there are: {', '.join(sample.column_names)}", pytrace=False
        )


@pytest.mark.columns("required")
def test_not_empty(values: pa.ChunkedArray) -> None:
    """The column has a value somewhere."""
    if pc.all(is_missing(values)).as_py():
        pytest.fail(f"none of the {len(values):,} rows has a value", pytrace=False)


@pytest.mark.columns("type")
def test_type(values: pa.ChunkedArray, rules: Rules) -> None:
    """The column is of its type; one without any value is of every type."""
    kind = values.type
    if not pa.types.is_null(kind) and not any(accepts(kind) for accepts in ACCEPTED[rules.type]):
        every_row = pc.is_valid(values)
        refuse(every_row, values, f"the type is {kind}, not {rules.type},")


@pytest.mark.columns("max_null_fraction")
def test_nulls(values: pa.ChunkedArray, rules: Rules) -> None:
    """Not too many rows lack a value."""
    missing = is_missing(values)
    fraction = (pc.sum(missing).as_py() or 0) / max(1, len(values))
    if fraction > rules.max_null_fraction:
        limit = f"max_null_fraction={rules.max_null_fraction:g}"
        refuse(missing, values, f"a share of {fraction:.3g} is null, more than {limit}:")


@pytest.mark.columns("minimum")
def test_minimum(numbers: pa.ChunkedArray, rules: Rules) -> None:
    """No number is too low."""
    refuse(pc.less(numbers, rules.minimum), numbers, f"below minimum={rules.minimum}")


@pytest.mark.columns("maximum")
def test_maximum(numbers: pa.ChunkedArray, rules: Rules) -> None:
    """No number is too high."""
    refuse(pc.greater(numbers, rules.maximum), numbers, f"above maximum={rules.maximum}")


@pytest.mark.columns("allowed")
def test_allowed(values: pa.ChunkedArray, rules: Rules) -> None:
    """Every value is one of those listed."""
    listed = rules.allowed or []
    found = pc.drop_null(pc.unique(values))
    unlisted = [
        value
        for value in found.to_pylist()
        if value not in listed and not (isinstance(value, float) and math.isnan(value))
    ]
    offends = pc.is_in(values, value_set=pa.array(unlisted, values.type))
    known = ", ".join(map(str, listed[:10])) + (", ..." if len(listed) > 10 else "")
    refuse(offends, values, f"not one of the allowed values ({known})")


@pytest.mark.columns("classes")
def test_classes(values: pa.ChunkedArray) -> None:
    """There are two classes to tell apart."""
    found = pc.unique(values.filter(pc.invert(is_missing(values)))).to_pylist()
    if len(found) == 1:
        pytest.fail(
            f"all of the {len(values):,} rows are {found[0]!r}, but a classification needs two "
            "classes: add rows of another class, or name another target",
            pytrace=False,
        )


@pytest.mark.columns("numerical")
def test_finite(numbers: pa.ChunkedArray) -> None:
    """No number is infinite."""
    refuse(pc.is_inf(numbers), numbers, "infinite")
