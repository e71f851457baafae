"""What the checks can ask for: the tables, the data set, and a column of each kind.

A check is a test function. With `@pytest.mark.columns("minimum")` and an argument `column` it
runs once for each column that has the rule `minimum`: see `Dataset.columns_with`.
"""

from typing import Any

import pyarrow as pa
import pytest
from rules import Dataset, Rules


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the checks that are marked with columns(kind) once for each such column."""
    marker = metafunc.definition.get_closest_marker("columns")
    if marker is None:
        return
    inputs = read_inputs(metafunc.config)
    columns: list[Any] = inputs.dataset.columns_with(*marker.args)
    if marker.args == ("distribution",) and inputs.reference is None:
        skip = pytest.mark.skip(reason=inputs.no_reference)
        columns = [pytest.param("", marks=skip, id="no reference")]
    metafunc.parametrize("column", columns)


def read_inputs(config: pytest.Config) -> Any:
    """Return the Inputs that run_checks was given."""
    return config.pluginmanager.get_plugin("inputs")


@pytest.fixture(scope="session")
def inputs(pytestconfig: pytest.Config) -> Any:
    """Everything that run_checks was given: an Inputs."""
    return read_inputs(pytestconfig)


@pytest.fixture(scope="session")
def sample(inputs: Any) -> pa.Table:
    """The table to check."""
    return inputs.sample


@pytest.fixture(scope="session")
def dataset(inputs: Any) -> Dataset:
    """What the data set's YAML file says."""
    described: Dataset = inputs.dataset
    return described


@pytest.fixture
def rules(dataset: Dataset, column: str) -> Rules:
    """The rules of the column."""
    return dataset.columns[column]


@pytest.fixture
def values(sample: pa.Table, column: str) -> pa.ChunkedArray:
    """The column of the sample; the check is skipped if it is missing."""
    if column not in sample.column_names:
        pytest.skip("the column is missing: see its check 'present'")
    found = sample[column]
    return found.cast(found.type.value_type) if pa.types.is_dictionary(found.type) else found


@pytest.fixture
def numbers(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column of the sample; the check is skipped if it holds no numbers."""
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        pytest.skip(f"the column holds {values.type}, no numbers: see its check 'type'")
    return values
