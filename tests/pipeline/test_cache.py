"""A step runs again for a reason, and says which."""

import shutil
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from pipeline.cache import StepCache
from pipeline.steps import Step


def nothing_is_there(_: Any) -> "Future[None]":
    """Answer as a W&B project does from which all was deleted."""
    answer: Future[None] = Future()
    answer.set_result(None)
    return answer


@dataclass(frozen=True)
class History:
    """What a component has done before, in an MLflow store."""

    component: Path
    store: str
    project: str = "songs"

    @property
    def cache(self) -> StepCache:
        client, folder = MlflowClient(self.store), self.component.parent
        return StepCache(client, nothing_is_there, folder, self.project, "uv", True, ())

    def step(self, **parameters: Any) -> Step:
        return Step(self.component.name, parameters, ())

    def run(self, **parameters: Any) -> str:
        step = self.step(**parameters)
        facts = self.cache.gather(step)
        assert facts
        client = MlflowClient(self.store)
        run_id = client.create_run("0").info.run_id
        self.cache.keep(step, run_id, facts)
        client.set_terminated(run_id)
        return str(run_id)

    def why(self, **parameters: Any) -> str:
        step = self.step(**parameters)
        return self.cache.find(step, self.cache.gather(step))[1]


@pytest.fixture
def history(component: Path, store: str) -> History:
    return History(component, store)


def test_results_that_are_gone_are_the_reason_whatever_ran_since(history: History) -> None:
    assert history.why(seed=1) == "it has not run in this project before"
    history.run(seed=1)
    history.run(seed=2)

    assert history.why(seed=1) == "what it made is not in this W&B project"
    assert history.why(seed=3) == "seed 2 -> 3"


def test_the_reason_is_the_least_that_has_changed_since_one_of_the_last_runs(
    history: History,
) -> None:
    history.run(trees=100, depth=13)
    history.run(trees=100, depth=10)

    assert history.why(trees=200, depth=13) == "trees 100 -> 200"


def test_what_ran_in_another_project_is_no_reason(history: History) -> None:
    history.run(trees=100)
    other = replace(history, project="John's houses")

    assert other.why(trees=200) == "it has not run in this project before"
    other.run(trees=200)
    assert other.why(trees=300) == "trees 200 -> 300"


def test_a_record_that_cant_be_read_is_passed_over(history: History) -> None:
    history.run(seed=1)
    lost = history.run(seed=2)
    shutil.rmtree(local_file_uri_to_path(MlflowClient().get_run(lost).info.artifact_uri))

    assert history.why(seed=3) == "seed 1 -> 3"
