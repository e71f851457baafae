"""Comparison with the reference: the data of the model in production."""

from collections.abc import Callable
from typing import Any

import pytest
from drift import Drift, compare


@pytest.fixture(scope="session")
def comparison(inputs: Any) -> tuple[dict[str, Drift], dict[str, str]]:
    """All tests at once, because the correction depends on their number."""
    return compare(inputs.sample, inputs.reference, inputs.dataset)


@pytest.mark.columns("distribution")
def test_distribution(
    column: str,
    comparison: tuple[dict[str, Drift], dict[str, str]],
    inputs: Any,
    record_property: Callable[[str, object], None],
) -> None:
    """The column is distributed as in the reference."""
    results, reasons = comparison
    if column in reasons:
        pytest.skip(reasons[column])
    drift = results[column]
    record_property("statistic", drift.statistic)
    record_property("p_value", drift.p_value)
    if drift.p_value < inputs.ks_alpha:
        p_value = f"= {drift.p_value:.2g}" if drift.p_value else "< 1e-300"  # it underflowed
        problem = (
            f"the distribution changed between {inputs.reference.num_rows:,} rows of the "
            f"reference and {inputs.sample.num_rows:,} rows: {drift.change} "
            f"({drift.test} statistic {drift.statistic:.3g}, p {p_value} after "
            f"Holm's correction over {len(results)} tests, below ks_alpha={inputs.ks_alpha:g})"
        )
        if not inputs.accept_drift:
            pytest.fail(problem, pytrace=False)
        record_property("warning", f"{problem}. Accepted by accept_drift=true")
