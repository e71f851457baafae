"""Tests whether a table's columns are distributed as in a reference."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from rules import Dataset

# Cochran's rule: a chi-square statistic holds where this many rows are expected at least.
LEAST_EXPECTED = 5


@dataclass(frozen=True)
class Drift:
    """Result of one two-sample test.

    Attributes:
        test: Name of the test.
        statistic: Its statistic.
        p_value: Probability of such a statistic if nothing changed; corrected by Holm's method
            once all tests are known.
        change: What changed most, in words.
    """

    test: str
    statistic: float
    p_value: float
    change: str


def compare(
    sample: pa.Table, reference: pa.Table, dataset: Dataset
) -> tuple[dict[str, Drift], dict[str, str]]:
    """Test each numerical and categorical feature, and the target.

    Args:
        sample: The table to judge; nulls and NaN are left out.
        reference: The table to compare it with.
        dataset: Which columns to test, and how.

    Returns:
        The results by column, p-values corrected over all of them as one family; and the
        reasons by column that can't be compared.
    """
    results: dict[str, Drift] = {}
    reasons: dict[str, str] = {}
    for column in dataset.columns_with("distribution"):
        continuous = dataset.is_continuous(column)
        new, old = (read_values(table, column, continuous) for table in (sample, reference))
        if new is None or old is None:
            where = "sample" if new is None else "reference"
            kind = "numbers" if continuous else "values"
            reasons[column] = f"the {where} has no {kind} in {column!r} to compare"
        else:
            results[column] = compare_numbers(new, old) if continuous else compare_counts(new, old)
    corrected = correct_by_holm([result.p_value for result in results.values()])
    return {
        column: replace(result, p_value=p_value)
        for (column, result), p_value in zip(results.items(), corrected, strict=True)
    }, reasons


def read_values(table: pa.Table, column: str, continuous: bool) -> pa.ChunkedArray | None:
    """Return the values there are; None if there are none, or not numbers as they should be."""
    if column not in table.column_names:
        return None
    values = table[column]
    kind = values.type
    if continuous and not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    values = values.filter(pc.invert(pc.is_null(values, nan_is_null=True)))
    return values if len(values) else None


def compare_numbers(new: pa.ChunkedArray, old: pa.ChunkedArray) -> Drift:
    """Compare numbers by the two-sample Kolmogorov-Smirnov test."""
    # Takes 0.7 s to import, and the first run of a pipeline has nothing to compare.
    from scipy.stats import ks_2samp

    result = ks_2samp(new.to_numpy(), old.to_numpy())
    medians = [pc.quantile(values)[0].as_py() for values in (old, new)]
    change = f"the median went from {medians[0]:g} to {medians[1]:g}"
    return Drift("Kolmogorov-Smirnov", float(result.statistic), float(result.pvalue), change)


def compare_counts(new: pa.ChunkedArray, old: pa.ChunkedArray) -> Drift:
    """Compare how often each value occurs by the chi-square test of a contingency table.

    Rare values are joined to one, so that each cell expects LEAST_EXPECTED rows; where that
    leaves a single value, the tables can't be told apart.
    """
    from scipy.stats import chi2_contingency

    counts = (Counter(new.to_pylist()), Counter(old.to_pylist()))
    shares = {
        value: (counts[1][value] / len(old), counts[0][value] / len(new))
        for value in counts[0] | counts[1]
    }
    most = max(shares, key=lambda value: abs(shares[value][1] - shares[value][0]))
    change = f"{most!r} went from {shares[most][0]:.1%} to {shares[most][1]:.1%} of the rows"
    table = join_rare_levels([[count[value] for value in shares] for count in counts])
    if len(table[0]) < 2:
        return Drift("chi-square", 0.0, 1.0, change)
    result = chi2_contingency(table, correction=False)
    return Drift("chi-square", float(result.statistic), float(result.pvalue), change)


def join_rare_levels(counts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Join columns of a two-row contingency table, the rarest first, until none is too rare.

    Args:
        counts: Two rows of counts, of one length.

    Returns:
        The two rows, in which each cell expects LEAST_EXPECTED rows, or one column is left.
    """
    levels = sorted(zip(*counts, strict=True), key=sum)
    smaller_share = min(map(sum, counts)) / sum(map(sum, counts))
    while len(levels) > 1 and sum(levels[0]) * smaller_share < LEAST_EXPECTED:
        joined = (levels[0][0] + levels[1][0], levels[0][1] + levels[1][1])
        levels = sorted([joined, *levels[2:]], key=sum)
    return [[level[row] for level in levels] for row in (0, 1)]


def correct_by_holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that keep the family-wise error rate, by Holm's step-down method.

    Example:
        >>> correct_by_holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        corrected[position] = highest
    return corrected
