"""check_data finds each kind of fault by the right rule, and says what to do about it."""

import json
import math
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROWS = 400
CONTENT = {
    "task": "classification",
    "target": "genre",
    "features": {"numerical": ["tempo", "plays"], "categorical": ["key"], "text": ["title"]},
    "minimum_rows": 100,
    "columns": {
        "tempo": {"type": "float", "minimum": 20, "maximum": 300},
        "plays": {"type": "integer", "minimum": 0},
        "key": {"type": "integer", "allowed": [0, 1, 2]},
        "live": {"type": "boolean"},
        "genre": {"type": "string", "allowed": ["trance", "trap"]},
        "title": {"type": "string", "max_null_fraction": 0.5},
    },
    "url": "a key that no check uses",
}


def make_songs(seed=1, rows=ROWS):
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "tempo": random.normal(120, 10, rows),
            "plays": random.integers(0, 1000, rows),
            "key": random.integers(0, 3, rows),
            "live": pa.array([row % 2 == 0 for row in range(rows)]),
            "genre": [("trance", "trap")[row % 2] for row in range(rows)],
            "title": [f"Song {row}" if row % 3 else None for row in range(rows)],
        }
    )


SONGS = make_songs()


@pytest.fixture(scope="module")
def step(load_step):
    loaded = load_step("check_data")
    before = set(sys.modules)
    yield loaded
    # The checks import their own modules anew: the next step must not find them.
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(loaded.checks.FOLDER)):
            del sys.modules[name]


@pytest.fixture(scope="module")
def check(step):
    def run(sample, reference=None, content=CONTENT, accept_drift=False, ks_alpha=0.05):
        dataset = step.rules.parse_dataset(content)
        inputs = step.checks.Inputs(
            sample, reference, "nothing to compare", dataset, ks_alpha, accept_drift
        )
        return step.checks.run_checks(inputs)

    return run


def with_column(name, values):
    return SONGS.set_column(SONGS.column_names.index(name), name, [values])


def with_values(name, **changes):
    """Return the songs with values of one column changed: row12="x"."""
    values = SONGS[name].to_pylist()
    for row, value in changes.items():
        values[int(row.removeprefix("row"))] = value
    return with_column(name, values)


def find(results, outcome):
    return {
        (result.check, result.column): result for result in results if result.outcome == outcome
    }


def test_a_good_table_passes_every_check(check):
    results = check(SONGS)
    assert Counter(result.outcome for result in results) == {
        "passed": len(results) - 1,
        "skipped": 1,
    }
    assert {result.check for result in results} == {
        "minimum_rows",
        "no_duplicates",
        "present",
        "not_empty",
        "type",
        "nulls",
        "minimum",
        "maximum",
        "allowed",
        "classes",
        "finite",
        "distribution",
    }
    (skipped,) = find(results, "skipped").values()
    assert (skipped.check, skipped.message) == ("distribution", "nothing to compare")


