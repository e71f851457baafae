"""The W&B run of a pipeline that a sweep's agent started as one of its trials."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import wandb

# By these the agent tells its program which run it is to be, and of which sweep.
TRIAL_VARIABLES = ("WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_RUN_ID")


@contextmanager
def open_trial(
    group: str, metrics: Sequence[str], environment: Mapping[str, str]
) -> "Iterator[wandb.Run | None]":
    """Open the run that the agent waits for; None where no agent started this process.

    Args:
        group: The run's group.
        metrics: Scorers whose values the run will get, as val/... and test/....
        environment: Variables of this process; the agent's own lead wandb to its W&B.

    Raises:
        ConfigError: The sweep goes by a metric that the run won't get.
    """
    if "WANDB_SWEEP_ID" not in environment:
        yield None
        return
    import wandb

    settings = wandb.Settings(console="off", silent=True)
    with wandb.init(group=group, job_type="pipeline", settings=settings) as run:
        api: Any = wandb.Api()
        sweep = api.sweep(f"{run.entity}/{run.project}/{environment['WANDB_SWEEP_ID']}")
        _check_metric(sweep.config.get("metric"), metrics)
        yield run


def _check_metric(wanted: Mapping[str, Any] | None, metrics: Sequence[str]) -> None:
    logged = [f"{split}/{metric}" for split in ("val", "test") for metric in metrics]
    if wanted and wanted.get("name") not in logged:
        raise ConfigError(
            f"The sweep goes by the metric {wanted.get('name')!r}, which the pipeline doesn't log."
            f"{did_you_mean(str(wanted.get('name')), logged)} By `metrics` of the config, it logs "
            f"{', '.join(logged)}."
        )
