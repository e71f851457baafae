"""The server's benchmark measures what it says, with the real server and the real SDK."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.place import BenchmarkError
from benchmarks.server import __main__ as program
from benchmarks.server import loads, tables
from benchmarks.server.races import compare_folders, fill_folder
from benchmarks.server.tables import Aim
from tests.test_benchmarks import ROOT, cells


@pytest.mark.exhaustive
def test_the_command_prints_its_tables_and_clears_up(tmp_path: Path) -> None:
    options = ["--parts", "run", "--rounds", "1", "--no-trackio"]

    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.server", "--folder", str(tmp_path), *options],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    _, runs, aims = result.stdout.strip().split("\n\n")
    whole, inside = cells(runs)
    assert float(whole[1]) > float(inside[1]) > 0  # the server's
    assert float(whole[2]) > float(inside[2]) > 0  # offline mode's
    assert whole[3] == "-"
    ((aim, ratio, limit, verdict),) = cells(aims)
    assert (aim, limit) == ("a run / the same in offline mode", "at most 1.1 times")
    assert float(ratio) == pytest.approx(float(whole[4]))
    assert verdict == ("holds" if float(ratio) <= 1.1 else "missed")
    assert list(tmp_path.iterdir()) == []


def test_time_in_requests_counts_once_where_they_overlap() -> None:
    assert loads.covered([(0.0, 1.0), (5.0, 6.0), (0.5, 2.0), (0.6, 0.7)]) == 3.0
    assert loads.covered([]) == 0.0


def test_an_aim_is_the_most_or_the_least_that_a_figure_should_be() -> None:
    table = tables.tabulate_aims(
        [Aim("memory", 119.9, 120, "MB"), Aim("upload", 0.5, 0.6, "times", least=True)]
    )

    assert cells(table) == [
        ["memory", "119.90", "at most 120 MB", "holds"],
        ["upload", "0.50", "at least 0.6 times", "missed"],
    ]


def test_ratios_are_taken_within_rounds() -> None:
    taken = {"local server": [1.0, 4.0, 9.0], "SDK offline": [1.0, 2.0, 3.0]}

    (row,) = cells(tables.tabulate_races({"a run": taken}))

    assert row == ["a run", "4.00", "2.00", "-", "2.00", "-"]


def test_what_comes_back_otherwise_is_no_measurement(tmp_path: Path) -> None:
    for name in ("one", "other"):
        fill_folder(tmp_path / name, 2, 10)

    with pytest.raises(BenchmarkError, match="2 of 2 files came back otherwise"):
        compare_folders(tmp_path / "one", tmp_path / "other")


def test_a_part_that_does_not_exist_is_told() -> None:
    with pytest.raises(BenchmarkError, match="--parts speed: use all, or some of run,history"):
        program.parse(["--parts", "speed"])
