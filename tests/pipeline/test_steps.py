"""Parameters reach a step as the texts that its MLproject takes."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.registry import Version
from pipeline.schema import Features, Promote, Tfidf
from pipeline.steps import Alias, Artifact, Made, Source, Step, encode_parameters

RAW = Artifact("raw_data.parquet", "download", Version("raw_data.parquet:v3", "abc"))


def answered(value: Version | None) -> "Future[Version | None]":
    future: Future[Version | None] = Future()
    future.set_result(value)
    return future


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b, [c]", "a b, [c]"),
        (0, "0"),
        (0.3, "0.3"),
        (True, "true"),
        (Promote.if_better, "if_better"),
        (["roc_auc_ovo", "accuracy"], "roc_auc_ovo,accuracy"),
        ({"accuracy": 0.7, "f1_macro": 0.5}, "accuracy=0.7,f1_macro=0.5"),
        (RAW, "raw_data.parquet:v3"),
        (Made("clean.parquet"), "clean.parquet"),
        (answered(Version("found:v1", "def")), "found:v1"),
        (Source("https://example.com/a.csv", "00ff"), "https://example.com/a.csv"),
        (Alias("prod", RAW), "prod"),
    ],
)
def test_a_value_becomes_a_text(value: Any, text: str, tmp_path: Path) -> None:
    assert encode_parameters(Step("x", {"name": value}, ()), tmp_path) == {"name": text}


@pytest.mark.parametrize("value", [None, Made(None), answered(None)])
def test_what_is_not_set_is_left_to_the_project_s_default(value: Any, tmp_path: Path) -> None:
    assert encode_parameters(Step("x", {"name": value}, ()), tmp_path) == {}


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (Features(["a"], [], ["ü"]), {"numerical": ["a"], "categorical": [], "text": ["ü"]}),
        (
            {"tfidf": Tfidf(max_features=3, binary=True, stop_words=None)},
            {"tfidf": {"max_features": 3, "binary": True, "stop_words": None}},
        ),
    ],
)
def test_a_structure_becomes_a_yaml_file(value: Any, content: Any, tmp_path: Path) -> None:
    encoded = encode_parameters(Step("x", {"settings": value}, ()), tmp_path)

    assert yaml.safe_load(Path(encoded["settings"]).read_text()) == content


def test_a_step_s_inputs_are_the_artifacts_among_its_parameters() -> None:
    assert Step("x", {"a": RAW, "b": Made("c"), "d": 1}, ()).inputs == [RAW]


def test_a_value_that_wandb_knows_is_asked_for_once_and_the_others_stay() -> None:
    questions = []

    def question(_: Any) -> Version | None:
        raise AssertionError("asked here, not by `ask`")

    def ask(asked: Any) -> "Future[Version | None]":
        questions.append(asked)
        return answered(clean)

    clean = Version("clean.parquet:v2", "123")

    step = Step("check_data", {"alpha": 0.05, "reference": question, "sample": RAW}, ())
    step.look_up(ask)
    assert questions == [question]
    assert step.parameters["reference"].result() == clean
    assert step.parameters["alpha"] == 0.05
    assert step.parameters["sample"] is RAW
