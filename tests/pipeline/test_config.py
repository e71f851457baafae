"""The config is checked before anything runs."""

import re
from copy import deepcopy
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from pipeline.config import STEPS, parse_steps, validate
from pipeline.errors import ConfigError
from pipeline.schema import Config, register_schema

ROOT = Path(__file__).resolve().parents[2]


def composed(*overrides: str) -> Config:
    return validate(compose_anew(*overrides))


@cache
def shipped() -> DictConfig:
    return compose_anew()


def compose_anew(*overrides: str) -> DictConfig:
    register_schema()
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def changed(overrides: list[str]) -> DictConfig:
    """Return the config that ships with other values: composing it takes longer than a test."""
    config = deepcopy(shipped())
    for override in OverridesParser.create().parse_overrides(overrides):
        OmegaConf.update(config, override.key_or_group, override.value(), merge=False)
    return config


def test_what_makes_a_model_simpler_may_be_null() -> None:
    assert composed("random_forest_pipeline.random_forest.max_depth=null").sweep.simpler


def test_the_config_that_ships_is_valid() -> None:
    config = composed()

    assert parse_steps(config.main.execute_steps) == STEPS


@pytest.mark.parametrize("path", sorted((ROOT / "dataset").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_data_set_that_ships_is_valid(path: Path) -> None:
    assert composed(f"dataset={path.stem}").dataset.columns


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("all", STEPS),
        ("evaluate, download", ("download", "evaluate")),
        (["segregate"], ("segregate",)),
    ],
)
def test_steps_are_a_list_or_a_text_and_keep_their_order(steps: Any, expected: Any) -> None:
    assert parse_steps(steps) == expected


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["segregate.test_size=1.5"], "segregate.test_size=1.5: give a number between 0 and 1"),
        (["main.force_steps=evaluat"], "main.force_steps: there is no step 'evaluat'. Did you"),
        (
            ["main.force_steps=segregate", "main.execute_steps=evaluate"],
            "main.force_steps names segregate, which main.execute_steps leaves out",
        ),
        (["main.force_steps=2"], "main.force_steps=2: give a list or names separated by commas"),
        (
            ["metrics=[rok_auc]"],
            "metrics: 'rok_auc' is no scorer of scikit-learn, so no step would",
        ),
        (["main.versions=[model_export]"], "main.versions: 'model_export' must be name:version"),
        (["main.versions=[a:v1,a:v2]"], "main.versions: 'a:v2' must be name:version"),
        (["main.versions=2"], "main.versions=2: give a list or names separated by commas, such as"),
        (["sweep.simpler=[metrics]"], "sweep.simpler names 'metrics', which is no number"),
        (["sweep.simpler=[main.random_sed]"], "sweep.simpler names 'main.random_sed', which is"),
        (["segregate.test_size=0"], "segregate.test_size=0.0: give a number between 0 and 1"),
        (["random_forest_pipeline.validation_size=-1"], "validation_size=-1.0"),
        (["check_data.ks_alpha=1"], "check_data.ks_alpha=1.0"),
        (["main.random_seed=-1"], "main.random_seed=-1"),
        (["main.execute_steps=trian"], "there is no step 'trian'. Did you mean 'train_random_f"),
        (["main.execute_steps=[]"], "main.execute_steps is empty"),
        (["main.execute_steps=3"], "give a list or names separated by commas"),
        (["metrics=[]"], "metrics is empty"),
        (["evaluate.previous_alias=prod"], "previous_alias=prod is evaluate.production_alias as"),
        (["artifacts.test_data=train_data.parquet"], "artifacts.train_data has that name. Give"),
        (["main.experiment_name=''"], "main.experiment_name has 0 characters: give it 1 to 128"),
        (
            ["random_forest_pipeline.random_forest.max_features=sqr"],
            "max_features=sqr: there is no such choice. Did you mean 'sqrt'? Choose sqrt or log2,",
        ),
        (["evaluate.thresholds={auc: 0.9}"], "names 'auc', which is not one of metrics"),
        (["evaluate.thresholds={accuracy: high}"], "give a number for each metric"),
        (["evaluate.thresholds=0.9"], "give a number for each metric"),
        (["evaluate.confidence=95"], "evaluate.confidence=95.0: give a number between 0 and 1"),
        (["evaluate.resamples=7"], "evaluate.resamples=7: give a whole number from 100"),
        (
            ["evaluate.resamples=0", "evaluate.promote=if_clearly_better"],
            "evaluate.promote=if_clearly_better needs an interval",
        ),
        (["evaluate.max_class_regression=-1"], "evaluate.max_class_regression=-1.0: give a number"),
        (["dataset.features.numerical=[temp]"], "no rule for the column 'temp'. Did you mean"),
        (["segregate.stratify=genr"], "segregate.stratify=genr: dataset.columns has no rule for"),
        (["random_forest_pipeline.stratify=genr"], "no rule for such a column. Did you mean 'gen"),
        (["dataset.features.numerical=[genre]"], "holds the target 'genre'"),
        (["dataset.features.text=[key]"], "names the column 'key' more than once"),
        (
            ["dataset.columns.genre.allowed=[true, Pop]"],
            "dataset.columns.genre.allowed holds true, which is no string. Quote texts such as yes",
        ),
        (["dataset.columns.mode.allowed=[0, one]"], "allowed holds one, which is no integer."),
        (["dataset.columns.tempo.minimum=400"], "tempo: minimum=400 is above maximum=300."),
        (["dataset.columns.title.max_null_fraction=80"], "=80: give a share from 0 to 1."),
        (
            ["metrics=[accuracy,r2]"],
            "metrics: 'r2' judges numbers, and the classes of genre are texts (dataset.columns."
            "genre.type=string). Take scorers of classes, such as [accuracy,f1_macro].",
        ),
        (
            ["metrics=[f1]"],
            "metrics: 'f1' judges a class 1 (or true) against a class 0, and the classes of genre "
            "are texts (dataset.columns.genre.type=string). Take the mean of all classes, f1_macro",
        ),
        (
            ["metrics=[recall_samples]"],
            "metrics: 'recall_samples' judges several labels a row, and genre is one. Take the "
            "mean of all classes, recall_macro.",
        ),
        (
            ["dataset.task=regression"],
            "dataset.task=regression predicts numbers, and the target genre holds none (dataset."
            "columns.genre.type=string). Take dataset.task=classification or another target.",
        ),
        (
            [
                *("dataset.task=regression", "dataset.columns.genre.type=integer"),
                *("dataset.columns.genre.allowed=null", "segregate.stratify=key"),
                "metrics=[r2,accuracy]",
            ],
            "Add random_forest_pipeline.stratify=null random_forest_pipeline.random_forest."
            "criterion=squared_error random_forest_pipeline.random_forest.class_weight=null "
            "'metrics=[r2,neg_mean_absolute_error]'",
        ),
        (
            ["random_forest_pipeline.random_forest.criterion=squared_error"],
            "criterion=squared_error: a classification has gini, entropy, log_loss.",
        ),
        (["dataset.target=???"], "no value yet. MissingMandatoryValue while"),
        (["main.random_seed=1", "dataset.url=???"], "no value yet: dataset.url"),
    ],
)
def test_a_value_that_can_t_be_right_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        validate(changed(overrides))

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("segregate.test_size=half", "could not be converted to Float"),
        ("main.wandb=cloud", r"expected one of \[auto, online, local\]"),
        (
            "evaluate.promote=maybe",
            r"expected one of \[if_better, if_clearly_better, always, never\]",
        ),
        ("dataset.columns.key.kind=x", "Key 'kind' not in 'ColumnRule'"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigCompositionException) as error:
        composed(override)

    assert re.search(message, str(error.value.__cause__))


