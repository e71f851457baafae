"""Run pytest with options given as one text, as MLflow passes them."""

import shlex
import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main([word for argument in sys.argv[1:] for word in shlex.split(argument)]))
