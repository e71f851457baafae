"""What is wrong with the config is told in the first line, in the user's words."""

import os
from pathlib import Path

import pytest
import yaml

from pipeline.compose import compose_config
from pipeline.errors import ConfigError
from pipeline.faults import explain
from pipeline.root import ROOT
from tests.warm import WarmPython

FAILS = f"""
import sys
import hydra
from pipeline.errors import StepError
from pipeline.start import run_main

@hydra.main(version_base="1.3", config_path={str(ROOT)!r}, config_name="config")
def task(config):
    raise StepError("The step 'download' failed.")

sys.exit(run_main(task))
"""
SONGS = (ROOT / "dataset" / "songs.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("main.env_manager=nix", "give one of auto, uv, conda, virtualenv, local."),
        ("main.random_seed=null", "give a whole number."),
        ("main.cache=maybe", "give true or false."),
        ("segregate.test_size=half", "give a number."),
        ("metrics=accuracy", "give a list, such as [a,b]."),
        ("random_forest_pipeline.random_forest.max_depth=deep", "give a whole number or null."),
        ("random_forest_pipeline.random_forest.min_samples_leaf=x", "give a number."),
        (
            "dataset.columns.key=float",
            "give a mapping of type, minimum, maximum, allowed, max_null_fraction.",
        ),
        ("dataset=song", "there is no such choice. Did you mean 'songs'? Choose one of songs."),
        (
            "hydra/launcher=slurm",
            "there is no such choice. Choose one of basic, joblib.",
        ),
    ],
)
def test_a_value_that_can_t_be_taken_is_told_with_those_that_can(
    override: str, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        compose_config([override])

    assert str(error.value) == f"{override}: {message}"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dataset.columns.key.typ=float", "There is no key 'dataset.columns.key.typ' in the"),
        ("dataset.columns.tmpo.minimum=1", "There is no dataset.columns.tmpo in the config. Did"),
        ("+main.foo=1", "There is no key 'main.foo' in the config."),
        ("segregate.stratify=${dataset.targt}", "segregate.stratify: Interpolation key"),
        ("hydra.sweeper.n_trials=4", "hydra.sweeper.n_trials: Key 'n_trials' not in"),
    ],
)
def test_what_the_config_doesn_t_have_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose_config([override])

    assert str(error.value).startswith(message)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("word", ["max_depth", "main.cache:false"])
def test_a_word_that_is_no_override_is_told_with_what_to_write(word: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose_config([word])

    assert str(error.value).startswith(f"'{word}' is no override: write key=value")


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "task: classification",
            "task: clustering",
            "dataset/mine.yaml: dataset.task=clustering: give one of classification, regression.",
        ),
        (
            "sha256: null",
            "sha: null",
            "dataset/mine.yaml: There is no key 'dataset.sha' in the config. Did you mean",
        ),
        (
            "tempo: {type: float,",
            "tempo: {typ: float,",
            "dataset/mine.yaml: There is no key 'dataset.columns.tempo.typ' in the config.",
        ),
    ],
)
def test_a_fault_of_a_data_set_s_file_is_told_with_its_name(
    right: str, wrong: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mine.yaml").write_text(SONGS.replace(right, wrong), encoding="utf-8")

    with pytest.raises(ConfigError) as error:
        compose_config([f"hydra.searchpath=[file://{tmp_path}]", "dataset=mine"])

    assert str(error.value).startswith(message)


def test_what_is_no_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("task: classification\nmetrics: [a, b\ntarget: genre\n")

    with file.open() as stream, pytest.raises(yaml.YAMLError) as error:
        yaml.safe_load(stream)

    assert (explain(error.value) or "").startswith(f"{file}, line 3: this is no YAML: ")


def test_an_error_of_the_program_s_own_keeps_its_traceback() -> None:
    assert explain(ZeroDivisionError("division by zero")) is None


def test_a_pipeline_that_fails_says_why_and_nothing_else(
    tmp_path: Path, python: WarmPython
) -> None:
    program = tmp_path / "main.py"
    program.write_text(FAILS)

    done = python.run(
        str(program),
        "main.random_seed=7",
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        libraries=("hydra",),
    )

    assert (done.returncode, done.stderr) == (1, "The step 'download' failed.\n")
