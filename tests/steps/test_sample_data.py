"""The sample is what make_songs.py makes, and looks like the set that dataset/songs.yaml tells."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data" / "songs.parquet"


@pytest.fixture(scope="module")
def songs():
    return pq.read_table(SAMPLE).to_pandas()


@pytest.fixture(scope="module")
def dataset():
    return yaml.safe_load((ROOT / "dataset" / "songs.yaml").read_text())


def test_the_script_writes_the_committed_file_byte_for_byte(tmp_path):
    script = ROOT / "sample_data" / "make_songs.py"
    made = tmp_path / "songs.parquet"
    subprocess.run([sys.executable, script, made], check=True, timeout=60)
    assert made.read_bytes() == SAMPLE.read_bytes()


def test_the_file_is_small():
    assert SAMPLE.stat().st_size < 1_000_000


def test_columns_have_the_types_of_the_real_set():
    types = {field.name: str(field.type) for field in pq.read_schema(SAMPLE)}
    assert types == {
        "danceability": "double",
        "energy": "double",
        "key": "int64",
        "loudness": "double",
        "mode": "int64",
        "speechiness": "double",
        "acousticness": "double",
        "instrumentalness": "double",
        "liveness": "double",
        "valence": "double",
        "tempo": "double",
        "type": "string",
        "duration_ms": "int64",
        "time_signature": "int64",
        "genre": "string",
        "song_name": "string",
        "title": "string",
    }


def test_classes_are_those_of_the_data_set_and_unbalanced(songs, dataset):
    counts = songs["genre"].value_counts()
    assert set(counts.index) == set(dataset["columns"]["genre"]["allowed"])
    assert counts.max() > 10 * counts.min() > 300


def test_missing_values_and_duplicates_are_about_as_frequent_as_in_the_real_set(songs):
    shares = songs.isna().mean()
    assert set(shares[shares > 0].index) == {"loudness", "song_name", "title"}
    assert shares["loudness"] == pytest.approx(0.21, abs=0.02)
    assert shares["song_name"] == pytest.approx(0.49, abs=0.03)
    assert shares["title"] == pytest.approx(0.51, abs=0.03)
    assert songs.duplicated().mean() == pytest.approx(0.02, abs=0.003)


def test_every_column_keeps_the_rules_of_the_data_set(songs, dataset):
    clean = songs.drop_duplicates()
    assert len(clean) >= dataset["minimum_rows"]
    for name, rule in dataset["columns"].items():
        values = clean[name].dropna()
        assert values.min() >= rule.get("minimum", values.min()), name
        assert values.max() <= rule.get("maximum", values.max()), name
        assert values.isin(rule.get("allowed", values)).all(), name
        assert clean[name].isna().mean() <= rule.get("max_null_fraction", 0), name
