"""A pipeline that a sweep's agent started is that agent's run; its steps' runs are not."""

import pytest

from pipeline.agent_run import TRIAL_VARIABLES, open_trial
from pipeline.component import NOT_INHERITED


def test_without_an_agent_there_is_no_trial() -> None:
    with open_trial("group", {"WANDB_RUN_ID": "mine"}) as trial:
        assert trial is None


@pytest.mark.parametrize("name", TRIAL_VARIABLES)
def test_a_step_is_not_told_of_the_trial(name: str) -> None:
    assert name in NOT_INHERITED
