"""`hydra/sweeper=optuna`: Optuna's TPE chooses the trials, each from the scores of those before.

Hydra finds its plugins in packages named `hydra_plugins`. The published one, hydra-optuna-sweeper
1.3.0, holds Optuna at 2.10; this one is for Optuna 5. Nothing heavy is imported here: Hydra reads
its plugins at each start.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from pipeline.cores import count_workers
from pipeline.trials import StoppedError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

DIRECTIONS = ("maximize", "minimize")
RESULTS = "optimization_results.yaml"
TROUBLE = "trouble"


@dataclass
class OptunaConfig:
    """Settings of the sweeper.

    Attributes:
        n_trials: Trials in all.
        direction: maximize or minimize what the program returns.
        seed: Of the sampler. The same seed chooses the same trials again, as long as one runs
            at a time.
    """

    _target_: str = "hydra_plugins.optuna_sweeper.OptunaSweeper"
    n_trials: int = 20
    direction: str = "maximize"
    seed: int = 42


ConfigStore.instance().store(
    group="hydra/sweeper", name="optuna", node=OptunaConfig, provider="optuna_sweeper"
)


class OptunaSweeper(Sweeper):
    """Runs trials in batches as large as the launcher's number of workers."""

    def __init__(self, n_trials: int, direction: str, seed: int) -> None:
        """Take the settings of OptunaConfig.

        Raises:
            HydraException: One has a value that it can't have.
        """
        if direction not in DIRECTIONS:
            raise HydraException(
                f"hydra.sweeper.direction={direction}: choose one of {', '.join(DIRECTIONS)}."
            )
        if n_trials < 1:
            raise HydraException(f"hydra.sweeper.n_trials={n_trials}: give a number of at least 1.")
        self._n_trials, self._direction, self._seed = n_trials, direction, seed

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the launcher that the config names."""
        self._context, self._config = hydra_context, config
        # Under these names, Hydra's check of overrides looks for them.
        self.hydra_context, self.config = hydra_context, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> dict[str, Any]:
        """Run the trials and write down what came of them.

        Args:
            arguments: Overrides; choices, ranges and intervals among them span the space.

        Returns:
            What is written to the results file: the best trial's overrides and score, and what came
            of each trial.

        Raises:
            HydraException: Nothing varies, or no trial has a score.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        parser = OverridesParser.create(config_loader=self._context.config_loader)
        fixed, space = split(parser.parse_overrides(arguments))
        self.validate_batch_is_legal([[*fixed, *corner] for corner in corners(space)])
        folder = Path(self._config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self._config, folder / "multirun.yaml")
        sampler = optuna.samplers.TPESampler(seed=self._seed, n_startup_trials=5)
        direction = optuna.study.StudyDirection[self._direction.upper()]
        study = optuna.create_study(direction=direction, sampler=sampler)
        workers = count_workers(self._config.hydra.launcher)
        while len(study.trials) < self._n_trials:
            self._run_batch(study, fixed, space, min(workers, self._n_trials - len(study.trials)))
        results = summarize(study)
        OmegaConf.save(results, folder / RESULTS)
        return results

    def _run_batch(
        self, study: "Study", fixed: list[str], space: "dict[str, BaseDistribution]", size: int
    ) -> None:
        from optuna.trial import TrialState

        first = len(study.trials)
        trials = [study.ask(space) for _ in range(size)]
        batch = [fixed + to_overrides(trial.params) for trial in trials]
        for trial, job in zip(
            trials, self._launcher.launch(batch, initial_job_idx=first), strict=True
        ):
            score, trouble = read_score(job)
            trial.set_user_attr(TROUBLE, trouble)
            study.tell(trial, score, TrialState.FAIL if score is None else None)


def split(overrides: list[Override]) -> "tuple[list[str], dict[str, BaseDistribution]]":
    """Tell what stays the same in all trials from what they choose.

    Args:
        overrides: As Hydra has parsed them.

    Returns:
        Overrides as text, and what each other key may be: a choice, a range, an interval.

    Raises:
        HydraException: Nothing varies.
    """
    fixed, space = [], {}
    for override in overrides:
        if override.is_sweep_override():
            space[override.get_key_element()] = to_distribution(override)
        else:
            fixed.append(f"{override.get_key_element()}={override.get_value_element_as_str()}")
    if not space:
        raise HydraException(
            "hydra/sweeper=optuna: no override varies. Give at least one a choice (a,b,c), "
            "range(5,20) or interval(0.1,0.9); int(interval(5,20)) takes whole numbers, and "
            "tag(log, interval(0.001,1)) tries magnitudes evenly."
        )
    return fixed, space


def to_distribution(override: Override) -> "BaseDistribution":
    """Return what Optuna may choose for an override that varies.

    Raises:
        HydraException: An interval is empty.
    """
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    swept = override.value()
    key = override.get_key_element()
    try:
        if isinstance(swept, IntervalSweep):
            low, high, log = swept.start, swept.end, "log" in swept.tags
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=log)
            return FloatDistribution(float(low or 0), float(high or 0), log=log)
        if isinstance(swept, RangeSweep) and all(
            isinstance(part, int) for part in (swept.start, swept.stop, swept.step)
        ):
            steps = list(swept.range())
            return IntDistribution(min(steps), max(steps), step=abs(int(swept.step)))
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    except ValueError as error:
        raise HydraException(f"{key}: {error}") from error


def to_overrides(parameters: Mapping[str, Any]) -> list[str]:
    """Return chosen values as overrides; choices are the texts that the user wrote."""
    return [f"{key}={value}" for key, value in parameters.items()]


def corners(space: "Mapping[str, BaseDistribution]") -> list[list[str]]:
    """Return overrides that take each choice, and both ends of each range, at least once."""
    from optuna.distributions import CategoricalDistribution

    ends = {
        key: list(one.choices)
        if isinstance(one, CategoricalDistribution)
        else [getattr(one, end) for end in ("low", "high")]
        for key, one in space.items()
    }
    first = {key: values[0] for key, values in ends.items()}
    return [to_overrides(first | {key: value}) for key, values in ends.items() for value in values]


def read_score(job: JobReturn) -> tuple[float | None, str]:
    """Return a trial's score, or None and what went wrong.

    Raises:
        StoppedError: The sweep was asked to stop.
    """
    if isinstance(job._return_value, StoppedError):  # its property would print a line about it
        raise job._return_value
    try:
        score = job.return_value
    except Exception as error:  # whatever the trial raised, it is told
        return None, str(error) or type(error).__name__
    if not isinstance(score, int | float):
        return None, f"it returned {score}, no score: is the step that trains among those to run?"
    if not math.isfinite(score):
        return None, f"its score is {score}"
    return float(score), ""


def summarize(study: "Study") -> dict[str, Any]:
    """Return the best trial and what came of each.

    Raises:
        HydraException: None has a score.
    """
    scored = [trial for trial in study.trials if trial.value is not None]
    if not scored:
        raise HydraException(f"None of {len(study.trials)} trials has a score; see above.")
    return {
        "name": "optuna",
        "best_params": dict(study.best_params),
        "best_value": study.best_value,
        "failed": len(study.trials) - len(scored),
        "trials": [
            {
                "number": trial.number,
                "params": dict(trial.params),
                "value": trial.value,
                "trouble": trial.user_attrs[TROUBLE],
            }
            for trial in study.trials
        ],
    }
