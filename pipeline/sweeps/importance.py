"""How much each parameter of a sweep mattered."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.sweeps.ranking import Sweep, is_magnitude, value_of, varying
from pipeline.sweeps.trial import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

METHOD = "PED-ANOVA (Watanabe, Bansal and Hutter, 2023)"
# Below these, importances aren't measured at all, and mean little.
FEWEST, FEW = 4, 20


def measure_importances(sweep: Sweep) -> dict[str, float]:
    """Measure how much each parameter mattered for being among the best trials.

    By PED-ANOVA: how far the values of a parameter in the best trials (a tenth, but five if there
    are that many, and half at the most) are distributed otherwise than in all trials.

    Args:
        sweep: Its trials.

    Returns:
        Shares by short name, highest first; they sum to 1. Empty if nothing can be said.
    """
    trials, names = sweep.scored, varying(sweep.trials)
    scores = {trial.score for trial in trials}
    if len(trials) < FEWEST or len(scores) < 2 or not names:
        return {}
    # Takes a third of a second, at the end of a sweep.
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if sweep.maximize else "minimize")
    space = {name: _distribution(trials, key) for key, name in names.items()}
    study.add_trials(
        [
            optuna.create_trial(
                params={name: value_of(trial, key) for key, name in names.items()},
                distributions=space,
                value=trial.score,
            )
            for trial in trials
        ]
    )
    best = min(0.5, max(0.1, 5 / len(trials)))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=best)
    found = get_param_importances(study, evaluator=evaluator)
    return {str(name): float(share) for name, share in found.items()}


def _distribution(trials: Sequence[Trial], key: str) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    values = [value_of(trial, key) for trial in trials]
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        return CategoricalDistribution(sorted(set(values), key=str))
    low, high, is_log = min(numbers), max(numbers), is_magnitude(numbers)
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(math.floor(low), math.ceil(high), log=is_log)
    return FloatDistribution(low, high, log=is_log)
