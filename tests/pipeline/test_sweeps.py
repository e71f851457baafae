"""Trials are ranked, compared and shown; what is said of a sweep is what its trials came to."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from pipeline.config import validate
from pipeline.cores import count_workers, share_cores
from pipeline.schema import Config, RandomForest
from pipeline.sweeps.finish import advice, evaluation_config, should_evaluate
from pipeline.sweeps.importance import measure_importances
from pipeline.sweeps.process import THIS, postponed
from pipeline.sweeps.publish import IMPORTANCE, PAGE, PARALLEL, draw
from pipeline.sweeps.ranking import Sweep, alias_of, varying
from pipeline.sweeps.scales import make_scale
from pipeline.sweeps.table import compare, show_table
from pipeline.sweeps.trial import Notes, Trial, read_trials, write_trial

DEPTH = "random_forest_pipeline.random_forest.max_depth"
TREES = "random_forest_pipeline.random_forest.n_estimators"


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """config.yaml with its data set, as a trial's config is kept."""
    root = Path(__file__).resolve().parents[2]
    content = yaml.safe_load((root / "config.yaml").read_text())
    content |= {"dataset": yaml.safe_load((root / "dataset/songs.yaml").read_text())}
    del content["hydra"], content["defaults"]
    plain = OmegaConf.to_container(OmegaConf.create(content), resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def trial(number: int, score: float | None, depth: int | None = 5, **facts: Any) -> Trial:
    """A trial of a depth."""
    error = facts.pop("error", "")
    text = "null" if depth is None else str(depth)
    forest = {"max_depth": depth, "n_estimators": 100}
    config = {
        "random_forest_pipeline": {"random_forest": forest},
        "sweep": {"one_standard_error": True, "evaluate": "best"},
        "main": {"execute_steps": "all"},
        "artifacts": {"test_data": "test.parquet"},
    }
    notes = Notes(**{"model": None if score is None else f"model:v{number}", **facts})
    return Trial("id", number, {DEPTH: text, TREES: "100"}, score, error, 2.0, config, notes)


def sweep(*trials: Trial, maximize: bool = True, is_comparable: bool = True) -> Sweep:
    return Sweep("depths", "accuracy", maximize, [DEPTH, f"-{TREES}"], is_comparable, trials)


def test_a_trial_s_file_gives_it_back_and_other_sweeps_trials_are_left_alone(
    tmp_path: Path,
) -> None:
    kept = trial(1, 0.5, versions=["model:v1", "test.parquet:v0"], standard_error=0.1)
    for name, one in (("0", kept), ("1", trial(0, None, error="no"))):
        (tmp_path / name).mkdir()
        write_trial(one, tmp_path / name)

    assert read_trials(tmp_path, "id") == [trial(0, None, error="no"), kept]
    assert read_trials(tmp_path, "another") == []


def test_the_best_come_first_of_equal_ones_the_simplest_and_failed_ones_last() -> None:
    found = sweep(
        trial(0, 0.5, 3), trial(1, 0.9, None), trial(2, 0.9, 8), trial(3, None, error="it broke")
    )

    assert [one.number for one in found.scored] == [2, 1, 0]
    assert found.best is found.trials[2]
    assert [one.number for one in sweep(*found.trials, maximize=False).scored] == [0, 2, 1]
    assert show_table(found).split("\n") == [
        "Sweep depths: 4 trials, 1 failed; by accuracy on the validation split, the highest first",
        "",
        "trial  max_depth  accuracy  time   model     state",
        "-----  ---------  --------  -----  --------  --------",
        "2      8          0.9000    2.0 s  model:v2  finished",
        "1      null       0.9000    2.0 s  model:v1  finished",
        "0      3          0.5000    2.0 s  model:v0  finished",
        "3      5          -         2.0 s  -         failed",
        "",
        "Trial 3 failed: it broke",
    ]


def test_trials_that_can_t_be_compared_have_no_best_one() -> None:
    found = sweep(trial(0, 0.5), trial(1, 0.9), is_comparable=False)

    assert found.best is None
    assert [one.number for one in found.scored] == [0, 1]
    assert "none of them is the best" in advice(found, None)[0]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([(0.88, 3)], "1 other trial is within one standard error (0.0300) of it. The simplest"),
        ([(0.88, 3)], "is trial 1 (max_depth=3) with 0.8800: model:v1."),
        ([(0.88, 3), (0.89, 4)], "2 other trials are within one standard error"),
        ([(0.88, 13)], "1 other trial is within one standard error (0.0300) of it, none of them"),
        ([(0.86, 3)], "No other trial is within one standard error (0.0300) of it."),
    ],
)
def test_a_simpler_model_within_one_standard_error_is_named(
    others: list[tuple[float, int]], said: str
) -> None:
    trials = [trial(number, *other) for number, other in enumerate(others, 1)]

    assert said in str(compare(sweep(trial(0, 0.9, 8, standard_error=0.03), *trials)))


