"""evaluate scores a model on rows it has not seen, and promotes it only if it is better."""

import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import wandb
import yaml
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

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


# Settings


@pytest.mark.parametrize(
    ("text", "message"),
    [("accuracy,f1_makro", "did you mean f1_macro"), ("", "metrics is empty")],
)
def test_an_unknown_metric_is_refused_with_what_is_close(step, text, message):
    with pytest.raises(step.scores.SettingsError, match=message):
        step.scores.read_metrics(text)


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
    with pytest.raises(step.scores.SettingsError, match=message):
        step.scores.read_thresholds(text, ["accuracy", "r2"])


def test_thresholds_are_read_by_metric(step):
    read = step.scores.read_thresholds
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
        ("promote", "maybe", "promote=maybe is unknown: use one of if_better, always, never"),
        ("production_alias", "", "production_alias is empty"),
        ("previous_alias", "prod", "previous_alias='prod': name another alias than prod"),
    ],
)
def test_a_parameter_that_can_not_be_is_refused(step, name, value, message):
    given = {"model_artifact": "m", "test_artifact": "t", "dataset": "d", "metrics": "accuracy"}
    with pytest.raises(step.scores.SettingsError, match=message):
        step.run.parse([f"--{key}={text}" for key, text in (given | {name: value}).items()])


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
    with pytest.raises(step.scores.MetricError, match=f"{metric} can't score this model"):
        step.scores.compute_scores(model, rows, "genre", [metric])


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


# Decision


@pytest.mark.parametrize(
    ("rule", "score", "champion", "promoted", "reason"),
    [
        ("if_better", 0.8, None, True, "no version held prod"),
        ("if_better", 0.8, ("m:v1", 0.7), True, "m:v2 beats m:v1 by 0.100000 in test/accuracy"),
        ("if_better", 0.6, ("m:v1", 0.7), False, "m:v1 beats m:v2 by 0.100000"),
        ("if_better", 0.7, ("m:v1", 0.7), False, "m:v2 and m:v1 are equal"),
        ("if_better", 0.7, ("m:v2", None), False, "m:v2 holds prod already"),
        ("always", 0.6, ("m:v1", 0.7), True, "promote=always. m:v1 beats m:v2"),
        ("always", 0.6, ("m:v1", None, "it is broken."), True, "can't be compared: it is broken."),
        ("always", 0.6, None, True, "no version held prod"),
        ("never", 0.8, ("m:v1", None), False, "promote=never"),
        ("never", 0.8, None, False, "promote=never"),
    ],
)
def test_only_a_better_model_is_promoted_unless_told_otherwise(
    step, rule, score, champion, promoted, reason
):
    holder = champion and step.promotion.Champion(*champion)
    decision = step.promotion.decide(rule, "prod", "accuracy", "m:v2", score, holder)
    assert decision.promoted is promoted
    assert reason in decision.reason
    assert decision.champion == (champion and champion[0])


def test_a_holder_that_can_not_be_compared_is_an_error_that_says_the_way_out(step):
    holder = step.promotion.Champion("m:v1", trouble="it is broken.")
    with pytest.raises(step.promotion.PromotionError, match=r"it is broken.*promote=always"):
        step.promotion.decide("if_better", "prod", "accuracy", "m:v2", 0.8, holder)


# The step. One process evaluates several models in turn: importing takes longer than that.

