"""preprocess drops duplicate rows and rows without a target, and nothing else."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def step(load_step):
    return load_step("preprocess").run


SONGS = pa.table(
    {
        "genre": ["trance", "trap", "trance", None, None, "trap"],
        "plays": pa.array([3, 1, 3, 7, 7, None], pa.int64()),
        "tempo": [120.0, math.nan, 120.0, 90.0, 90.0, None],
    }
)


def test_duplicates_and_rows_without_a_target_are_dropped_and_counted(step):
    table, dropped = step.clean(SONGS, "genre")
    assert table["genre"].to_pylist() == ["trance", "trap", "trap"]
    assert table["plays"].to_pylist() == [3, 1, None]
    assert dropped == {"duplicates": 2, "missing_target": 1}


def test_types_stay_also_where_whole_numbers_are_missing(step):
    table, _ = step.clean(SONGS, "genre")
    assert table.schema == SONGS.schema


def test_a_missing_number_equals_another_whether_null_or_nan(step):
    table = pa.table({"genre": ["a", "a", "a"], "tempo": pa.array([math.nan, None, math.nan])})
    assert step.drop_duplicates(table).num_rows == 1


def test_nan_is_no_target(step):
    table, dropped = step.clean(pa.table({"y": [1.5, math.nan], "x": [1, 2]}), "y")
    assert table["y"].to_pylist() == [1.5]
    assert dropped["missing_target"] == 1


@pytest.mark.parametrize(
    "values",
    [[True, False, True], ["b", "a", "b"], [[1, 2], [2, 1], [1, 2]], [{"n": 1}, None, {"n": 1}]],
    ids=["booleans", "text", "lists", "structs"],
)
def test_columns_of_any_type_are_compared_and_order_is_kept(step, values):
    assert step.drop_duplicates(pa.table({"x": values}))["x"].to_pylist() == values[:2]


def test_rows_that_differ_in_one_column_both_stay(step):
    table = pa.table({"x": ["a", "ab", "a"], "y": ["bc", "c", None]})
    assert step.drop_duplicates(table) == table


def test_duplicates_are_found_across_chunks(step):
    chunks = pa.concat_tables([SONGS, SONGS, SONGS])
    assert chunks["genre"].num_chunks == 3
    table, dropped = step.clean(chunks, "genre")
    assert table["plays"].to_pylist() == [3, 1, None]
    assert dropped == {"duplicates": 3 * 6 - 4, "missing_target": 1}


def test_a_row_number_that_pandas_saved_hides_no_duplicates(step):
    indexed = SONGS.append_column("__index_level_0__", pa.arange(0, SONGS.num_rows))
    table, dropped = step.clean(indexed, "genre")
    assert table.column_names == ["genre", "plays", "tempo"]
    assert dropped["duplicates"] == 2


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("gener", r"target='gener' is no column.*mean 'genre'\?.*are: genre, plays, tempo\."),
        ("zzz", r"target='zzz' is no column of the table\. Its columns are: genre"),
    ],
)
def test_a_target_that_is_no_column_is_named_with_those_there_are(step, target, message):
    with pytest.raises(step.DataError, match=message):
        step.clean(SONGS, target)


def test_a_table_without_any_target_is_refused(step):
    table = pa.table({"genre": pa.nulls(3, pa.string()), "x": [1, 2, 3]})
    with pytest.raises(step.DataError, match="none of the 3 rows has a value in 'genre'"):
        step.clean(table, "genre")


def test_an_output_name_that_w_and_b_refuses_is_refused_before_work(step):
    arguments = ["--input_artifact=raw:v0", "--output_artifact=my table", "--target=genre"]
    with pytest.raises(step.ParameterError, match="output_artifact='my table'"):
        step.parse(arguments)


@pytest.fixture(scope="module")
def project(log_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    pq.write_table(SONGS, folder / "raw.parquet")
    (folder / "text").write_text("no Parquet")
    log_files("preprocess", folder / "raw.parquet", folder / "text")
    return "preprocess"


def test_the_step_logs_the_clean_table_once_however_often_it_runs(
    project, run_step, wandb_api, tmp_path
):
    for _ in range(2):
        done = run_step(
            "preprocess",
            project,
            input_artifact="raw.parquet:v0",
            output_artifact="clean.parquet",
            target="genre",
        )
        assert done.returncode == 0, done.stderr
    assert "Dropped 2 duplicate rows and 1 rows without genre; 3 rows are left" in done.stderr
    artifact = wandb_api.artifact(f"local/{project}/clean.parquet:latest")
    assert (artifact.version, artifact.type) == ("v0", "clean_data")
    assert artifact.metadata == {
        "rows": 3,
        "columns": ["genre", "plays", "tempo"],
        "dropped": {"duplicates": 2, "missing_target": 1},
    }
    assert pq.read_table(artifact.file(str(tmp_path))).num_rows == 3
    run = artifact.logged_by()
    assert (run.state, run.job_type) == ("finished", "preprocess")
    summary = {name: run.summary[name] for name in ("rows", "dropped/duplicates")}
    assert summary == {"rows": 3, "dropped/duplicates": 2}
    assert run.summary["dropped/missing_target"] == 1
    assert [used.name for used in run.used_artifacts()] == ["raw.parquet:v0"]


def test_what_is_no_table_is_refused_by_name(project, run_step, wandb_api):
    messages = {
        "nothing:v0": "preprocess: artifact 'nothing:v0' can't be had: ",
        "text:v0": "preprocess: artifact 'text:v0' holds no table in one Parquet file: ",
    }
    for name, message in messages.items():
        done = run_step(
            "preprocess", project, input_artifact=name, output_artifact="clean", target="genre"
        )
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    runs = wandb_api.runs(f"local/{project}", {"jobType": "preprocess", "state": "failed"})
    assert len(runs) == 2