def test_without_a_standard_error_nothing_is_said_of_near_ties() -> None:
    assert compare(sweep(trial(0, 0.9), trial(1, 0.9, 3))) is None


def test_what_is_simpler_counts_in_its_order_with_null_as_unlimited() -> None:
    found = sweep()

    assert found.complexity(trial(0, 0.5, 3)) == (3, -100)
    assert found.complexity(trial(0, 0.5, None)) == (math.inf, -100)


def test_parameters_have_the_shortest_names_that_tell_them_apart() -> None:
    keys = ["a.tfidf.max_features", "a.forest.max_features", "a.max_depth", "same"]
    trials = [
        Trial("id", number, dict.fromkeys(keys[:3], str(number)) | {"same": "1"}, None, "", 0, {})
        for number in range(2)
    ]

    assert list(varying(trials).values()) == [
        "tfidf.max_features",
        "forest.max_features",
        "max_depth",
    ]


@pytest.mark.parametrize("one", ["a/b", "a:b", "a%2Fb", "a\\b", "a-b"])
def test_two_sweeps_of_different_names_never_share_an_alias(one: str) -> None:
    alias = alias_of(one)

    assert not set("/:\\") & set(alias)
    assert [name for name in ("a/b", "a:b", "a%2Fb", "a\\b", "a-b") if alias_of(name) == alias] == [
        one
    ]


def test_the_lines_by_hand_name_the_winner_s_settings_and_exact_versions() -> None:
    best = trial(4, 0.9, 8, versions=["train.parquet:v1", "model:v4", "test.parquet:v2"])

    found = sweep(best, trial(5, 0.1, 3))
    assert advice(found, "model:v1") == [
        "The best is trial 4: model:v4, now tagged best-depths.",
        f"To run it again: python main.py {DEPTH}=8 {TREES}=100",
        f"To promote it by hand: python main.py {DEPTH}=8 {TREES}=100 main.execute_steps=evaluate "
        "'main.versions=[model:v4,test.parquet:v2]' evaluate.promote=always",
    ]
    assert not [line for line in advice(found, "model:v4") if "promote" in line]


def test_the_line_that_promotes_names_the_sweep_s_project_and_data_and_forces_nothing() -> None:
    own = {"main.project_name": "mine", "dataset": "houses", "evaluate.promote": "never"}
    best = replace(
        trial(4, 0.9, 8, versions=["test.parquet:v2"]),
        overrides=own | {"main.execute_steps": "all", "main.force_steps": "segregate"},
    )

    found = replace(sweep(best), options=["--config-name", "mine"])
    assert advice(found, None)[-1] == (
        "To promote it by hand: python main.py --config-name mine "
        "main.project_name=mine dataset=houses "
        "evaluate.promote=always main.execute_steps=evaluate "
        "'main.versions=[model:v4,test.parquet:v2]'"
    )


def test_the_winner_is_evaluated_alone_with_its_own_settings_and_versions(
    settings: dict[str, Any],
) -> None:
    main = settings["main"] | {"force_steps": ["train_random_forest", "evaluate"]}
    settings = settings | {"metrics": ["accuracy"], "main": main}
    notes = Notes(model="model_export:v4", versions=["model_export:v4", "test_data.parquet:v2"])
    config = validate(evaluation_config(Trial("id", 0, {}, 0.9, "", 1.0, settings, notes)))

    assert config.main.execute_steps == config.main.force_steps == ["evaluate"]
    assert config.main.versions == ["model_export:v4", "test_data.parquet:v2"]
    assert config.metrics == ["accuracy"]
    assert config.dataset.target == "genre"


@pytest.mark.parametrize(
    ("steps", "evaluate", "model", "wanted"),
    [
        ("all", "best", "model:v0", True),
        ("train_random_forest", "best", "model:v0", False),
        ("all", "none", "model:v0", False),
        ("all", "all", "model:v0", False),
        ("all", "best", None, False),
    ],
)
def test_the_winner_is_evaluated_if_asked_for_and_exported(
    steps: str, evaluate: str, model: str | None, wanted: bool
) -> None:
    best = trial(0, 0.9, model=model)
    best.config["main"]["execute_steps"] = steps
    best.config["sweep"]["evaluate"] = evaluate

    assert should_evaluate(best) is wanted


