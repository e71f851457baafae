"""Regular expressions that clients send: some take for ever, so all are given little time."""

import time

from wandb_server.errors import ClientError

MAX_CHARACTERS = 1_000
# For all texts that one pattern is held against: thousands of them take milliseconds.
SECONDS = 2.0


class Pattern:
    """A regular expression in the syntax of Python's `re`, for one request."""

    def __init__(self, text: str) -> None:
        """Compile it.

        Raises:
            ClientError: It is no regular expression, or too long a one.
        """
        import regex  # here, since few requests need it, and it takes a while to load

        if len(text) > MAX_CHARACTERS:
            raise ClientError(f"filters: $regex takes {MAX_CHARACTERS} characters at most")
        try:
            self._compiled = regex.compile(text)
        except regex.error as error:
            raise ClientError(f"filters: $regex {text!r}: {error}") from error
        self._left = SECONDS

    def finds(self, text: str) -> bool:
        """Tell whether the expression matches a part of a text.

        Raises:
            ClientError: The time that this pattern has is used up.
        """
        start = time.monotonic()
        try:
            # `concurrent` lets other requests go on meanwhile, which `re` doesn't.
            found = self._compiled.search(text, timeout=max(self._left, 0.0), concurrent=True)
        except TimeoutError as error:
            raise ClientError(
                f"filters: $regex {self._compiled.pattern!r} takes over {SECONDS:g} seconds: "
                "avoid repeats inside of repeats"
            ) from error
        self._left -= time.monotonic() - start
        return bool(found)