FAULTS = {
    "column missing": (
        SONGS.drop_columns(["key"]),
        {("present", "key"): "the column is missing; there are: tempo, plays, live, genre, title"},
    ),
    "text in a whole-number column": (
        with_column("key", ["1"] * ROWS),
        {
            ("type", "key"): "the type is string, not integer, in 400 of 400 rows (row 0: '1'",
            ("allowed", "key"): "not one of the allowed values (0, 1, 2) in 400 of 400 rows",
        },
    ),
    "fractions in a whole-number column": (
        with_values("plays", row7=0.5),
        {("type", "plays"): "the type is double, not integer"},
    ),
    "numbers in a text column": (
        with_column("title", list(range(ROWS))),
        {("type", "title"): "the type is int64, not string"},
    ),
    "numbers for true and false": (
        with_column("live", [row % 2 for row in range(ROWS)]),
        {("type", "live"): "the type is int64, not boolean"},
    ),
    "value below the minimum": (
        with_values("tempo", row3=19.5, row8=-1.0),
        {("minimum", "tempo"): "below minimum=20 in 2 of 400 rows (row 3: 19.5, row 8: -1.0)"},
    ),
    "value above the maximum": (
        with_values("tempo", row3=300.5),
        {("maximum", "tempo"): "above maximum=300 in 1 of 400 rows (row 3: 300.5)"},
    ),
    "infinite value without a maximum": (
        with_column("plays", [math.inf, *map(float, range(1, ROWS))]),
        {
            ("finite", "plays"): "infinite in 1 of 400 rows (row 0: inf)",
            ("type", "plays"): "double",
        },
    ),
    "class that isn't listed": (
        with_values("genre", **{f"row{row}": "polka" for row in range(10, 17)}),
        {
            (
                "allowed",
                "genre",
            ): "not one of the allowed values (trance, trap) in 7 of 400 rows (row 10: 'polka', "
            "row 11: 'polka', row 12: 'polka', row 13: 'polka', row 14: 'polka', ...)"
        },
    ),
    "one class only": (
        with_column("genre", ["trap"] * ROWS),
        {
            ("classes", "genre"): "all of the 400 rows are 'trap', but a classification needs two "
            "classes: add rows of another class, or name another target"
        },
    ),
    "null where none may be": (
        with_values("genre", row5=None),
        {("nulls", "genre"): "a share of 0.0025 is null, more than max_null_fraction=0: in 1 of"},
    ),
    "NaN where no null may be": (
        with_values("tempo", row5=math.nan),
        {("nulls", "tempo"): "more than max_null_fraction=0: in 1 of 400 rows (row 5: nan)"},
    ),
    "too many nulls": (
        with_column("title", [None if row % 5 else f"Song {row}" for row in range(ROWS)]),
        {("nulls", "title"): "a share of 0.8 is null, more than max_null_fraction=0.5"},
    ),
    "all-null column": (
        with_column("key", pa.nulls(ROWS, pa.int64())),
        {
            ("not_empty", "key"): "none of the 400 rows has a value",
            ("nulls", "key"): "a share of 1 is null",
        },
    ),
    "all-null column without a type": (
        with_column("title", pa.nulls(ROWS)),
        {("not_empty", "title"): "none of the 400 rows", ("nulls", "title"): "a share of 1 is"},
    ),
    "duplicate rows": (
        pa.concat_tables([SONGS, SONGS.slice(0, 2)]),
        {("no_duplicates", ""): "equals one before it in 2 of 402 rows (row 400, row 401)"},
    ),
    "too few rows": (
        SONGS.slice(0, 99),
        {("minimum_rows", ""): "99 rows are fewer than minimum_rows=100"},
    ),
    "no rows at all": (SONGS.slice(0, 0), {("minimum_rows", ""): "0 rows are fewer"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_by_its_rule_and_no_other(check, fault):
    sample, expected = FAULTS[fault]
    failed = find(check(sample), "failed")
    assert set(failed) == set(expected)
    for key, message in expected.items():
        assert message in failed[key].message


def test_whole_numbers_and_stored_dictionaries_are_accepted(check):
    sample = with_column("tempo", [100 + row % 50 for row in range(ROWS)])
    sample = sample.set_column(4, "genre", SONGS["genre"].dictionary_encode())
    assert not find(check(sample), "failed")


def test_a_feature_without_rules_must_still_be_there(check):
    columns = {name: rules for name, rules in CONTENT["columns"].items() if name != "key"}
    failed = find(
        check(SONGS.drop_columns(["key"]), content=CONTENT | {"columns": columns}), "failed"
    )
    assert set(failed) == {("present", "key")}


def test_a_check_that_breaks_counts_as_failed(check):
    """Arrow can't look up lists: that is no reason to let them pass."""
    failed = find(check(with_column("genre", [[row] for row in range(ROWS)])), "failed")
    assert set(failed) == {("type", "genre"), ("allowed", "genre"), ("classes", "genre")}
    assert "ArrowNotImplementedError" in failed["allowed", "genre"].message


def test_options_for_other_pytest_runs_hide_no_failure(check, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "-x")
    sample = with_values("tempo", row1=1.0).drop_columns(["key", "live"])
    assert len(find(check(sample), "failed")) == 3


def test_a_conftest_above_the_step_is_not_run(run_python, tmp_path):
    folder = shutil.copytree(ROOT / "check_data", tmp_path / "check_data")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('I was run')")
    pq.write_table(SONGS, tmp_path / "songs.parquet")
    program = f"""
import checks, pyarrow.parquet, rules
sample = pyarrow.parquet.read_table("../songs.parquet")
dataset = rules.parse_dataset({CONTENT!r})
inputs = checks.Inputs(sample, None, "nothing", dataset, 0.05, False)
print({{result.outcome for result in checks.run_checks(inputs)}})
"""
    done = run_python("around", "-c", program, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stdout
    assert "passed" in done.stdout


def test_equal_distributions_pass_with_statistics(check):
    results = [result for result in check(SONGS, make_songs(2)) if result.check == "distribution"]
    assert [result.column for result in results] == ["tempo", "plays", "key", "genre"]
    assert {result.outcome for result in results} == {"passed"}
    assert all(result.statistic >= 0 and 0.05 < result.p_value <= 1 for result in results)


SHIFTED = with_column("tempo", np.asarray(SONGS["tempo"]) + 5)
DRIFTS = {
    "tempo": (SHIFTED, "the median went from 119.* to 12.* .Kolmogorov-Smirnov statistic 0.2"),
    "key": (
        with_column("key", [0] * 300 + [1, 2] * 50),
        r"0 went from 3\d\.\d% to 75\.0% of the rows .chi-square statistic",
    ),
    "genre": (
        with_column("genre", ["trance"] * 280 + ["trap"] * 120),
        r"'trap' went from 50\.0% to 30\.0% of the rows .chi-square",
    ),
}


@pytest.mark.parametrize("column", DRIFTS)
def test_a_changed_distribution_fails_with_what_has_changed(check, column):
    sample, message = DRIFTS[column]
    failed = find(check(sample, make_songs(2)), "failed")
    assert set(failed) == {("distribution", column)}
    result = failed["distribution", column]
    pattern = (
        rf"400 rows of the reference and 400 rows: .*{message}.*Holm's correction over 4 tests"
    )
    assert re.search(pattern, result.message)
    assert result.p_value < 0.05


def test_a_change_beyond_all_chance_is_told_with_a_bound(check):
    first, second = (
        pa.concat_tables([with_column("tempo", np.arange(400.0) + shift)] * 40)
        for shift in (0, 1000)
    )
    failed = find(check(first, second), "failed")
    assert "p < 1e-300 after" in failed["distribution", "tempo"].message


def test_an_accepted_change_is_a_warning(check):
    results = check(SHIFTED, make_songs(2), accept_drift=True)
    assert not find(results, "failed")
    (warned,) = find(results, "warned").values()
    assert warned.column == "tempo"
    assert "Accepted by accept_drift=true" in warned.message


def test_accepting_drift_accepts_nothing_else(check):
    results = check(with_values("tempo", row3=-1.0), make_songs(2), accept_drift=True)
    assert set(find(results, "failed")) == {("minimum", "tempo")}


def test_a_numerical_target_is_compared_by_its_values(check):
    content = CONTENT | {"task": "regression", "target": "tempo"}
    failed = find(check(SHIFTED, make_songs(2), content=content), "failed")
    assert "Kolmogorov-Smirnov" in failed["distribution", "tempo"].message


def test_what_the_reference_lacks_is_skipped_with_the_reason(check):
    reference = make_songs(2).drop_columns(["key"]).set_column(0, "tempo", [["fast"] * ROWS])
    skipped = find(check(SONGS, reference), "skipped")
    assert {key: result.message for key, result in skipped.items()} == {
        ("distribution", "key"): "the reference has no values in 'key' to compare",
        ("distribution", "tempo"): "the reference has no numbers in 'tempo' to compare",
    }


def test_few_false_alarms_when_nothing_changed(step):
    """The family-wise rate of 5 % leaves at most 10 of 60 comparisons (p < 0.001 for more)."""
    dataset = step.rules.parse_dataset(CONTENT)
    alarms = 0
    for seed in range(60):
        results, _ = step.drift.compare(make_songs(seed), make_songs(seed + 1000), dataset)
        alarms += any(result.p_value < 0.05 for result in results.values())
    assert alarms <= 10


def test_holm_steps_down_and_never_decreases(step):
    corrected = step.drift.correct_by_holm([0.01, 0.04, 0.03, 0.005])
    assert corrected == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert step.drift.correct_by_holm([]) == []
    assert step.drift.correct_by_holm([0.9, 0.9]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("counts", "joined"),
    [
        (([50, 40, 2, 3], [50, 40, 3, 2]), [[5, 40, 50], [5, 40, 50]]),
        (([1, 1], [1, 2]), [[2], [3]]),
        (([500, 4], [500, 8]), [[4, 500], [8, 500]]),
        (([9, 0], [0, 9]), [[9], [9]]),
    ],
)
def test_rare_levels_are_joined_until_each_cell_expects_five(step, counts, joined):
    table = step.drift.join_rare_levels(counts)
    assert sorted(zip(*table, strict=True)) == sorted(zip(*joined, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "ranking"}, "task='ranking' isn't one of classification, regression"),
        ({"target": None}, "target=None isn't the name of a column"),
        ({"minimum_rows": 0}, "minimum_rows=0 isn't a whole number above 0"),
        ({"features": {"numerical": "tempo"}}, "features.numerical='tempo' isn't a list"),
        ({"columns": ["tempo"]}, r"columns=\['tempo'\] isn't a mapping"),
        (
            {"columns": {"key": {"type": "int"}}},
            "columns.key.type='int' isn't one of float, integer",
        ),
        ({"columns": {"key": {"minimum": 1}}}, "columns.key.type=None isn't one of"),
        ({"columns": {"key": {"type": "float", "min": 1}}}, "may only hold: type, minimum"),
        ({"columns": {"key": {"type": "float", "minimum": "a"}}}, "key.minimum='a' isn't a number"),
        ({"columns": {"key": {"type": "float", "allowed": 3}}}, "key.allowed=3 isn't a list"),
        (
            {"columns": {"key": {"type": "float", "max_null_fraction": 2}}},
            r"max_null_fraction=2 is outside \[0, 1\]",
        ),
    ],
)
def test_a_wrong_data_set_is_refused(step, tmp_path, change, message):
    path = tmp_path / "dataset.yaml"
    path.write_text(yaml.safe_dump(CONTENT | change))
    with pytest.raises(step.rules.DatasetError, match=message) as caught:
        step.rules.read_dataset(path)
    assert str(path) in str(caught.value)


def test_a_relative_path_of_the_data_set_is_told_where_it_starts(step):
    message = "No such file or directory. A relative path starts in the step's own folder."
    with pytest.raises(step.rules.DatasetError, match=message):
        step.rules.read_dataset(Path("no/such.yaml"))


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", None])
def test_a_file_that_is_no_data_set_is_refused(step, tmp_path, text):
    path = tmp_path / "dataset.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(step.rules.DatasetError, match=r"dataset=.*dataset\.yaml"):
        step.rules.read_dataset(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ks_alpha", "0", r"ks_alpha=0\.0 is no error rate"),
        ("ks_alpha", "1", r"ks_alpha=1\.0 is no error rate"),
        ("accept_drift", "yes", "accept_drift='yes' isn't true or false"),
        ("report_artifact", "my report", "report_artifact='my report'"),
    ],
)
def test_a_parameter_out_of_range_is_refused_before_work(step, name, value, message):
    parameters = {
        "sample_artifact": "clean.parquet:v0",
        "report_artifact": "report",
        "dataset": "songs.yaml",
        name: value,
    }
    with pytest.raises(step.run.ParameterError, match=message):
        step.run.parse([f"--{key}={text}" for key, text in parameters.items()])


@pytest.fixture(scope="module")
def run_check(run_step, log_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    tables = {
        "good": SONGS,
        "drifted": SHIFTED,
        "same": SONGS,
        "broken": with_values("key", row9=7),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / "table.parquet" if name == "same" else folder / name)
    (folder / "dataset.yaml").write_text(yaml.safe_dump(CONTENT))
    log_files("check-data", *(folder / name for name in ("good", "drifted", "broken")))

    def run(sample, **parameters):
        return run_step(
            "check_data",
            "check-data",
            sample_artifact=sample,
            report_artifact=f"report-{sample.partition(':')[0]}",
            dataset=folder / "dataset.yaml",
            **parameters,
        )

    return run


def test_the_first_run_says_that_there_is_nothing_to_compare_with(run_check, wandb_api, tmp_path):
    done = run_check("good:v0")
    assert done.returncode == 0, done.stderr
    line = "Skipped: distribution: nothing to compare with: no model is in production, or it isn't"
    assert line in done.stderr
    artifact = wandb_api.artifact("local/check-data/report-good:v0", type="check_report")
    report = json.loads(Path(artifact.download(str(tmp_path)), "report.json").read_text())
    assert report["counts"] == artifact.metadata
    assert report["counts"]["failed"] == 0
    run = artifact.logged_by()
    assert run.summary["checks/passed"] == report["counts"]["passed"] > 20
    assert run.summary["checks/skipped"] == 1
    assert (run.state, run.job_type) == ("finished", "check_data")
    assert run.summary["checks"]["nrows"] == len(report["checks"])


def test_failed_checks_are_logged_and_stop_the_step(run_check, wandb_api, tmp_path):
    done = run_check("broken:v0", reference_artifact="good:v0")
    assert done.returncode == 1
    assert "check_data: 1 of " in done.stderr
    line = "  allowed [key]: not one of the allowed values (0, 1, 2) in 1 of 400 rows (row 9: 7)"
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    artifact = wandb_api.artifact("local/check-data/report-broken:v0")
    assert line.strip() in Path(artifact.download(str(tmp_path)), "report.md").read_text()
    run = artifact.logged_by()
    assert (run.state, run.summary["checks/failed"]) == ("failed", 1)
    assert {used.name for used in run.used_artifacts()} == {"broken:v0", "good:v0"}


def test_drift_stops_the_step_unless_accepted(run_check):
    refused = run_check("drifted:v0", reference_artifact="good:v0")
    assert refused.returncode == 1
    assert "distribution [tempo]: the distribution changed" in refused.stderr
    assert refused.stderr.endswith("accept it: check_data.accept_drift=true\n")
    accepted = run_check("drifted:v0", reference_artifact="good:v0", accept_drift="true")
    assert accepted.returncode == 0, accepted.stderr
    assert "Warned: distribution [tempo]: the distribution changed" in accepted.stderr


def test_a_table_is_not_compared_with_itself(run_check):
    done = run_check("good:v0", reference_artifact="good:latest")
    assert done.returncode == 0, done.stderr
    assert "the reference good:latest holds the same data as the sample" in done.stderr
