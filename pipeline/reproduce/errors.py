"""Why something can't be run again."""

from pipeline.errors import PipelineError


class ReproduceError(PipelineError):
    """It can't be run again; the message says what to do."""
