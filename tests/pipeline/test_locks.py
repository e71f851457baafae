"""A lock is held by one at a time, and who waits long for it says so."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from pipeline.locks import locked


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_long_wait_is_told_once_and_ends_with_the_lock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path, events = tmp_path / "locks" / "store", []

    def take() -> None:
        with locked(path, "it is free"):
            events.append("taken")

    with locked(path, "it is free"):
        other = Thread(target=take)
        other.start()
        wait_until(lambda: bool(caplog.messages))
        assert events == []
    other.join(30)

    assert events == ["taken"]
    assert caplog.messages == ["Waiting until it is free ..."]


def test_a_free_lock_is_taken_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    for _ in range(2):
        with locked(tmp_path / "store", "it is free"):
            assert (tmp_path / "store").exists()

    assert caplog.messages == []
