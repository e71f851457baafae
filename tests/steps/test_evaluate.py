"""evaluate scores a model on rows it has not seen, and promotes it only if it is better."""

import json
import pickle
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from getpass import getuser
from html import escape as text
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import skops.io
import wandb
import yaml
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import get_scorer, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.pipeline.test_locks import wait_until
from tests.steps.conftest import LIBRARIES

# MLflow warns of its own type hints when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType")

ROOT = Path(__file__).parents[2]
DATASET = {
    "task": "classification",
    "target": "genre",
    "features": {"numerical": ["tempo", "energy", "valence"], "text": ["title"]},
}


@pytest.fixture(scope="module")
def step(load_step):
    return load_step("evaluate")


@pytest.fixture(scope="module")
def songs():
    table = pd.read_parquet(ROOT / "sample_data" / "songs.parquet").drop_duplicates()
    return table[table["genre"].isin(["techno", "dnb", "trap"])].reset_index(drop=True)


@pytest.fixture(scope="module")
def make_model(load_step, songs, tmp_path_factory):
    """Return a function that trains on half of the songs, and exports into a new folder."""
    train = load_step("train_random_forest")

    def make(dataset=DATASET, rows=songs[::2], **forest):
        folder = tmp_path_factory.mktemp("models")
        (folder / "dataset.yaml").write_text(yaml.safe_dump(dataset))
        settings = train.settings.read_dataset(folder / "dataset.yaml")
        config = train.settings.ModelConfig({"n_estimators": 5, "random_state": 0} | forest, {})
        fitted = train.forest.fit(rows, settings, config)
        train.export.export_model(fitted, rows[settings.features].head(5), folder / "model")
        return folder / "model"

    return make


@pytest.fixture(scope="module")
def good(make_model):
    return make_model()


@pytest.fixture(scope="module")
def model(step, good):
    return step.loading.load_model(good)


def make_settings(step, **changes):
    facts = {
        "task": "classification",
        "target": "genre",
        "metrics": ["accuracy"],
        "thresholds": {},
        "promote": "if_better",
        "production_alias": "prod",
        "previous_alias": "previous",
        "max_class_regression": 0.1,
        "resamples": 100,
        "confidence": 0.95,
        "random_seed": 0,
    }
    return step.settings.Settings(**facts | changes)


# Settings


@pytest.mark.parametrize(
    ("text", "message"),
    [("accuracy,f1_makro", "did you mean f1_macro"), ("", "metrics is empty")],
)
def test_an_unknown_metric_is_refused_with_what_is_close(step, text, message):
    with pytest.raises(step.settings.SettingsError, match=message):
        step.settings.read_metrics(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f1_macro=0.5", "'f1_macro', which isn't computed: use one of accuracy, r2"),
        ("accuracy", "sets accuracy to '': write it as accuracy=0.9"),
        ("accuracy=high", "sets accuracy to 'high'"),
        ("accuracy=nan", "use a finite number"),
    ],
)
def test_a_threshold_that_can_not_be_read_is_refused(step, text, message):
    with pytest.raises(step.settings.SettingsError, match=message):
        step.settings.read_thresholds(text, ["accuracy", "r2"])


def test_thresholds_are_read_by_metric(step):
    read = step.settings.read_thresholds
    assert read("accuracy=0.7, r2=-1", ["r2", "accuracy"]) == {"accuracy": 0.7, "r2": -1.0}
    assert read("", ["r2"]) == {}


def test_a_score_below_its_threshold_is_an_error_with_both_numbers(step):
    scores = {"accuracy": 0.5, "r2": 0.8}
    step.scores.check_thresholds(scores, {"accuracy": 0.5})
    with pytest.raises(step.scores.ThresholdError, match=r"test/accuracy is 0\.5000, below 0\.6"):
        step.scores.check_thresholds(scores, {"accuracy": 0.6, "r2": 0.7})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("promote", "maybe", "maybe is unknown: use one of if_better, if_clearly_better, always"),
        ("production_alias", "", "production_alias is empty"),
        ("previous_alias", "prod", "previous_alias='prod': name another alias than prod"),
        ("card_artifact", "a/b", "card_artifact='a/b': "),
        ("max_class_regression", "some", "max_class_regression='some': write a number"),
        ("max_class_regression", "-0.1", "max_class_regression=-0.1: use a number of at least 0"),
        ("resamples", "7", "resamples=7: use at least 100"),
        ("confidence", "95", "confidence=95.0: use a number between 0 and 1"),
        ("random_seed", "-1", "random_seed=-1 is outside"),
    ],
)
def test_a_parameter_that_can_not_be_is_refused(step, name, value, message):
    with pytest.raises(step.settings.SettingsError, match=message):
        read(step, **{name: value})


def test_a_relative_path_of_settings_is_told_where_it_starts(step):
    message = "No such file or directory. A relative path starts in the step's own folder."
    with pytest.raises(step.settings.SettingsError, match=message):
        step.settings.read_dataset(Path("no/such.yaml"))


