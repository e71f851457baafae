"""The W&B run of a pipeline that a sweep's agent started as one of its trials."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import wandb

# By these the agent tells its program which run it is to be, and of which sweep.
TRIAL_VARIABLES = ("WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_RUN_ID")


@contextmanager
def open_trial(group: str, environment: Mapping[str, str]) -> "Iterator[wandb.Run | None]":
    """Open the run that the agent waits for; None where no agent started this process.

    Args:
        group: The run's group.
        environment: Variables of this process; the agent's own lead wandb to its W&B.
    """
    if "WANDB_SWEEP_ID" not in environment:
        yield None
        return
    import wandb

    settings = wandb.Settings(console="off", silent=True)
    with wandb.init(group=group, job_type="pipeline", settings=settings) as run:
        yield run