@pytest.mark.parametrize(
    ("is_trial", "evaluate", "waits"),
    [(True, "best", True), (True, "none", True), (True, "all", False), (False, "best", False)],
)
def test_a_trial_leaves_the_test_split_alone_unless_all_are_evaluated(
    is_trial: bool,
    evaluate: str,
    waits: bool,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(THIS, "is_trial", is_trial)
    composed = OmegaConf.merge(OmegaConf.structured(Config), settings)
    composed.sweep.evaluate = evaluate
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)

    assert list(postponed(config)) == ["evaluate"] * waits


def test_trials_side_by_side_share_the_cores_unless_the_user_says_how_many(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # by which joblib's count can be lowered
    forest = RandomForest(**settings["random_forest_pipeline"]["random_forest"])

    assert share_cores(forest).n_jobs == -1
    monkeypatch.setattr(THIS, "workers", 3)
    assert share_cores(forest).n_jobs == 1
    forest.n_jobs = 7
    assert share_cores(forest).n_jobs == 7
    assert [count_workers({"n_jobs": n}) for n in (4, None, -1, -9)] == [4, 1, 1, 1]
    assert count_workers({}) == 1


@pytest.mark.parametrize(
    ("values", "heights"),
    [
        ([3, 5, 4], {3: 0.0, 4: 0.5, 5: 1.0}),
        ([1, 10, 100], {1: 0.0, 10: 0.5, 100: 1.0}),
        (["sqrt", 1, "log2"], {1: 0.0, "log2": 0.5, "sqrt": 1.0}),
        ([7, 7], {7: 0.5}),
    ],
)
def test_axes_go_from_the_lowest_to_the_highest_value(
    values: list[float | str], heights: dict[float | str, float]
) -> None:
    scale = make_scale(values)

    assert scale.heights == pytest.approx(heights)
    assert [height for height, _ in scale.ticks] == pytest.approx(list(heights.values()))


def test_an_axis_of_many_values_names_a_few() -> None:
    assert [text for _, text in make_scale(range(101)).ticks] == ["0", "25", "50", "75", "100"]


def grid(*scores: float) -> Sweep:
    """Trials in which the depth decides, and the number of trees does nothing."""
    return sweep(
        *(
            Trial("id", number, {DEPTH: str(number // 2), TREES: str(number % 2)}, score, "", 1, {})
            for number, score in enumerate(scores)
        )
    )


def test_the_parameter_that_decides_is_the_important_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Sweep, "complexity", lambda *_: ())
    found = measure_importances(grid(0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.8, 0.8, 0.9, 0.9, 0.95, 0.95))

    assert list(found) == ["max_depth", "n_estimators"]
    assert found["max_depth"] > 0.8
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize("scores", [(0.1, 0.2, 0.3), (0.5, 0.5, 0.5, 0.5, 0.5)])
def test_of_too_few_or_equal_scores_no_importance_is_told(
    scores: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sweep, "complexity", lambda *_: ())

    assert measure_importances(grid(*scores)) == {}


def test_the_page_has_the_plots_and_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    trials = [trial(number, number / 10, number + 1) for number in range(6)]
    draw(sweep(*trials, trial(6, None, 99, error="<it> broke")), tmp_path)
    page = (tmp_path / PAGE).read_text()

    assert (tmp_path / IMPORTANCE).exists()
    assert (tmp_path / PARALLEL).read_bytes().startswith(b"\x89PNG")
    assert page.count("<svg") == 2
    assert [f'id="trial-{number}"' in page for number in range(7)] == [True] * 6 + [False]
    assert "The best is trial 5: model:v5, now tagged best-depths." in page
    assert "&lt;it&gt; broke" in page
    assert "Of so few trials (6) this is a hint at the most" in page
    addresses = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)|url\(([^)]+)\)""", page)
    assert addresses
    assert all("".join(address).startswith("#") for address in addresses)
    assert "<script" not in page


def test_a_lone_score_is_drawn_without_importances(tmp_path: Path) -> None:
    draw(sweep(trial(0, 0.5, 3), trial(1, None, 4, error="no")), tmp_path)

    assert (tmp_path / PARALLEL).exists()
    assert not (tmp_path / IMPORTANCE).exists()