def test_a_clear_lead_can_not_be_asked_for_without_intervals(step):
    with pytest.raises(step.settings.SettingsError, match="needs an interval, and resamples=0"):
        read(step, promote="if_clearly_better", resamples="0")


def read(step, **changes):
    """Read the settings of a small evaluation."""
    return step.settings.read_settings(step.run.parse(arguments(**changes)))


def arguments(**changes):
    given = {"model_artifact": "m", "test_artifact": "t", "dataset": "d", "metrics": "accuracy"}
    given |= {"random_seed": 0, "card_artifact": "card"} | changes
    return [f"--{name}={value}" for name, value in given.items()]


# Rows and scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["tempo", "genre"]), "lacks tempo, genre"),
        (lambda t: t.head(0), "no rows"),
        (lambda t: t.assign(genre=t["genre"].where(t.index > 0)), "genre is null in 1 of"),
        (lambda t: t.assign(genre="Polka"), "doesn't know: Polka; it knows dnb, techno, trap"),
    ],
)
def test_rows_that_do_not_fit_the_model_are_refused(step, songs, model, change, message):
    with pytest.raises(step.scores.DataError, match=message):
        step.scores.check_table(change(songs), model, "genre")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("metric", ["r2", "roc_auc_ovo"])
def test_a_metric_without_a_value_is_an_error(step, songs, model, metric):
    rows = songs[songs["genre"] == "techno"]
    settings = make_settings(step, metrics=[metric])
    with pytest.raises(step.scores.MetricError, match=f"{metric} can't score this model"):
        step.scores.evaluate_model(model, rows, settings)


def test_the_class_table_counts_right_and_wrong_predictions_by_class(step):
    actual, predicted = ["a", "a", "a", "b"], ["a", "a", "b", "b"]
    table = step.scores.tabulate_classes(actual, predicted, ["a", "b", "c"])
    assert table.set_index("class").loc["a"].tolist() == [1.0, 2 / 3, 0.8, 3.0]
    assert table.set_index("class").loc["b"].tolist() == [0.5, 1.0, 2 / 3, 1.0]
    assert table.set_index("class").loc["c"].tolist() == [0, 0, 0, 0]


def test_the_error_table_holds_quantiles_of_the_errors(step):
    table = step.scores.tabulate_errors([0.0, 0.0, 0.0], [-3.0, 1.0, 2.0]).set_index("quantile")
    assert table.loc[[0, 0.5, 1], "error"].tolist() == [-3, 1, 2]
    assert table.loc[[0, 0.5, 1], "absolute_error"].tolist() == [1, 2, 3]


# Loading


def save(folder, content):
    folder.mkdir()
    skops.io.dump(content, folder / "model.skops")
    return folder


def test_a_model_that_needs_a_type_outside_the_list_is_refused_by_name(step, tmp_path, good):
    folder = save(tmp_path / "model", make_pipeline(FunctionTransformer(np.save)))
    needed = skops.io.get_untrusted_types(file=folder / "model.skops")
    facts = yaml.safe_load((good / "MLmodel").read_text())
    # What the model says of itself must not matter.
    facts["flavors"]["sklearn"]["skops_trusted_types"] = needed
    (folder / "MLmodel").write_text(yaml.safe_dump(facts))
    with pytest.raises(step.loading.ModelError, match=r"aren't trusted: numpy\.save"):
        step.loading.load_model(folder)


def test_a_pickled_model_is_refused_unread(step, tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(RandomForestClassifier()))
    with pytest.raises(step.loading.ModelError, match=r"holds no model\.skops"):
        step.loading.load_model(tmp_path)


