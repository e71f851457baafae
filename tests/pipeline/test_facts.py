"""What a step depends on: each change of it shows, and nothing else does."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.facts import (
    Fact,
    Facts,
    describe_environment,
    differences,
    fingerprint,
    gather,
    observe,
    shorten,
)
from pipeline.registry import Version
from pipeline.schema import Dataset, Tfidf
from pipeline.steps import Alias, Artifact, Made, Source, Step

CLEAN = Artifact("clean.parquet", "preprocess", Version("clean.parquet:v3", "abc"))
MODEL = Artifact("model_export", "train_random_forest", Version("model_export:v1", "m1"))


def nobody(_: Alias) -> Version | None:
    return None


@pytest.fixture
def facts_of(component: Path) -> Callable[..., Facts]:
    def facts_of(**parameters: Any) -> Facts:
        found = gather(Step("component", parameters, ()), component, "uv", nobody)
        assert found is not None
        return found

    return facts_of


def answered(version: Version | None) -> "Future[Version | None]":
    future: Future[Version | None] = Future()
    future.set_result(version)
    return future


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"seed": 1}, {"seed": 2}, ["seed 1 -> 2"]),
        ({"url": "a"}, {"url": "b"}, ["url a -> b"]),
        ({"stratify": True}, {"stratify": False}, ["stratify true -> false"]),
        ({"text": ["größe"]}, {"text": []}, ['text ["größe"] -> []']),
        (
            {"forest": {"max_depth": 13}},
            {"forest": {"max_depth": 10}},
            ["forest.max_depth 13 -> 10"],
        ),
        ({"tfidf": Tfidf(5)}, {"tfidf": Tfidf(6)}, ["tfidf.max_features 5 -> 6"]),
        ({"depth": None}, {"depth": 3}, ["depth unset -> 3"]),
        ({"metrics": ["r2"]}, {"metrics": []}, ['metrics ["r2"] -> []']),
        ({"output": Made("a")}, {"output": Made("b")}, ["output a -> b"]),
        ({"url": "https://a.org/x"}, {"url": "https://a.org/x?signature=s"}, ["url changed"]),
        ({"url": "http://me:secret@a.org/x"}, {"url": "http://a.org/x"}, ["url changed"]),
        (
            {"input": CLEAN},
            {"input": replace(CLEAN, version=Version("clean.parquet:v4", "abd"))},
            ["input clean.parquet:v3 -> clean.parquet:v4"],
        ),
        (
            {"reference": answered(None)},
            {"reference": answered(Version("clean.parquet:v0", "aaa"))},
            ["reference none -> clean.parquet:v0"],
        ),
    ],
)
def test_a_changed_parameter_shows(
    before: dict[str, Any], after: dict[str, Any], said: list[str], facts_of: Callable[..., Facts]
) -> None:
    old, new = facts_of(**before), facts_of(**after)

    assert differences(old, new) == said
    assert fingerprint(old) != fingerprint(new)


def test_of_many_changes_the_first_are_told_and_how_many_more_there_are() -> None:
    changes = [f"{name} changed" for name in "abcdef"]

    assert shorten(changes[:2]) == "a changed, b changed"
    assert shorten(changes).endswith("e changed, and 1 more")


def test_versions_of_one_name_and_different_content_are_told_as_such() -> None:
    here, there = {"input": Fact("one", "clean:v0")}, {"input": Fact("two", "clean:v0")}

    assert differences(here, there) == ["input clean:v0 of other content"]


def test_how_many_cores_a_step_may_take_is_no_change(facts_of: Callable[..., Facts]) -> None:
    old, new = (facts_of(forest={"n_jobs": cores, "max_depth": 3}) for cores in (1, -1))

    assert old == new


def test_where_a_data_set_is_from_is_no_change_to_steps_that_take_its_table(
    facts_of: Callable[..., Facts],
) -> None:
    here = Dataset(url="/a/songs.csv", target="genre")
    old, new = facts_of(data=here), facts_of(data=replace(here, url="/b/songs.csv", sha256="00"))

    assert old == new
    assert differences(old, facts_of(data=replace(here, target="key"))) == [
        "data.target genre -> key"
    ]


def test_a_version_of_another_number_with_the_same_content_is_no_change(
    facts_of: Callable[..., Facts],
) -> None:
    renumbered = replace(CLEAN, version=Version("clean.parquet:v9", "abc"))
    old, new = facts_of(input=CLEAN), facts_of(input=renumbered)

    assert differences(old, new) == []
    assert fingerprint(old) == fingerprint(new)


def test_a_changed_added_or_removed_file_shows_but_for_pages_and_compiled_ones(
    component: Path, facts_of: Callable[..., Facts]
) -> None:
    (component / "run.py").write_text("print(1)")
    old = facts_of()
    (component / "run.py").write_text("print(2)")
    (component / "conda.yml").unlink()
    (component / "more").mkdir()
    (component / "more" / "new.py").touch()
    (component / "README.md").write_text("Says what it does.")
    (component / "__pycache__").mkdir()
    (component / "__pycache__" / "run.pyc").touch()

    assert sorted(differences(old, facts_of())) == [
        "conda.yml is gone",
        "more/new.py is new",
        "run.py changed",
    ]


def test_what_a_run_or_a_test_leaves_in_a_step_s_folder_is_no_change(
    component: Path, facts_of: Callable[..., Facts]
) -> None:
    old = facts_of()
    for left in (
        "wandb/debug-internal.log",
        "wandb/run-20261121_120000-abc/files/output.log",
        "artifacts/raw_data.parquet:v0/raw_data.parquet",
        "mlruns/0/meta.yaml",
        "mlflow.db",
        "mlflow.db-journal",
        "outputs/2026-11-21/main.log",
        ".pytest_cache/v/cache/lastfailed",
        ".ipynb_checkpoints/run-checkpoint.py",
        ".DS_Store",
    ):
        (component / left).parent.mkdir(parents=True, exist_ok=True)
        (component / left).write_text("left behind")
    assert facts_of() == old

    (component / "classes.csv").touch()  # a file that git doesn't have may matter all the same
    assert differences(old, facts_of()) == ["classes.csv is new"]


def test_a_source_is_known_by_its_content(
    component: Path, tmp_path: Path, facts_of: Callable[..., Facts]
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a\n1\n")
    old = facts_of(url=Source(str(table)))
    table.touch()
    assert differences(old, facts_of(url=Source(str(table)))) == []
    elsewhere = tmp_path / "other clone" / table.name
    elsewhere.parent.mkdir()
    elsewhere.write_text("a\n1\n")
    assert differences(old, facts_of(url=Source(str(elsewhere)))) == []
    table.write_text("a\n2\n")
    assert differences(old, facts_of(url=Source(str(table)))) == ["content of url changed"]
    table.unlink()
    step = Step("component", {"url": Source(str(table))}, ())
    assert gather(step, component, "uv", nobody) is None


def test_a_source_on_the_web_with_a_digest_needs_no_question(
    facts_of: Callable[..., Facts],
) -> None:
    url = "http://127.0.0.1:9/nobody-answers.csv"

    assert facts_of(url=Source(url, "00ff"))["content of url"].value == "sha256 00ff"


def test_what_counts_of_an_alias_is_who_holds_it(component: Path) -> None:
    step = Step("component", {"alias": Alias("prod", MODEL), "seed": 1}, ())
    facts = gather(step, component, "uv", nobody)
    assert facts is not None
    left = facts | observe(step, lambda _: MODEL.version)

    assert differences(facts, left) == ["holder of prod none -> model_export:v1"]
    assert fingerprint(facts) != fingerprint(left)


def test_another_environment_manager_shows_and_a_local_one_counts_its_packages() -> None:
    assert describe_environment("uv") == "uv"
    local = describe_environment("local")
    assert local == describe_environment("local")
    assert len(local) > len("local ")
    old = {"environment": Fact("uv", "uv")}
    assert differences(old, {"environment": Fact(local, "local")}) == ["environment uv -> local"]
