"""A step runs again for a reason, and says which."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from pipeline.cache import StepCache
from pipeline.steps import Step


def nothing_is_there(_: Any) -> "Future[None]":
    """Answer as a W&B project does from which all was deleted."""
    answer: Future[None] = Future()
    answer.set_result(None)
    return answer


def test_results_that_are_gone_are_the_reason_whatever_ran_since(
    component: Path, store: str
) -> None:
    client = MlflowClient(store)
    cache = StepCache(client, nothing_is_there, component.parent, "uv", True, ())

    def step(seed: int) -> Step:
        return Step(component.name, {"seed": seed}, ())

    def why(seed: int) -> str:
        return cache.find(step(seed), cache.gather(step(seed)))[1]

    assert why(1) == "it has not run before"
    for seed in (1, 2):
        facts = cache.gather(step(seed))
        assert facts
        run_id = client.create_run("0").info.run_id
        cache.keep(step(seed), run_id, facts)
        client.set_terminated(run_id)

    assert why(1) == "what it made is not in this W&B project"
    assert why(3) == "seed 2 -> 3"