def test_a_damaged_model_is_refused(step, tmp_path, good):
    content = (good / "model.skops").read_bytes()
    (tmp_path / "model.skops").write_bytes(content[: len(content) // 2])
    with pytest.raises(step.loading.ModelError, match="doesn't load with the installed versions"):
        step.loading.load_model(tmp_path)


def test_a_file_that_holds_no_pipeline_is_refused(step, tmp_path):
    folder = save(tmp_path / "model", RandomForestClassifier())
    with pytest.raises(step.loading.ModelError, match="a RandomForestClassifier, not a Pipeline"):
        step.loading.load_model(folder)


# Intervals


@pytest.fixture(scope="module")
def draws(step):
    """Rows of three classes, some of them rare, what a model says of them, and draws of both."""
    source = np.random.default_rng(0)
    classes = np.array(["a", "b", "c"])
    actual = np.repeat(classes, [60, 30, 7])
    # Few different values, so that there are ties.
    chances = np.round(source.dirichlet([1, 1, 1], len(actual)) + (actual[:, None] == classes), 1)
    chances /= chances.sum(axis=1, keepdims=True)
    order, sizes = step.resampling.stratify(actual, classes)
    (counts,) = step.resampling.draw_counts(sizes, 20, seed=1)
    return SimpleNamespace(
        classes=classes,
        actual=actual,
        chances=chances,
        predicted=classes[chances.argmax(axis=1)],
        counts=counts,
        rows=[np.repeat(order, times) for times in counts.T.astype(int)],
    )


def test_each_draw_has_as_many_rows_of_a_class_as_there_are(draws):
    for rows in draws.rows:
        drawn, times = np.unique(draws.actual[rows], return_counts=True)
        assert dict(zip(drawn, times, strict=True)) == {"a": 60, "b": 30, "c": 7}
    assert len({tuple(rows) for rows in draws.rows}) == 20


def test_scores_of_all_draws_at_once_are_those_of_scikit_learn(step, draws):
    codes = np.searchsorted(draws.classes, draws.actual)
    guesses = np.searchsorted(draws.classes, draws.predicted)
    families = [
        step.families.Confusion(codes, guesses, 3),
        step.families.Ranks(codes, draws.chances),
    ]
    replay = FakeModel(draws.classes, draws.predicted, draws.chances)
    for family in families:
        for name in family.NAMES - {"roc_auc"}:
            scorer = get_scorer(name)
            expected = [scorer(replay, rows, draws.actual[rows]) for rows in draws.rows]
            found = family.score([name], draws.counts)[name]
            np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=name)


def test_scores_of_two_classes_and_of_numbers_are_those_of_scikit_learn(step, draws):
    two = draws.actual != "c"
    counts, chances = draws.counts[two], draws.chances[two][:, :2]
    codes = (draws.actual[two] == "b").astype(int)
    ranks = step.families.Ranks(codes, chances)
    numbers = chances[:, 0] * 7 + 100
    errors = step.families.Errors(numbers, numbers + chances[:, 1] - 0.3)
    for draw, times in enumerate(counts.T.astype(int)):
        rows = np.repeat(np.arange(len(codes)), times)
        area = roc_auc_score(codes[rows], chances[rows, 1])
        assert ranks.score(["roc_auc"], counts)["roc_auc"][draw] == pytest.approx(area, rel=1e-12)
        for name in step.families.Errors.NAMES:
            model = FakeModel(None, numbers + chances[:, 1] - 0.3, None)
            expected = get_scorer(name)(model, rows, numbers[rows])
            assert errors.score([name], counts)[name][draw] == pytest.approx(expected, rel=1e-9)


class FakeModel(BaseEstimator):
    """Says of rows, given by their numbers, what was prepared."""

    def __init__(self, classes, predicted, chances):
        self.classes_, self.predicted, self.chances = classes, predicted, chances

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor" if self.classes_ is None else "classifier"
        return tags

    def predict(self, rows):
        return self.predicted[rows]

    def predict_proba(self, rows):
        return self.chances[rows]


def test_a_scorer_that_has_no_fast_way_is_called_for_each_draw(step, songs, model):
    settings = make_settings(step, metrics=["matthews_corrcoef", "accuracy"])
    found = step.scores.evaluate_model(model, songs[1::2], settings)
    drawn = found.resampled.scores["matthews_corrcoef"]
    assert drawn.shape == (100,)
    low, high = step.resampling.find_interval(drawn, 0.95)
    assert low < found.scores["matthews_corrcoef"] < high


def test_the_same_seed_gives_the_same_intervals_and_an_equal_model_no_difference(
    step, songs, model
):
    settings = make_settings(step, metrics=["roc_auc_ovo", "f1_macro"])
    one, other = (step.scores.evaluate_model(model, songs[1::2], settings) for _ in range(2))
    intervals = step.comparison.find_intervals(one, 0.95)
    assert intervals == step.comparison.find_intervals(other, 0.95)
    for name, (low, high) in intervals.items():
        assert low <= one.scores[name] <= high
        assert low < high
    same = step.comparison.find_differences(one.resampled, other.resampled, 0.95)
    assert set(same.values()) == {(0.0, 0.0)}
    reseeded = step.scores.evaluate_model(model, songs[1::2], replace(settings, random_seed=1))
    assert step.comparison.find_intervals(reseeded, 0.95) != intervals


def test_draws_without_a_score_give_no_interval(step):
    assert step.resampling.find_interval(np.array([0.5, np.nan]), 0.95) is None


def test_a_regression_is_compared_quarter_by_quarter(step):
    actual = np.arange(8.0)
    errors = np.array([0, 0, 1, 1, 2, 2, 1, 1])
    parts = step.comparison.compare_quarters(actual, actual + 1, actual + errors)
    assert [part.fall for part in parts] == [-1, 0, 1, 0]
    (fallen,) = step.comparison.find_fallen(parts, 0.5)
    assert str(fallen) == (
        "mean absolute error of the third quarter (3.5 to 5.25) rose from 1 to 2 (+100.0%) "
        "(2 test rows)"
    )


# Decision


def rules(step, rule="if_better", limit=0.1):
    return step.promotion.Rules(rule, "prod", "accuracy", limit)


def meet(step, score, interval=None, fall=0.0):
    """Return a champion of this score that the challenger was compared with."""
    part = step.comparison.Part("trap", "F1", 40, 0.9, 0.9 - fall, fall)
    interval = interval and step.resampling.Interval(*interval)
    return step.promotion.Champion(
        "m:v1", step.comparison.Comparison({"accuracy": score}, {"accuracy": interval}, [part])
    )


@pytest.mark.parametrize(
    ("rule", "score", "champion", "promoted", "reason"),
    [
        ("if_better", 0.8, None, True, "no version held prod"),
        ("if_better", 0.8, (0.7,), True, "m:v2 beats m:v1 by 0.100000 in test/accuracy"),
        (
            "if_better",
            0.6,
            (0.7,),
            False,
            "m:v1 beats m:v2 by 0.100000 in test/accuracy (0.700000 against 0.600000)",
        ),
        ("if_better", 0.6, (0.7, (-0.2, -0.05)), False, "difference +0.050000 to +0.200000"),
        ("if_better", 0.7, (0.7,), False, "m:v2 and m:v1 are equal"),
        ("if_better", 0.8, (0.7, (-0.01, 0.2)), True, "may be chance: the interval holds 0"),
        ("if_better", 0.8, (0.7, (0.05, 0.2)), True, "95 % interval of the difference +0.050000"),
        ("if_better", 0.8, (0.7, None, 0.1), True, "m:v2 beats m:v1"),
        ("if_better", 0.8, (0.7, None, 0.2), False, "But F1 of trap fell from 0.9000 to 0.7000"),
        ("if_clearly_better", 0.8, (0.7, (0.05, 0.2)), True, "m:v2 beats m:v1"),
        ("if_clearly_better", 0.8, (0.7, (-0.01, 0.2)), False, "asks for an interval above 0"),
        ("if_clearly_better", 0.8, (0.7, None), False, "asks for an interval above 0"),
        ("if_clearly_better", 0.8, (0.7, (0.05, 0.2), 0.2), False, "But F1 of trap fell"),
        ("always", 0.6, (0.7, (-0.2, -0.1), 0.2), True, "promote=always. m:v1 beats m:v2"),
        ("always", 0.6, None, True, "no version held prod"),
        ("never", 0.8, (0.7,), False, "promote=never"),
        ("never", 0.8, None, False, "promote=never"),
    ],
)
def test_only_a_better_model_is_promoted_unless_told_otherwise(
    step, rule, score, champion, promoted, reason
):
    holder = champion and meet(step, *champion)
    decision = step.promotion.decide(rules(step, rule), "m:v2", score, holder)
    assert decision.promoted is promoted
    assert reason in decision.reason
    assert decision.champion_name == (champion and "m:v1")


def test_the_version_in_production_keeps_the_alias_that_it_has(step):
    holder = step.promotion.Champion("m:v2")
    decision = step.promotion.decide(rules(step), "m:v2", 0.7, holder)
    assert (decision.promoted, decision.reason) == (False, "m:v2 holds prod already.")


def test_a_class_that_fell_is_told_with_the_limit_and_the_way_out(step):
    holder = meet(step, 0.7, None, 0.25)
    blocked = step.promotion.decide(rules(step, limit=0.2), "m:v2", 0.8, holder)
    assert blocked.reason.endswith(
        "But F1 of trap fell from 0.9000 to 0.6500 (40 test rows): more than "
        "evaluate.max_class_regression=0.2 allows. To promote it on purpose, use "
        "evaluate.promote=always or a higher limit (null sets none)."
    )
    assert step.promotion.decide(rules(step, limit=None), "m:v2", 0.8, holder).promoted


def test_a_holder_that_can_not_be_compared_is_an_error_that_says_the_way_out(step):
    holder = step.promotion.Champion("m:v1", trouble="it is broken.")
    with pytest.raises(step.promotion.PromotionError, match=r"it is broken.*promote=always"):
        step.promotion.decide(rules(step), "m:v2", 0.8, holder)
    forced = step.promotion.decide(rules(step, "always"), "m:v2", 0.8, holder)
    assert forced.promoted
    assert "can't be compared: it is broken." in forced.reason


# The step. One process evaluates several models in turn: importing takes longer than that.

LOG = """
import json, sys, wandb
with wandb.init(job_type="train") as run:
    for name, kind, folder, target in json.loads(sys.argv[1]):
        artifact = wandb.Artifact(name, type=kind, metadata={"target": target})
        artifact.add_dir(folder)
        run.log_artifact(artifact).wait()
# Splits of other runs: one has the same test rows, one has trained on some of them.
folder = sys.argv[2]
for number, split in enumerate(("own", "other")):
    with wandb.init(job_type="segregate") as run:
        for name in ("train_data", "test_data") if split == "own" else ("train_data",):
            artifact = wandb.Artifact(f"{name}.parquet", type=name)
            artifact.add_file(f"{folder}/{split}/{name}.parquet", f"{name}.parquet")
            run.log_artifact(artifact).wait()
    with wandb.init(job_type="train") as run:
        run.use_artifact(f"train_data.parquet:v{number}")
        metadata = {"target": "genre", "train_artifact": f"train_data.parquet:v{number}"}
        artifact = wandb.Artifact("m", type="model", metadata=metadata)
        artifact.add_dir(f"{folder}/{split}/model")
        run.log_artifact(artifact).wait()
"""
EVALUATE = """
import json, registry, run, sys, wandb

def give_prod(version):
    artifact = wandb.Api().artifact(f"m:{version}")
    artifact.aliases.append("prod")
    artifact.save()

def give_prod_after(name, version):
    def instead(*given):
        setattr(registry, name, real)
        result = real(*given)
        give_prod(version)
        return result
    real = getattr(registry, name)
    setattr(registry, name, instead)

for before, (moment, meanwhile), given in json.loads(sys.argv[1]):
    if before:
        give_prod(before)
    if meanwhile:
        give_prod_after(moment, meanwhile)
    try:
        run.main([f"--{name}={value}" for name, value in given.items()])
        error = ""
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    before = [a.version for a in wandb.Api().artifacts("model", "m") if "previous" in a.aliases]
    print(json.dumps([error, wandb.Api().artifact("m:prod").version, before]))
"""
# v0 knows too little, v1 is good, v2 as good, v3 doesn't load, v4 knows no trap, v5 needs a column
# that the test rows lack, v6 takes dnb for trap,
# v7 most techno for dnb, v8 has its own split, which has the same test rows, v9 has learnt from
# some of them.
NOTHING = ("", "")
TURNS = {
    "nobody holds prod": ("", NOTHING, {"model_artifact": "m:v0"}),
    "below threshold": ("", NOTHING, {"model_artifact": "m:v1", "thresholds": "accuracy=1.1"}),
    "a class fell": ("v6", NOTHING, {"model_artifact": "m:v7"}),
    "better": ("v0", NOTHING, {"model_artifact": "m:v1"}),
    "tie": ("", NOTHING, {"model_artifact": "m:v2"}),
    "tie again": ("", NOTHING, {"model_artifact": "m:v2"}),
    "challenger broken": ("", NOTHING, {"model_artifact": "m:v3"}),
    "holder broken": ("v3", NOTHING, {"model_artifact": "m:v1"}),
    "holder broken, always": ("", NOTHING, {"model_artifact": "m:v1", "promote": "always"}),
    "holder of other classes": ("v4", NOTHING, {"model_artifact": "m:v1"}),
    "holder of other columns": ("v5", NOTHING, {"model_artifact": "m:v1"}),
    "prod moves meanwhile": ("v0", ("assess", "v2"), {"model_artifact": "m:v1"}),
    "prod moves afterwards": ("v0", ("give_alias", "v2"), {"model_artifact": "m:v1"}),
    "own split": ("v0", NOTHING, {"model_artifact": "m:v8"}),
    "knows test rows": ("v0", NOTHING, {"model_artifact": "m:v9"}),
    "knows test rows, always": ("", NOTHING, {"model_artifact": "m:v9", "promote": "always"}),
    "holder knows test rows": ("", NOTHING, {"model_artifact": "m:v1"}),
    "regression": ("", NOTHING, {"model_artifact": "tempo:v0", "metrics": "r2"}),
}
REGRESSION = {"task": "regression", "target": "tempo", "features": {"text": ["title"]}}


@pytest.fixture(scope="module")
def logged(run_python, make_model, good, songs, tmp_path_factory):
    """Log test rows and models, and give the parameters that all evaluations share."""
    folder = tmp_path_factory.mktemp("logged")
    for name in ("table", "broken", "twin"):
        (folder / name).mkdir()
    test = songs[1::2].drop(columns="liveness")
    test.to_parquet(folder / "table" / "test_data.parquet", index=False)
    for split, train in (("own", songs[::2]), ("other", pd.concat([songs[::2], songs[1:100:2]]))):
        shutil.copytree(good, folder / split / "model")
        (folder / split / "model" / "note.txt").write_text(split)
        train.to_parquet(folder / split / "train_data.parquet", index=False)
        test.to_parquet(folder / split / "test_data.parquet", index=False)
    (folder / "broken" / "model.skops").write_text("no model")
    shutil.copytree(good, folder / "twin", dirs_exist_ok=True)
    (folder / "twin" / "note.txt").write_text("other files, same model")
    poor = make_model(max_depth=1, n_estimators=1)
    others = make_model(rows=songs[songs["genre"] != "trap"])
    # The test rows have no liveness.
    features = {"numerical": ["tempo", "liveness"]}
    wider = make_model(DATASET | {"features": features})
    models = [poor, good, folder / "twin", folder / "broken", others, wider]
    half = songs[::2]
    swap = {"dnb": "trap", "trap": "dnb", "techno": "techno"}
    models.append(make_model(rows=half.assign(genre=half["genre"].map(swap))))
    late = (half["genre"] == "techno") & (half.index > half.index[half["genre"] == "techno"][4])
    models.append(make_model(rows=half.assign(genre=half["genre"].mask(late, "dnb"))))
    artifacts = [("m", "model", str(model), "genre") for model in models]
    artifacts.append(("tempo", "model", str(make_model(REGRESSION)), "tempo"))
    artifacts.append(("test_data.parquet", "test_data", str(folder / "table"), None))
    done = run_python("evaluate", "-c", LOG, json.dumps(artifacts), str(folder))
    assert done.returncode == 0, done.stderr
    (folder / "genre.yaml").write_text(yaml.safe_dump(DATASET))
    (folder / "tempo.yaml").write_text(yaml.safe_dump(REGRESSION))
    return {
        "test_artifact": "test_data.parquet:v0",
        "dataset": str(folder / "genre.yaml"),
        "metrics": "accuracy,f1_macro",
        "random_seed": 0,
        "resamples": 200,
        "max_class_regression": 0.1,
        "card_artifact": "card",
    }


@pytest.fixture(scope="module")
def outcomes(run_python, logged, wandb_api):
    """Take all turns; gives by turn the error, who holds prod afterwards, and the W&B run."""
    turns = [(*turn[:2], logged | turn[2]) for turn in TURNS.values()]
    turns[-1][2]["dataset"] = logged["dataset"].replace("genre.yaml", "tempo.yaml")
    done = run_python("evaluate", "-c", EVALUATE, json.dumps(turns), cwd=ROOT / "evaluate")
    assert done.returncode == 0, done.stderr
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    runs = wandb_api.runs("evaluate", {"jobType": "evaluate"}, "+created_at")
    return dict(zip(TURNS, zip(printed, runs, strict=True), strict=True))


@pytest.mark.parametrize(
    ("turn", "holder", "reason"),
    [
        ("nobody holds prod", "v0", "no version held prod."),
        ("better", "v1", "m:v1 beats m:v0 by "),
        ("tie", "v1", "m:v2 and m:v1 are equal in test/accuracy"),
        ("a class fell", "v6", "But F1 of techno fell from 0."),
        ("holder broken, always", "v1", "promote=always. m:v3 holds prod and can't be compared"),
        ("prod moves meanwhile", "v2", "m:v1 and m:v2 are equal in test/accuracy"),
        ("prod moves afterwards", "v2", "m:v1 and m:v2 are equal in test/accuracy"),
        ("own split", "v8", "m:v8 beats m:v0 by "),
        ("knows test rows", "v0", "But m:v9 knows some of the test rows. To promote it even so"),
        ("knows test rows, always", "v9", "which has 50 of these "),
        ("holder knows test rows", "v9", "m:v9 was trained on train_data.parquet:v1, which has 50"),
    ],
)
def test_prod_goes_to_the_better_model_and_the_run_says_why(outcomes, turn, holder, reason):
    (error, holds, _), run = outcomes[turn]
    assert (error, holds) == ("", holder)
    assert reason in run.summary["promotion/reason"]
    challenger = "m:" + TURNS[turn][2]["model_artifact"].partition(":")[2]
    assert run.summary["promotion/challenger"] == challenger
    assert run.summary["promotion/promoted"] is (challenger == f"m:{holder}")


def test_what_helps_where_both_models_know_test_rows_is_said_once(load_step):
    evaluate = load_step("evaluate")
    known = ((3, "a knows 3."), (2, "b knows 2."))
    leaks = [evaluate.leaks.Leak(rows, told) for rows, told in known]
    decision = evaluate.promotion.Decision(False, "b wins.", "a", 0.5, "accuracy", None)

    assert decision.told == "b wins."
    assert replace(decision, leaks=tuple(leaks)).told == (
        "b wins. a knows 3. b knows 2. main.versions can name test rows of a model's own split."
    )
    unknown = evaluate.leaks.Leak(None, "a's training data are gone.")
    assert replace(decision, leaks=(unknown, None)).told == "b wins. a's training data are gone."


@pytest.mark.parametrize(
    ("turn", "holder", "message"),
    [
        ("below threshold", "v0", "ThresholdError: test/accuracy is 0.*, below 1.1"),
        ("challenger broken", "v1", r"ModelError: m:v3 .*: its model.skops .*\)\. Take"),
        ("holder broken", "v3", "PromotionError: m:v3 holds prod and can't be compared: its model"),
        (
            "holder of other classes",
            "v4",
            r"PromotionError: m:v4 .* trained for other classes \(dnb, techno\)",
        ),
        ("holder of other columns", "v5", "PromotionError: m:v5 .* the test table lacks liveness"),
    ],
)
def test_an_evaluation_that_fails_leaves_prod_where_it_is(outcomes, turn, holder, message):
    (error, holds, _), run = outcomes[turn]
    assert re.match(message, error)
    assert holds == holder
    assert run.state == "failed"
    assert run.summary["promotion/promoted"] is False


@pytest.mark.parametrize(
    ("turn", "previous"),
    [
        ("nobody holds prod", []),
        ("better", ["v0"]),
        ("tie", ["v0"]),
        ("challenger broken", ["v0"]),
        ("holder broken, always", ["v3"]),
    ],
)
def test_who_lost_prod_is_marked_as_the_way_back(outcomes, turn, previous):
    (*_, marked), _ = outcomes[turn]
    assert marked == previous


def test_a_run_holds_scores_images_tables_and_lineage(outcomes):
    _, run = outcomes["better"]
    summary = run.summary
    assert 0.5 < summary["test/accuracy"] <= 1
    assert 0.5 < summary["test/f1_macro"] <= 1
    assert summary["promotion/challenger_score"] == summary["test/accuracy"]
    difference = summary["test/accuracy"] - summary["promotion/champion_score"]
    assert summary["promotion/difference"] == pytest.approx(difference)
    assert summary["confusion_matrix"]["_type"] == "image-file"
    assert summary["class_table"]["nrows"] == 3
    used = {artifact.name for artifact in run.used_artifacts()}
    assert used == {"m:v0", "m:v1", "test_data.parquet:v0"}


@pytest.fixture(scope="module")
def read_card(wandb_api, tmp_path_factory):
    """Return a function from a run to its model card: the artifact, and the page."""

    def read(run):
        artifact = wandb_api.artifact(f"evaluate/card:{run.summary['output/card']}")
        return artifact, Path(artifact.file(tmp_path_factory.mktemp("card"))).read_text()

    return read


def test_scores_and_the_difference_have_intervals(outcomes):
    summary = outcomes["better"][1].summary
    for name in ("accuracy", "f1_macro"):
        low, high = (summary[f"interval/{name}/{end}"] for end in ("low", "high"))
        assert low <= summary[f"test/{name}"] <= high
    low, high = (summary[f"promotion/difference_{end}"] for end in ("low", "high"))
    assert 0 < low < summary["promotion/difference"] < high


def test_the_version_that_got_prod_keeps_a_record_of_it(outcomes, step, wandb_api):
    run = outcomes["better"][1]
    model = wandb_api.artifact("evaluate/m:v1")
    assert model.metadata["target"] == "genre"
    # Another test moves another alias to it, whichever is first.
    better, forced = [one for one in model.metadata["promotions"] if one["alias"] == "prod"]
    commit = step.origin.read_commit(ROOT / "evaluate")
    assert (better["by"], better["run"], better["alias"]) == (getuser(), run.id, "prod")
    assert (better["commit"], better["dirty"]) == (commit.sha, commit.dirty)
    assert (better["champion"], better["test_data"]) == ("m:v0", "test_data.parquet:v0")
    assert better["why"] == run.summary["promotion/reason"]
    assert better["score"] - better["champion_score"] == pytest.approx(better["difference"])
    assert better["interval"][0] == run.summary["promotion/difference_low"]
    began = datetime.fromisoformat(run.created_at).replace(tzinfo=UTC)
    assert began - timedelta(minutes=1) < datetime.fromisoformat(better["at"])
    assert forced["champion"] == "m:v3"
    # v2 was given prod by hand, v7 lost.
    assert "promotions" not in wandb_api.artifact("evaluate/m:v2").metadata
    assert "promotions" not in wandb_api.artifact("evaluate/m:v7").metadata


def test_the_card_says_who_won_and_by_how_much_and_needs_no_other_file(outcomes, read_card):
    run = outcomes["better"][1]
    artifact, page = read_card(run)
    assert artifact.type == "model_card"
    assert artifact.metadata["model"] == "m:v1"
    assert artifact.metadata["champion"] == "m:v0"
    assert artifact.metadata["promoted"] is True
    assert artifact.metadata["score"] == run.summary["promotion/challenger_score"]
    for fact in ("champion_score", "difference"):
        assert artifact.metadata[fact] == run.summary[f"promotion/{fact}"]
    ends = [run.summary[f"promotion/difference_{end}"] for end in ("low", "high")]
    assert artifact.metadata["interval"] == ends
    assert text(run.summary["promotion/reason"]) in page
    for shown in ("m:v1", "test_data.parquet:v0", "trap", "techno", "wandb artifact get evaluate/"):
        assert shown in page
    assert f"{run.summary['test/accuracy']:.4f}" in page
    assert f"{run.summary['interval/accuracy/low']:.4f}" in page
    assert not re.search(r"<script|<link|@import|url\(|src=\"(?!data:)|https?://", page)


def test_a_class_that_fell_too_far_is_marked_in_the_card(outcomes, read_card):
    artifact, page = read_card(outcomes["a class fell"][1])
    assert artifact.metadata["promoted"] is False
    assert page.count("(too far)") == 1
    assert "m:v6 keeps prod" in page


def test_equal_results_make_no_new_version_of_the_card(outcomes, read_card):
    versions = [read_card(outcomes[turn][1])[0].version for turn in ("tie", "tie again", "better")]
    assert versions[0] == versions[1] != versions[2]


def test_the_card_of_a_regression_shows_its_errors(outcomes, read_card):
    _, page = read_card(outcomes["regression"][1])
    assert "predicted - actual" in page
    assert '<img src="data:image/png;base64,' in page


def test_names_from_outside_stay_text_in_the_card(step, songs, model):
    settings = make_settings(step)
    evaluation = step.scores.evaluate_model(model, songs[1::2], settings)
    evil = "<script>alert('1')</script>"
    counts = np.array([[3, 1], [0, 2]])
    details = pd.DataFrame({"class": [evil, "b"], "precision": 0.5, "recall": 0.5, "f1": 0.5})
    findings = step.results.Findings(details.assign(support=[4, 2]), np.zeros((1, 1, 4)), counts)
    decision = step.promotion.decide(rules(step), evil, 0.5, None)
    ancestors = [step.origin.Ancestor(evil, 1, evil, evil)]
    subject = step.results.Subject(
        evil,
        evil,
        evil,
        {"parameters": {evil: {evil: evil}}, "features": [evil]},
        ancestors,
        step.origin.Commit(evil, True),
    )
    page = step.card.render_card(
        subject,
        replace(settings, target=evil),
        step.results.Results(evaluation, findings, decision),
    )
    assert evil not in page
    assert page.count(text(evil)) > 10


def test_the_commit_is_that_of_the_repository_which_has_the_code(step, tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    unknown = step.origin.Commit(None, None)
    (tmp_path / "run.py").write_text("1")
    assert step.origin.read_commit(tmp_path) == unknown
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "About something else")
    assert step.origin.read_commit(tmp_path) == unknown
    git("add", "run.py")
    git("commit", "--quiet", "-m", "Code")
    clean = step.origin.read_commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", clean.sha)
    assert clean.dirty is False
    (tmp_path / "run.py").write_text("2")
    assert step.origin.read_commit(tmp_path) == replace(clean, dirty=True)
    monkeypatch.setenv("PATH", "")
    assert step.origin.read_commit(tmp_path) == unknown


def test_a_regression_is_scored_and_promoted_too(outcomes):
    (error, *_), run = outcomes["regression"]
    assert error == ""
    assert 0.2 < run.summary["test/r2"] < 1
    assert run.summary["promotion/promoted"] is True
    assert run.summary["predictions"]["_type"] == "image-file"
    assert run.summary["error_table"]["nrows"] == 7


def test_a_model_that_does_not_exist_is_named_in_one_line(run_step, logged):
    done = run_step("evaluate", "elsewhere", **logged | {"model_artifact": "m:v9"})
    assert done.returncode == 1
    assert "evaluate: artifact 'm:v9' can't be had" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("task", "target", "message"),
    [
        ("classification", "mood", "m is a classification of genre, and .* of mood"),
        ("regression", "genre", "m is a classification of genre, and .* a regression"),
    ],
)
def test_a_model_for_another_task_or_target_is_refused(step, model, task, target, message):
    artifact = wandb.Artifact("m", type="model", metadata={"target": "genre"})
    with pytest.raises(step.loading.ModelError, match=message):
        step.run.check_model(artifact, model, make_settings(step, task=task, target=target))


