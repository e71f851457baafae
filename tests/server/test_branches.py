"""Runs that go on from a step: forks inherit history, rewound runs forget what came later."""

from types import ModuleType
from typing import Any

import pytest

from tests.server.conftest import Core
from wandb_server.filestream import apply_post


@pytest.fixture
def parent(wandb: ModuleType, project: str) -> str:
    """The path of a run of ten steps, of which the late ones log one more key."""
    with wandb.init(project=project, id="parent") as run:
        for step in range(10):
            run.log({"x": step, "late": step} if step > 5 else {"x": step})
    return f"{project}/parent"


def history(wandb: ModuleType, path: str) -> list[tuple[int, int]]:
    return [(row["_step"], row["x"]) for row in wandb.Api().run(path).scan_history()]


def test_a_fork_goes_on_from_the_parents_step(wandb: ModuleType, parent: str, project: str) -> None:
    with wandb.init(project=project, fork_from="parent?_step=2") as run:
        run.log({"x": 100})
    path = f"{project}/{run.id}"
    assert history(wandb, path) == [(0, 0), (1, 1), (2, 2), (3, 100)]
    assert "late" not in wandb.Api().run(path).history(pandas=False)[0]
    assert len(history(wandb, parent)) == 10
    with wandb.init(project=project, id=run.id, resume="must") as run:
        run.log({"x": 200})
    assert history(wandb, path)[-2:] == [(3, 100), (4, 200)]


def test_a_fork_is_rewound_into_what_it_inherited(
    wandb: ModuleType, parent: str, project: str
) -> None:
    with wandb.init(project=project, fork_from=f"{parent.rpartition('/')[2]}?_step=2") as run:
        run.log({"x": 100})
    with wandb.init(project=project, resume_from=f"{run.id}?_step=1") as run:
        run.log({"x": 50})
    assert history(wandb, f"{project}/{run.id}") == [(0, 0), (1, 1), (2, 50)]


def test_a_rewound_run_forgets_what_came_later(
    wandb: ModuleType, parent: str, project: str
) -> None:
    with wandb.init(project=project, resume_from="parent?_step=4") as run:
        run.log({"x": 50})
    assert history(wandb, parent) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 50)]
    run = wandb.Api().run(parent)
    assert (run.summary["x"], run.lastHistoryStep, run.state) == (50, 5, "finished")
    assert "late" not in run.summary


@pytest.mark.parametrize("how", ["fork_from", "resume_from"])
def test_a_missing_parent_is_named(wandb: ModuleType, project: str, how: str) -> None:
    with pytest.raises((wandb.errors.CommError, wandb.Error), match=r"there is no run .*nobody"):
        wandb.init(project=project, **{how: "nobody?_step=1"})


REWIND = """mutation ($m: String!, $v: Float!) {
    rewindRun(input: {projectName: "p", runName: "r", metricName: $m, metricValue: $v}) {
        rewoundRun { historyLineCount }
    }
}"""


@pytest.mark.parametrize(
    ("metric", "value", "message"), [("loss", 1.0, "'loss'"), ("_step", 1.5, "step 1.5")]
)
def test_only_whole_steps_can_be_gone_back_to(
    core: Core, metric: str, value: float, message: str
) -> None:
    core.data('mutation { upsertBucket(input: {name: "r", modelName: "p"}) { inserted } }')
    assert message in core.error(REWIND, m=metric, v=value)


def test_a_rewound_run_keeps_no_console_lines(core: Core) -> None:
    core.data('mutation { upsertBucket(input: {name: "r", modelName: "p"}) { inserted } }')
    with core.database.write() as connection:
        lines = {"wandb-history.jsonl": ['{"_step": 0}', '{"_step": 1}'], "output.log": ["a", "b"]}
        files = {name: {"offset": 0, "content": content} for name, content in lines.items()}
        apply_post(connection, ("local", "p", "r"), {"files": files})
    core.data(REWIND, m="_step", v=0.0)
    core.data(REWIND, m="_step", v=0.0)  # a repeated request changes nothing
    counts = core.data(
        '{ project(name: "p") { run(name: "r") { historyLineCount logLineCount } } }'
    )
    assert counts["project"]["run"] == {"historyLineCount": 1, "logLineCount": 0}


def test_a_run_without_history_is_rewound_to_nothing(core: Core) -> None:
    core.data('mutation { upsertBucket(input: {name: "r", modelName: "p"}) { inserted } }')
    answer: Any = core.data(REWIND, m="_step", v=3.0)
    assert answer["rewindRun"]["rewoundRun"] == {"historyLineCount": 0}
