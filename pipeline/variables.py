"""The environment variables of the steps."""

import os
from pathlib import Path

from pipeline.agent_run import TRIAL_VARIABLES
from pipeline.schema import Main
from pipeline.wandb_target import WandbTarget

NOT_INHERITED = (
    # Steps import a lot: without compiled files each import takes more than twice as long.
    "PYTHONDONTWRITEBYTECODE",
    # The helper process of this process's wandb; a step has one of its own, which ends with it.
    "WANDB_SERVICE",
    # A sweep's trial is the run of the whole pipeline: the runs of its steps are no trials.
    *TRIAL_VARIABLES,
)


def inherited() -> dict[str, str]:
    """Return those of this process that a step gets as well."""
    return {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}


def variables(target: WandbTarget, main: Main, scratch: Path, run_id: str) -> dict[str, str]:
    """Return the environment variables of the steps: this process's own, and those for W&B.

    Args:
        target: The W&B that answers.
        main: Names of the project and the experiment.
        scratch: Folder for all that is kept in passing; who removes it removes what a killed step
            has left as well.
        run_id: MLflow run of the pipeline.
    """
    return {
        **inherited(),
        **target.variables,
        "WANDB_PROJECT": main.project_name,
        "WANDB_RUN_GROUP": main.experiment_name,
        "WANDB_NOTES": f"Step of the MLflow run {run_id}",
        "WANDB_SILENT": "true",
        "WANDB_DIR": str(scratch),
        "WANDB_DATA_DIR": str(scratch),
        "WANDB_ARTIFACT_DIR": str(scratch),
        "TMPDIR": str(scratch),
    }
