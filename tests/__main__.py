"""Run pytest with options given as one text, as MLflow passes them."""

import os
import shlex
import signal
import sys

import pytest

if __name__ == "__main__":
    # Whoever stops what takes too long, as CI does, sets a limit below its own: then pytest still
    # says what has failed.
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(int(os.environ.get("TESTS_SECONDS", "0")))
    sys.exit(pytest.main([word for argument in sys.argv[1:] for word in shlex.split(argument)]))