LOG = """
import json, sys, wandb
with wandb.init(job_type="train") as run:
    for name, kind, folder, target in json.loads(sys.argv[1]):
        artifact = wandb.Artifact(name, type=kind, metadata={"target": target})
        artifact.add_dir(folder)
        run.log_artifact(artifact).wait()
"""
EVALUATE = """
import json, registry, run, sys, wandb

def give_prod(version):
    artifact = wandb.Api().artifact(f"m:{version}")
    artifact.aliases.append("prod")
    artifact.save()

def give_prod_during_comparison(version):
    def assess(*given):
        registry.assess = real
        champion = real(*given)
        give_prod(version)
        return champion
    real, registry.assess = registry.assess, assess

for before, meanwhile, given in json.loads(sys.argv[1]):
    if before:
        give_prod(before)
    if meanwhile:
        give_prod_during_comparison(meanwhile)
    try:
        run.main([f"--{name}={value}" for name, value in given.items()])
        error = ""
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    before = [a.version for a in wandb.Api().artifacts("model", "m") if "previous" in a.aliases]
    print(json.dumps([error, wandb.Api().artifact("m:prod").version, before]))
"""
# v0 knows too little, v1 is good, v2 as good, v3 doesn't load, v4 knows no trap.
TURNS = {
    "nobody holds prod": ("", "", {"model_artifact": "m:v0"}),
    "below threshold": ("", "", {"model_artifact": "m:v1", "thresholds": "accuracy=1.1"}),
    "better": ("", "", {"model_artifact": "m:v1"}),
    "tie": ("", "", {"model_artifact": "m:v2"}),
    "challenger broken": ("", "", {"model_artifact": "m:v3"}),
    "holder broken": ("v3", "", {"model_artifact": "m:v1"}),
    "holder broken, always": ("", "", {"model_artifact": "m:v1", "promote": "always"}),
    "holder of other classes": ("v4", "", {"model_artifact": "m:v1"}),
    "prod moves meanwhile": ("v0", "v2", {"model_artifact": "m:v1"}),
    "regression": ("", "", {"model_artifact": "tempo:v0", "metrics": "r2"}),
}
REGRESSION = {"task": "regression", "target": "tempo", "features": {"text": ["title"]}}


@pytest.fixture(scope="module")
def logged(run_python, make_model, good, songs, tmp_path_factory):
    """Log test rows and models, and give the parameters that all evaluations share."""
    folder = tmp_path_factory.mktemp("logged")
    for name in ("table", "broken", "twin"):
        (folder / name).mkdir()
    songs[1::2].to_parquet(folder / "table" / "test_data.parquet", index=False)
    (folder / "broken" / "model.skops").write_text("no model")
    shutil.copytree(good, folder / "twin", dirs_exist_ok=True)
    (folder / "twin" / "note.txt").write_text("other files, same model")
    poor = make_model(max_depth=1, n_estimators=1)
    others = make_model(rows=songs[songs["genre"] != "trap"])
    models = [poor, good, folder / "twin", folder / "broken", others]
    artifacts = [("m", "model", str(model), "genre") for model in models]
    artifacts.append(("tempo", "model", str(make_model(REGRESSION)), "tempo"))
    artifacts.append(("test_data.parquet", "test_data", str(folder / "table"), None))
    done = run_python("evaluate", "-c", LOG, json.dumps(artifacts))
    assert done.returncode == 0, done.stderr
    (folder / "genre.yaml").write_text(yaml.safe_dump(DATASET))
    (folder / "tempo.yaml").write_text(yaml.safe_dump(REGRESSION))
    return {
        "test_artifact": "test_data.parquet:v0",
        "dataset": str(folder / "genre.yaml"),
        "metrics": "accuracy,f1_macro",
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
        ("holder broken, always", "v1", "promote=always. m:v3 holds prod and can't be compared"),
        ("prod moves meanwhile", "v2", "m:v1 and m:v2 are equal in test/accuracy"),
    ],
)
def test_prod_goes_to_the_better_model_and_the_run_says_why(outcomes, turn, holder, reason):
    (error, holds, _), run = outcomes[turn]
    assert (error, holds) == ("", holder)
    assert reason in run.summary["promotion/reason"]
    challenger = "m:" + TURNS[turn][2]["model_artifact"].partition(":")[2]
    assert run.summary["promotion/challenger"] == challenger
    assert run.summary["promotion/promoted"] is (challenger == f"m:{holder}")


@pytest.mark.parametrize(
    ("turn", "holder", "message"),
    [
        ("below threshold", "v0", "ThresholdError: test/accuracy is 0.*, below 1.1"),
        ("challenger broken", "v1", "ModelError: its model.skops doesn't load"),
        ("holder broken", "v3", "PromotionError: m:v3 holds prod and can't be compared: its model"),
        (
            "holder of other classes",
            "v4",
            r"PromotionError: m:v4 .* trained for other classes \(dnb, techno\)",
        ),
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
        step.run.check_model(artifact, model, task, target)