# Promotes, but stops before the function that is named until a file exists.
RACE = """
import json, pathlib, registry, run, sys, time, wandb

given, name, here, until = json.loads(sys.argv[1])
real = getattr(registry, name)

def instead(*arguments):
    setattr(registry, name, real)
    pathlib.Path(here).touch()
    while not pathlib.Path(until).exists():
        time.sleep(0.01)
    return real(*arguments)

setattr(registry, name, instead)
settings = run.read_settings(run.parse([f"--{key}={value}" for key, value in given.items()]))
with wandb.init(job_type="race") as w_and_b:
    model, rows = (w_and_b.use_artifact(given[f"{kind}_artifact"]) for kind in ("model", "test"))
    table, fitted = run.read_table(rows), registry.download_model(w_and_b, model)
    evaluation = run.evaluate_model(fitted, table, settings)
    challenger = registry.Challenger(model, fitted, evaluation, rows, table, settings)
    print(registry.promote(w_and_b, challenger, {}).told)
"""


@pytest.fixture
def race(python, step_environment, logged, tmp_path, request):
    """Return a function that starts a promotion, such as start("v0", "give_alias", "at", "go")."""
    alias = f"prod-{request.node.callspec.id}"

    def start(version, name, here, until):
        given = logged | {"model_artifact": f"m:{version}", "resamples": 0}
        given |= {"production_alias": alias, "previous_alias": f"before-{alias}"}
        words = [given | {"max_class_regression": ""}, name]
        words += [str(tmp_path / mark) for mark in (here, until)]
        command = ("-c", RACE, json.dumps(words))
        environment = step_environment("evaluate")
        return python.start(*command, cwd=ROOT / "evaluate", env=environment, libraries=LIBRARIES)

    return start, alias


@pytest.mark.parametrize("first", ["sees-the-other", "is-seen"])
def test_of_two_pipelines_that_promote_at_once_one_sees_the_other_and_compares_again(
    first, race, wandb_api, tmp_path
):
    start, alias = race
    # Each finds that nobody holds the alias, before the other one moves it.
    poor = start("v0", "give_alias", "poor is about to move it", "good has moved it")
    wait_until((tmp_path / "poor is about to move it").exists)
    if first == "is-seen":
        good = start("v1", "give_alias", "good moves it", "good moves it")
        assert good.communicate()[0] == f"no version held {alias}.\n"
        (tmp_path / "good has moved it").touch()
        told, errors = poor.communicate()
    else:
        good = start("v1", "record", "good has moved it", "poor has ended")
        assert poor.communicate()[0] == f"no version held {alias}.\n"
        (tmp_path / "poor has ended").touch()
        told, errors = good.communicate()

    assert (poor.returncode, good.returncode) == (0, 0), errors
    assert told.startswith("m:v1 beats m:v0 by ")
    assert wandb_api.artifact(f"evaluate/m:{alias}").version == "v1"