def test_seed_zero_is_a_seed() -> None:
    assert composed("main.random_seed=0").random_forest_pipeline.random_forest.random_state == 0


def schema_keys(kind: Any, prefix: str = "") -> set[str]:
    hints = get_type_hints(kind)
    keys: set[str] = set()
    for field in fields(kind):
        path = f"{prefix}{field.name}"
        nested = is_dataclass(hints[field.name])
        keys |= schema_keys(hints[field.name], f"{path}.") if nested else {path}
    return keys


def test_every_key_has_a_comment_line_of_its_own() -> None:
    lines = (ROOT / "config.yaml").read_text().split("\n")
    leaves = {
        key.rsplit(".", 1)[-1] for key in schema_keys(Config) if not key.startswith("dataset.")
    }

    for number, line in enumerate(lines):
        key = line.split(":")[0].strip()
        if line.startswith(" ") and key in leaves and ": " in line:
            assert lines[number - 1].strip().startswith("#"), f"config.yaml: {key} has no comment"


def test_the_file_and_the_schema_have_the_same_keys() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    listed = {".".join(path) for path in _leaves(config) if path[0] not in ("defaults", "hydra")}

    expected = {key for key in schema_keys(Config) if not key.startswith("dataset.")}
    assert listed == expected


def _leaves(node: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(node, dict) and node:
        return [leaf for key, item in node.items() for leaf in _leaves(item, (*path, key))]
    return [path]
