"""Signals to stop are heard, by whom they are meant for, when it is safe."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pipeline.signals import holding_interrupts

TELLS = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"


@pytest.fixture
def ignored() -> Iterator[None]:
    """SIGINT is ignored, as in a background job of a shell."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, previous)


def test_an_interrupt_waits_until_the_block_has_ended() -> None:
    reached = []

    def start() -> None:
        with holding_interrupts():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end of the block")

    with pytest.raises(KeyboardInterrupt):
        start()

    assert reached == ["the end of the block"]


@pytest.mark.usefixtures("ignored")
def test_a_child_hears_ctrl_c_even_where_this_process_does_not() -> None:
    with holding_interrupts():
        told = subprocess.run([sys.executable, "-c", TELLS], capture_output=True, check=True)
        signal.raise_signal(signal.SIGINT)

    assert told.stdout == b"False\n"
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
