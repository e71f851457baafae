"""segregate splits a table as asked, the same way for the same seed, or says why it can't."""

import io
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def step(load_step):
    return load_step("segregate").run


GENRES = ["trance"] * 60 + ["trap"] * 30 + ["emo"] * 10
SONGS = pa.table({"id": range(100), "genre": GENRES, "gap": [None, *range(99)]})


def test_every_row_goes_to_exactly_one_part(step):
    train, test = step.split_table(SONGS, 0.3, "", 42)
    assert (train.num_rows, test.num_rows) == (70, 30)
    assert sorted(train["id"].to_pylist() + test["id"].to_pylist()) == list(range(100))
    assert train.schema == test.schema == SONGS.schema


def test_stratified_parts_keep_the_shares(step):
    train, test = step.split_table(SONGS, 0.3, "genre", 42)
    assert Counter(train["genre"].to_pylist()) == {"trance": 42, "trap": 21, "emo": 7}
    assert Counter(test["genre"].to_pylist()) == {"trance": 18, "trap": 9, "emo": 3}


@pytest.mark.parametrize("stratify", ["", "genre"])
def test_seeds_decide_and_zero_is_one_of_them(step, stratify):
    def split_bytes(seed):
        file = io.BytesIO()
        pq.write_table(step.split_table(SONGS, 0.3, stratify, seed)[1], file)
        return file.getvalue()

    assert split_bytes(0) == split_bytes(0)
    assert split_bytes(0) != split_bytes(1)


@pytest.mark.parametrize(
    ("table", "test_size", "stratify", "message"),
    [
        (pa.table({"y": ["a", "a", "b"]}), 0.5, "y", "can't put b into both parts: it has one"),
        (
            pa.table({"y": ["a", "a", "b", "c"]}),
            0.5,
            "y",
            "can't put b, c into both parts: 2 classes have one row",
        ),
        (SONGS, 0.02, "genre", "'genre' has 3 classes, but the smaller part only 2 rows"),
        (SONGS, 0.98, "genre", "'genre' has 3 classes, but the smaller part only 2 rows"),
        (SONGS, 0.3, "gerne", "'gerne' is no column.*: id, genre, gap"),
        (SONGS, 0.3, "gap", "'gap' has no value in 1 of 100 rows"),
        (SONGS.slice(0, 1), 0.3, "", "1 rows can't be split with test_size=0.3"),
        (SONGS.slice(0, 0), 0.3, "", "0 rows can't be split"),
        (SONGS.slice(0, 2), 0.7, "", "2 rows can't be split with test_size=0.7"),
    ],
)
def test_what_cant_be_split_is_refused(step, table, test_size, stratify, message):
    with pytest.raises(step.DataError, match=message):
        step.split_table(table, test_size, stratify, 42)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("test_size", "1.5", r"test_size=1\.5 is no share.*between 0 and 1"),
        ("test_size", "0", r"test_size=0\.0 is no share"),
        ("test_size", "1", r"test_size=1\.0 is no share"),
        ("test_size", "nan", "test_size=nan is no share"),
        ("random_seed", "-1", "random_seed=-1 is outside"),
        ("random_seed", str(2**32), "is outside"),
        ("train_artifact", "my data", "train_artifact='my data'"),
        ("test_artifact", "train.parquet", "are both 'train.parquet'"),
    ],
)
def test_a_parameter_out_of_range_is_refused_before_work(step, name, value, message):
    parameters = {
        "input_artifact": "clean.parquet:v0",
        "train_artifact": "train.parquet",
        "test_artifact": "test.parquet",
        "test_size": "0.3",
        "random_seed": "42",
        name: value,
    }
    with pytest.raises(step.ParameterError, match=message):
        step.parse([f"--{key}={text}" for key, text in parameters.items()])


@pytest.fixture(scope="module")
def project(log_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    lonely = pa.concat_tables([SONGS, pa.table({"id": [100], "genre": ["dnb"], "gap": [1]})])
    pq.write_table(SONGS, folder / "clean.parquet")
    pq.write_table(lonely, folder / "lonely.parquet")
    log_files("segregate", folder / "clean.parquet", folder / "lonely.parquet")
    return "segregate"


def test_the_step_logs_both_parts(project, run_step, wandb_api, tmp_path):
    parameters = {
        "input_artifact": "clean.parquet:v0",
        "train_artifact": "train.parquet",
        "test_artifact": "test.parquet",
        "test_size": 0.3,
        "stratify": "genre",
        "random_seed": 0,
    }
    done = run_step("segregate", project, **parameters)
    assert done.returncode == 0, done.stderr
    assert "Split 100 rows into 70 to train and 30 to test" in done.stderr
    for part, rows in {"train": 70, "test": 30}.items():
        artifact = wandb_api.artifact(f"local/{project}/{part}.parquet:latest")
        assert (artifact.version, artifact.type) == ("v0", f"{part}_data")
        assert artifact.metadata == {"rows": rows, "columns": ["id", "genre", "gap"]}
        assert pq.read_table(artifact.file(str(tmp_path / part))).num_rows == rows
    run = artifact.logged_by()
    assert (run.summary["rows/train"], run.summary["rows/test"]) == (70, 30)
    assert [used.name for used in run.used_artifacts()] == ["clean.parquet:v0"]


def test_a_class_with_one_row_ends_the_step_with_its_name(project, run_step, wandb_api):
    done = run_step(
        "segregate",
        project,
        input_artifact="lonely.parquet:v0",
        train_artifact="train.parquet",
        test_artifact="test.parquet",
        test_size=0.3,
        stratify="genre",
        random_seed=42,
    )
    assert done.returncode == 1
    assert "segregate: stratify='genre' can't put dnb into both parts: it has one" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = wandb_api.runs(f"local/{project}", {"state": "failed"})
    assert run.state == "failed"
    assert not list(run.logged_artifacts())
