"""Signals to stop are heard, by whom they are meant for, when it is safe."""

import signal
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from pipeline.signals import (
    STOP_SIGNALS,
    heard_by_children,
    hearing_signals,
    holding_signals,
    stop_on_signals,
    wait_for,
)

TELLS = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"


pytestmark = pytest.mark.usefixtures("handlers")


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_waits_until_the_block_has_ended(number: signal.Signals) -> None:
    stop_on_signals(lambda: False)
    reached = []

    def work() -> None:
        with holding_signals():
            signal.raise_signal(number)
            reached.append("the end of the block")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert reached == ["the end of the block"]


def test_a_signal_that_waits_is_heard_before_the_next_wait() -> None:
    stop_on_signals(lambda: False)
    reached = []
    endless: Future[None] = Future()

    def work() -> None:
        with holding_signals():
            signal.raise_signal(signal.SIGINT)
            reached.append("the wait")
            wait_for(endless)

    with pytest.raises(KeyboardInterrupt):
        work()

    assert reached == ["the wait"]


def test_a_signal_during_a_wait_is_heard_at_once_and_those_after_it_are_ignored() -> None:
    came = stop_on_signals(lambda: False)
    ended = []

    def work() -> None:
        with holding_signals():
            try:
                with hearing_signals():
                    signal.raise_signal(signal.SIGTERM)
                    ended.append("too late")
            finally:
                signal.raise_signal(signal.SIGINT)
                ended.append("well")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert came.is_set()
    assert ended == ["well"]


def test_the_same_signal_for_a_second_time_is_heard_at_once() -> None:
    stop_on_signals(lambda: False)
    reached = []

    def work() -> None:
        with holding_signals():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            reached.append("the second Ctrl-C")
            signal.raise_signal(signal.SIGINT)
            reached.append("too late")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert reached == ["the second Ctrl-C"]


def test_the_wait_of_another_thread_lets_no_signal_through() -> None:
    stop_on_signals(lambda: False)
    reached = []

    def wait() -> None:
        with hearing_signals():
            pass

    def work() -> None:
        with holding_signals(), ThreadPoolExecutor(1) as threads:
            threads.submit(wait).result()
            signal.raise_signal(signal.SIGINT)
            reached.append("the end of the block")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert reached == ["the end of the block"]


def test_a_child_hears_ctrl_c_even_in_a_background_job_of_a_shell() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_on_signals(lambda: False)

    with heard_by_children():
        told = subprocess.run([sys.executable, "-c", TELLS], capture_output=True, check=True)
        signal.raise_signal(signal.SIGINT)

    assert told.stdout == b"False\n"
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
