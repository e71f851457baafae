"""train_random_forest learns from raw rows, and exports a model that takes them anywhere."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from sklearn.metrics import get_scorer

# MLflow warns of its own type hints when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")

ROOT = Path(__file__).parents[2]
SONGS = ROOT / "dataset" / "songs.yaml"
FOREST = {"n_estimators": 5, "max_depth": 6, "random_state": 0, "n_jobs": 2}
NULLS = {"None": None, "NaN": np.nan, "pandas.NA": pd.NA}


@pytest.fixture(scope="module")
def step(load_step):
    return load_step("train_random_forest")


@pytest.fixture(scope="module")
def songs():
    table = pd.read_parquet(ROOT / "sample_data" / "songs.parquet").drop_duplicates()
    return table.groupby("genre").head(24).reset_index(drop=True)


@pytest.fixture(scope="module")
def dataset(step):
    return step.settings.read_dataset(SONGS)


@pytest.fixture(scope="module")
def config(step):
    return step.settings.ModelConfig(FOREST, {"max_features": 10, "binary": True})


@pytest.fixture(scope="module")
def pipeline(step, songs, dataset, config):
    return step.forest.fit(songs, dataset, config)


@pytest.fixture(scope="module")
def model(step, songs, dataset, pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    step.export.export_model(pipeline, songs[dataset.features].head(5), folder)
    return folder


def write_yaml(folder, content, name="settings.yaml"):
    path = folder / name
    path.write_text(yaml.safe_dump(content))
    return path


def write_regression(folder):
    features = {"numerical": ["energy"], "categorical": ["key"], "text": ["title"]}
    content = {"task": "regression", "target": "tempo", "features": features}
    return write_yaml(folder, content, "dataset.yaml")


# Settings


def test_a_relative_path_of_settings_is_told_where_it_starts(step):
    message = "No such file or directory. A relative path starts in the step's own folder."
    with pytest.raises(step.settings.SettingsError, match=message):
        step.settings.read_dataset(Path("no/such.yaml"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "clustering"}, "task is 'clustering' .* use one of classification, regression"),
        ({"target": None}, "names no target"),
        ({"features": {}}, "lists no features"),
        ({"features": {"numeric": ["tempo"]}}, "did you mean numerical"),
        ({"features": {"numerical": ["tempo"], "text": ["tempo"]}}, "lists tempo twice"),
        ({"features": {"numerical": ["genre"]}}, "lists genre twice"),
    ],
)
def test_a_data_set_that_does_not_fit_together_is_refused(step, tmp_path, change, message):
    content = {"task": "classification", "target": "genre", "features": {"numerical": ["tempo"]}}
    path = write_yaml(tmp_path, content | change)
    with pytest.raises(step.settings.SettingsError, match=message):
        step.settings.read_dataset(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"random_forest": {"max_deph": 3}}, "'max_deph' is no argument .* did you mean max_depth"),
        ({"tfidf": {"ngram_range": 2}}, "use max_features, binary, stop_words"),
        ({"random_forrest": {}}, "did you mean random_forest"),
        ([1, 2], "holds no settings"),
    ],
)
def test_an_unknown_model_setting_is_refused_with_what_is_close(step, tmp_path, content, message):
    with pytest.raises(step.settings.SettingsError, match=message):
        step.settings.read_model_config(write_yaml(tmp_path, content), "classification")


def test_every_argument_that_the_config_names_is_one_of_the_forests(step, tmp_path):
    part = yaml.safe_load((ROOT / "config.yaml").read_text())["random_forest_pipeline"]
    for task in ("classification", "regression"):
        part["random_forest"]["class_weight"] = None
        config = step.settings.read_model_config(write_yaml(tmp_path, part), task)
        names = set(config.random_forest) | ({"class_weight"} if task == "regression" else set())
        assert names == set(part["random_forest"])


def test_class_weight_is_refused_for_a_regression_unless_null(step, tmp_path):
    path = write_yaml(tmp_path, {"random_forest": {"class_weight": "balanced"}})
    with pytest.raises(step.settings.SettingsError, match="set it to null for a regression"):
        step.settings.read_model_config(path, "regression")


@pytest.mark.parametrize(
    ("text", "message"),
    [("roc_auc_ovo,f1_makro", "did you mean f1_macro"), (" , ", "metrics is empty")],
)
def test_an_unknown_metric_is_refused_with_what_is_close(step, text, message):
    with pytest.raises(step.settings.SettingsError, match=message):
        step.settings.read_metrics(text)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("validation_size", "1.5", "validation_size=1.5 is no share"),
        ("random_seed", "-1", "random_seed=-1 is outside"),
        ("export_artifact", "a/b", "export_artifact='a/b'"),
    ],
)
def test_a_parameter_out_of_its_range_is_refused(step, name, value, message):
    given = {
        "train_artifact": "t:v0",
        "dataset": "d.yaml",
        "model_config": "m.yaml",
        "metrics": "accuracy",
        "validation_size": "0.3",
        "random_seed": "0",
    } | {name: value}
    with pytest.raises(step.settings.SettingsError, match=message):
        step.run.parse([f"--{name}={value}" for name, value in given.items()])


# Table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["tempo", "genre"]), "lacks tempo, genre"),
        (lambda t: t.head(0), "no rows"),
        (lambda t: t.assign(genre="Pop"), r"genre has one class only \(Pop\)"),
        (lambda t: t.assign(genre=t["genre"].where(t.index > 2)), "genre is null in 3 of 360"),
        (lambda t: t.assign(loudness=None), "loudness is null in all 360"),
        (lambda t: t.assign(title=pd.NA), "title is null in all 360"),
        (lambda t: t.assign(tempo="fast"), "tempo is listed as numerical but holds str"),
        (lambda t: t.assign(title=1), "title is listed as text but holds int64"),
        (lambda t: t.assign(tempo=np.inf), "tempo holds infinite values"),
    ],
)
def test_a_table_that_can_not_be_learned_from_is_refused(step, songs, dataset, change, message):
    with pytest.raises(step.rows.DataError, match=message):
        step.rows.check_table(change(songs), dataset)


def test_a_regression_needs_a_target_of_numbers(step, songs):
    with pytest.raises(step.rows.DataError, match="a regression needs numbers"):
        step.rows.check_target(songs["genre"], "regression")


def test_a_text_column_without_a_word_is_refused(step, songs, dataset, config):
    with pytest.raises(step.rows.DataError, match="title holds no words"):
        step.forest.fit(songs.assign(title="a b c"), dataset, config)


def test_the_split_keeps_shares_and_follows_the_seed(step, songs):
    training, validation = step.rows.split_table(songs, 0.25, "genre", 0)
    assert set(validation["genre"].value_counts()) == {6}
    assert len(training) + len(validation) == len(songs)
    again, _ = step.rows.split_table(songs, 0.25, "genre", 0)
    other, _ = step.rows.split_table(songs, 0.25, "genre", 1)
    assert training.index.equals(again.index)
    assert not training.index.equals(other.index)


def test_a_table_can_be_split_without_stratifying(step, songs):
    training, validation = step.rows.split_table(songs, 0.25, "", 0)
    assert (len(training), len(validation)) == (270, 90)


@pytest.mark.parametrize(
    ("rows", "size", "stratify", "message"),
    [
        (25, 0.3, "genre", "techno has one"),
        (360, 0.3, "gender", "stratify=gender is no column"),
        (360, 0.01, "genre", "360 rows can't be split with validation_size=0.01"),
        (1, 0.3, "", "1 rows can't be split"),
    ],
)
def test_a_split_that_can_not_be_made_is_refused(step, songs, rows, size, stratify, message):
    few = songs.sort_values("genre", key=lambda names: names != "trap").head(rows)
    few = few.assign(genre=few["genre"].where(few.index != few.index[-1], "techno"))
    with pytest.raises(step.rows.DataError, match=message):
        step.rows.split_table(few, size, stratify, 0)


def test_a_class_that_only_validates_is_refused_by_name(step):
    with pytest.raises(step.rows.DataError, match="all rows of Pop fell into the validation part"):
        step.rows.check_classes(pd.Series(["Rap", "Emo"]), pd.Series(["Rap", "Pop"]))


# Pipeline


def with_nulls_as(table, null):
    return table.astype(object).where(table.notna(), null)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[t.columns[::-1]].assign(more=1),
        lambda t: t.convert_dtypes(),
        lambda t: t.convert_dtypes(dtype_backend="pyarrow"),
        lambda t: with_nulls_as(t, None),
        lambda t: with_nulls_as(t, np.nan),
        lambda t: with_nulls_as(t, pd.NA),
        lambda t: t.astype({"key": float, "duration_ms": float}),
    ],
    ids=["order", "nullable", "pyarrow", "None", "NaN", "pandas.NA", "floats"],
)
def test_equal_rows_are_predicted_alike_however_they_are_held(pipeline, songs, change):
    assert (pipeline.predict(change(songs)) == pipeline.predict(songs)).all()


@pytest.mark.parametrize("null", NULLS.values(), ids=NULLS.keys())
@pytest.mark.parametrize("column", ["tempo", "duration_ms", "key", "title"])
def test_a_column_may_be_null_throughout_when_predicting(pipeline, songs, column, null):
    assert len(pipeline.predict(songs.assign(**{column: null}))) == len(songs)


def test_a_row_of_nulls_only_is_predicted(pipeline, songs):
    row = songs.head(1).drop(columns="genre").astype(object)
    assert pipeline.predict(row.map(lambda _: None)).shape == (1,)


def test_unseen_and_missing_categories_get_codes_of_their_own(step, songs, dataset, config):
    table = songs.assign(key=songs["key"].where(songs.index > 9), mode=songs["mode"].map(str))
    strings = step.settings.Dataset(
        "classification", "genre", ["tempo"], ["key", "mode"], dataset.text
    )
    fitted = step.forest.fit(table, strings, config)
    rows = table.head(2).assign(key=[99, None], mode=["other", None])
    codes = fitted["features"].transform(rows)[:, 1:3]
    assert codes.toarray().tolist() == [[-1, -1], [-2, -1]]


def test_importances_name_each_input_column_once_and_sum_to_one(step, pipeline, dataset):
    shares = step.forest.measure_importances(pipeline)
    assert sorted(shares) == sorted(dataset.features)
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_a_texts_importance_is_the_sum_over_its_terms(step, pipeline):
    names = pipeline["features"].output_indices_
    terms = pipeline["forest"].feature_importances_[names["text_0"]]
    assert len(terms) == 10
    assert step.forest.measure_importances(pipeline)["title"] == pytest.approx(terms.sum())


def test_scores_are_the_same_to_the_last_bit_on_any_number_of_cores(step, songs, dataset):
    metrics = ["roc_auc_ovo", "f1_macro", "neg_log_loss"]
    scores = []
    for cores in (1, 2, -1):
        config = step.settings.ModelConfig(FOREST | {"n_jobs": cores}, {})
        fitted = step.forest.fit(songs, dataset, config)
        scores.append(step.forest.score(fitted, songs, "genre", metrics)[0])
    assert scores[0] == scores[1] == scores[2]
    assert set(scores[0]) == set(metrics)


def test_the_default_settings_reach_on_the_sample_what_its_page_says(step, dataset):
    table = pd.read_parquet(ROOT / "sample_data" / "songs.parquet").drop_duplicates()
    settings = yaml.safe_load((ROOT / "config.yaml").read_text())["random_forest_pipeline"]
    forest = settings["random_forest"] | {"random_state": 42, "n_jobs": 2}
    training, rest = step.rows.split_table(table, 0.3, "genre", 42)
    fitted = step.forest.fit(
        training, dataset, step.settings.ModelConfig(forest, settings["tfidf"])
    )
    scores, _ = step.forest.score(fitted, rest, "genre", ["roc_auc_ovo"])
    page = (ROOT / "sample_data" / "README.md").read_text()
    (said,) = re.findall(r"AUC of\s+about (0\.\d+)", page)
    assert scores["roc_auc_ovo"] == pytest.approx(float(said), abs=0.01)


def test_an_argument_that_the_forest_refuses_is_reported_in_its_words(step, songs, dataset):
    config = step.settings.ModelConfig({"criterion": "squared_error"}, {})
    with pytest.raises(step.settings.SettingsError, match=r"'criterion' parameter .* must be"):
        step.forest.fit(songs, dataset, config)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize(
    ("metric", "genres", "message"),
    [
        ("r2", 15, r"r2 can't score this model .*could not convert"),
        ("roc_auc_ovo", 3, "roc_auc_ovo can't score this model"),
        ("roc_auc", 15, "roc_auc can't score this model .*multi_class"),
    ],
)
def test_a_metric_without_a_value_is_an_error(step, pipeline, songs, metric, genres, message):
    few = songs[songs["genre"].isin(songs["genre"].unique()[:genres])]
    with pytest.raises(step.forest.MetricError, match=message):
        step.forest.score(pipeline, few, "genre", [metric])


@pytest.mark.parametrize("metric", ["roc_auc_ovo", "roc_auc_ovr", "roc_auc_ovo_weighted"])
def test_the_standard_error_of_an_area_is_what_resampling_the_rows_gives(step, metric):
    random = np.random.default_rng(0)
    actual = random.integers(0, 3, 400)
    shares = random.random((400, 3)) + 0.4 * np.eye(3)[actual]
    shares /= shares.sum(axis=1, keepdims=True)
    predictions = step.predictions.Predictions(np.arange(3), shares, shares.argmax(axis=1))
    scorer = get_scorer(metric)
    resampled = [
        scorer(predictions, rows, actual[rows]) for rows in random.integers(0, 400, (80, 400))
    ]

    error = step.uncertainty.measure_standard_error(predictions, actual, metric, 0)

    assert error == pytest.approx(np.std(resampled), rel=0.15)


def test_the_standard_error_of_other_scores_is_bootstrapped_and_the_same_each_time(step):
    random = np.random.default_rng(0)
    predictions = step.predictions.Predictions(None, None, random.normal(size=500))
    actual = predictions.values + random.normal(size=500)
    expected = np.std(abs(actual - predictions.values)) / np.sqrt(500)

    errors = [
        step.uncertainty.measure_standard_error(
            predictions, actual, "neg_mean_absolute_error", seed
        )
        for seed in (0, 0, 1)
    ]

    assert errors == pytest.approx([expected] * 3, rel=0.2)
    assert errors[0] == errors[1] != errors[2]


def test_a_regression_is_fitted_scored_and_exported(step, songs, config, tmp_path):
    dataset = step.settings.read_dataset(write_regression(tmp_path))
    fitted = step.forest.fit(songs, dataset, config)
    scores, predictions = step.forest.score(fitted, songs, "tempo", ["r2"])
    assert 0.2 < scores["r2"] < 1
    step.export.export_model(fitted, songs[dataset.features].head(5), tmp_path / "model")
    loaded = skops.io.load(tmp_path / "model" / "model.skops", trusted=step.export.TRUSTED_TYPES)
    assert (loaded.predict(songs) == predictions.values).all()


# Export


def test_an_equal_model_is_exported_to_equal_bytes(step, songs, dataset, model, tmp_path):
    config = step.settings.ModelConfig(FOREST | {"n_jobs": 1}, {"max_features": 10, "binary": True})
    fitted = step.forest.fit(songs, dataset, config)
    step.export.export_model(fitted, songs[dataset.features].head(5), tmp_path / "model")
    first = {path.name: path.read_bytes() for path in model.iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    assert len(first) == 7


def test_the_exported_model_predicts_what_the_fitted_one_does(step, model, pipeline, songs):
    loaded = skops.io.load(model / "model.skops", trusted=step.export.TRUSTED_TYPES)
    assert (loaded.predict_proba(songs) == pipeline.predict_proba(songs)).all()


def test_predictions_that_are_whole_numbers_have_a_type_and_no_warning(
    step, songs, dataset, config
):
    table = songs.assign(genre=(songs["genre"] == "Pop").astype(int))
    fitted = step.forest.fit(table, dataset, config)

    signature = step.export.make_signature(fitted, table[dataset.features].head(5))

    # Of a warning, which is an error here, MLflow would make the type Any.
    assert [kind.name for kind in signature.outputs.input_types()] == ["long"]


def test_the_model_needs_no_type_outside_the_list_which_evaluate_shares(step, load_step, model):
    needed = skops.io.get_untrusted_types(file=model / "model.skops")
    assert set(needed) <= set(step.export.TRUSTED_TYPES)
    assert step.export.TRUSTED_TYPES == load_step("evaluate").loading.TRUSTED_TYPES


def test_words_that_skops_uses_itself_may_stand_in_a_text(step, songs, dataset, config, tmp_path):
    table = songs.assign(title="file __id__ content type", song_name="_stop_words_id __loader__")
    fitted = step.forest.fit(table, dataset, config)
    step.export.export_model(fitted, table[dataset.features].head(5), tmp_path / "model")
    loaded = skops.io.load(tmp_path / "model" / "model.skops", trusted=step.export.TRUSTED_TYPES)
    assert (loaded.predict(table) == fitted.predict(table)).all()


def test_the_five_examples_are_json_with_null_for_what_is_missing(model, songs, dataset):
    def refuse(constant):
        raise AssertionError(f"{constant} isn't JSON")

    examples = json.loads((model / "input_example.json").read_text(), parse_constant=refuse)
    assert len(examples["data"]) == 5
    assert examples["columns"] == dataset.features
    missing = songs[dataset.features].head(5).isna().to_numpy()
    assert [[value is None for value in row] for row in examples["data"]] == missing.tolist()


def test_the_signature_names_every_input_and_the_type_of_the_answer(model, dataset):
    signature = yaml.safe_load((model / "MLmodel").read_text())["signature"]
    inputs = json.loads(signature["inputs"])
    assert [column["name"] for column in inputs] == dataset.features
    assert all(column["required"] for column in inputs)
    assert json.loads(signature["outputs"])[0]["type"] == "string"


def test_mlflow_still_keeps_its_modules_where_the_export_says_that_there_are_none():
    from mlflow.utils import requirements_utils

    assert hasattr(requirements_utils, "_MODULES_TO_PACKAGES")


def test_requirements_are_pinned_and_only_what_predicting_needs(model):
    lines = (model / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in lines] == [
        "mlflow-skinny",
        "numpy",
        "pandas",
        "scikit-learn",
        "scipy",
        "skops",
    ]
    assert all("==" in line for line in lines)


# The step


@pytest.fixture(scope="module")
def split(songs, log_files, tmp_path_factory):
    path = tmp_path_factory.mktemp("split") / "train_data.parquet"
    songs.to_parquet(path, index=False)
    log_files("train", path)


@pytest.fixture
def parameters(tmp_path):
    model_config = {"random_forest": FOREST, "tfidf": {"max_features": 10}}
    return {
        "train_artifact": "train_data.parquet:v0",
        "dataset": SONGS,
        "model_config": write_yaml(tmp_path, model_config),
        "metrics": "roc_auc_ovo,accuracy",
        "validation_size": 0.25,
        "stratify": "genre",
        "random_seed": 0,
    }


@pytest.fixture
def run_all(run_python):
    """Return a function that runs the step once for each set of parameters, in one process."""
    script = "import json, run, sys; [run.main(given) for given in json.loads(sys.argv[1])]"

    def run(*several):
        runs = [[f"--{name}={value}" for name, value in given.items()] for given in several]
        folder = ROOT / "train_random_forest"
        done = run_python("train", "-c", script, json.dumps(runs), cwd=folder)
        assert done.returncode == 0, done.stderr

    return run


@pytest.mark.usefixtures("split")
def test_runs_tell_all_and_equal_ones_make_no_new_version(run_all, wandb_api, parameters, tmp_path):
    parameters["export_artifact"] = "model_export"
    other = {"random_forest": FOREST | {"n_jobs": 1}, "tfidf": {"max_features": 10}}
    one_core = parameters | {"model_config": write_yaml(tmp_path, other, "one_core.yaml")}
    regression = parameters | {
        "dataset": write_regression(tmp_path),
        "metrics": "r2",
        "stratify": "",
        "export_artifact": "",
    }
    run_all(parameters, one_core, regression)

    artifact = wandb_api.artifact("train/model_export:latest")
    assert artifact.version == "v0"
    facts = artifact.metadata
    assert (facts["rows"], facts["target"], len(facts["classes"])) == (270, "genre", 15)
    assert facts["train_artifact"] == "train_data.parquet:v0"

    run, again, plain = wandb_api.runs("train", {"jobType": "train_random_forest"}, "+created_at")
    assert run.id == artifact.logged_by().id
    assert [used.name for used in run.used_artifacts()] == ["train_data.parquet:v0"]
    assert run.config["random_forest"] == FOREST
    assert run.config["features"][-1] == "song_name"
    assert 0.6 < run.summary["val/roc_auc_ovo"] == again.summary["val/roc_auc_ovo"] <= 1
    assert facts["metrics"]["val/accuracy"] == run.summary["val/accuracy"]
    assert run.summary["rows/validation"] == 90
    assert run.summary["output/model_export"] == again.summary["output/model_export"] == "v0"
    assert run.summary["feature_importance"]["_type"] == "image-file"
    assert run.summary["confusion_matrix_table"]["nrows"] == 15

    assert {"val/r2", "predictions", "feature_importance"} <= set(plain.summary.keys())
    assert not [made for made in plain.logged_artifacts() if made.type == "model"]


@pytest.mark.usefixtures("split")
def test_a_run_that_fails_says_why_in_one_line_and_ends_as_failed(run_step, wandb_api, parameters):
    done = run_step("train_random_forest", "train", **parameters | {"metrics": "r2"})
    assert done.returncode == 1
    assert "train_random_forest: r2 can't score this model" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "failed" in {run.state for run in wandb_api.runs("train")}


def test_an_artifact_that_does_not_exist_is_named(run_step, parameters):
    done = run_step("train_random_forest", "train", **parameters | {"train_artifact": "none:v7"})
    assert done.returncode == 1
    assert "artifact 'none:v7' can't be had" in done.stderr
