"""Overrides arrive at Hydra as they were meant, or are refused by name."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline.errors import ConfigError
from pipeline.overrides import expand_arguments, split_options
from pipeline.schema import register_schema

ROOT = Path(__file__).resolve().parents[2]


def value_of(words: list[str], key: str) -> object:
    overrides = OverridesParser.create().parse_overrides([w for w in words if "=" in w])
    return next(o.value() for o in overrides if o.key_or_group == key)


def test_options_of_one_string_are_split_at_spaces_outside_of_quotes() -> None:
    options = "main.experiment_name=dev metrics='[f1_macro, r2]' \"dataset.url=/a b\""

    assert split_options(options) == [
        "main.experiment_name=dev",
        "metrics='[f1_macro, r2]'",
        "dataset.url=/a b",
    ]


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(ConfigError, match="quote that is not closed"):
        split_options("main.experiment_name='dev")


@pytest.mark.parametrize(
    "url",
    [
        "/a path/with [odd] chars*.parquet",
        "https://example.com/x?a=b&c=%20d#e",
        '/it\'s {here}, "quoted" and back\\slashed\\',
        "/a,b.csv",
        "C:/table (1).csv",
    ],
)
def test_any_text_arrives_intact_as_an_argument_of_its_own(url: str) -> None:
    assert value_of(expand_arguments([f"dataset.url={url}"]), "dataset.url") == url


def test_the_documented_option_string_arrives_intact() -> None:
    words = expand_arguments(
        [
            "--hydra-options",
            "main.experiment_name=dev main.execute_steps='download,preprocess' "
            "'dataset.url=/a path/with [odd] chars*.parquet'",
        ]
    )

    assert value_of(words, "main.experiment_name") == "dev"
    assert value_of(words, "main.execute_steps") == "download,preprocess"
    assert value_of(words, "dataset.url") == "/a path/with [odd] chars*.parquet"


@pytest.mark.parametrize("sweep", ["5,8", "range(2,10,2)", "choice(5, 8)"])
def test_sweeps_stay_sweeps(sweep: str) -> None:
    word = f"random_forest_pipeline.random_forest.max_depth={sweep}"

    assert expand_arguments(["--hydra-options", f"-m '{word}'"]) == ["-m", word]


def test_the_flag_of_a_sweep_may_stand_between_overrides() -> None:
    given = ["main.random_seed=1", "--multirun", "metrics=[r2],[accuracy]"]

    assert expand_arguments(given) == [given[1], given[0], given[2]]


@pytest.mark.parametrize("key", ["main.execute_steps", "main.force_steps"])
@pytest.mark.parametrize("flags", [[], ["-m"]])
def test_steps_separated_by_commas_are_never_a_sweep(flags: list[str], key: str) -> None:
    words = expand_arguments([*flags, f"{key}=download,preprocess"])

    assert value_of(words, key) == "download,preprocess"


def test_hydra_s_own_settings_and_groups_pass() -> None:
    words = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "dataset=songs", "--cfg", "job"]

    assert expand_arguments(words) == words


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("main.projct_name=x", "project_name"),
        ("segregate.testsize=0.2", "test_size"),
        ("random_forest_pipeline.random_forest.maxdepth=3", "max_depth"),
        ("evalute.promote=never", "evaluate"),
    ],
)
def test_an_unknown_key_is_refused_with_the_close_ones(override: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"There is no key .* Did you mean '{hint}'"):
        expand_arguments([override])


def test_a_rule_for_a_new_column_is_added_as_hydra_takes_it() -> None:
    (word,) = expand_arguments(["+dataset.columns.mood={type: string, allowed: [calm, wild]}"])

    register_schema()
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        composed = compose("config", [word])

    rule = composed.dataset.columns.mood
    assert (rule.type.value, rule.allowed) == ("string", ["calm", "wild"])
    assert "genre" in composed.dataset.columns


def test_what_is_no_override_is_told() -> None:
    with pytest.raises(ConfigError, match=r"'main.experiment name=x' is no override"):
        expand_arguments(["main.experiment name=x"])


def test_a_long_option_string_is_no_problem() -> None:
    url = "/" + "x" * 20_000

    assert (
        value_of(expand_arguments(["--hydra-options", f"dataset.url={url}"]), "dataset.url") == url
    )
