"""The one exception that people who start or use the local server see."""


class ServerError(Exception):
    """The local W&B server can't be started, reached or stopped; the message says what to do."""
