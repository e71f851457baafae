"""The pipeline's own kinds of error."""

from difflib import get_close_matches

from hydra.errors import CompactHydraException


class PipelineError(CompactHydraException):
    """A fault that the user can mend; Hydra prints its message without a traceback."""


class ConfigError(PipelineError):
    """The config holds something that is not allowed."""


class EnvironmentManagerError(PipelineError):
    """A step's environment can't be made."""


class WandbError(PipelineError):
    """No usable W&B answers."""


class TrackingError(PipelineError):
    """MLflow's store can't be used."""


class ArtifactError(PipelineError):
    """An artifact that is needed doesn't exist."""


class StepError(PipelineError):
    """A step failed."""


def did_you_mean(given: str, allowed: list[str]) -> str:
    """Return ' Did you mean ...?' for the allowed names close to the given one, else ''."""
    matches = get_close_matches(given, allowed, n=3) or [
        name for name in allowed if get_close_matches(given, name.split("_"))
    ]
    return f" Did you mean {' or '.join(map(repr, matches))}?" if matches else ""
