"""The benchmark measures what it says, and computes its tables from that."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import report, run
from benchmarks.contest import find_command
from benchmarks.enlarge import enlarge
from benchmarks.place import HERE, BenchmarkError, isolate
from benchmarks.programs import run_program
from benchmarks.report import TracedStep
from benchmarks.timing import Measured, measure
from benchmarks.tools import vary

ROOT = Path(__file__).resolve().parents[1]


def cells(table: str) -> list[list[str]]:
    """Return the rows of a Markdown table, without its header."""
    rows = [line for line in table.split("\n") if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.exhaustive
def test_the_command_prints_its_tables_and_clears_up(tmp_path: Path) -> None:
    small, folder = tmp_path / "a few songs.parquet", tmp_path / "temporary"
    pq.write_table(pq.read_table(ROOT / "sample_data" / "songs.parquet")[:300], small)
    folder.mkdir()
    options = ["--data", str(small), "--rounds", "1", "--env_manager", "local"]
    options += ["--parts", "floor,steps,unchanged", "--tools", "none"]
    options += ["--hydra_options", "main.execute_steps=download"]

    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", *options],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    _, contest, steps, unchanged, aims = result.stdout.strip().split("\n\n")
    assert [(row[0], row[3]) for row in cells(contest)] == [("six scripts from a shell", "1.00")]
    (download, total) = cells(steps)
    assert download[0] == "download"
    assert sum(map(float, download[1:7])) == pytest.approx(float(download[7]), abs=0.05)
    assert download[1:8] == total[1:8]
    assert int(download[8].removesuffix(" MB")) > 50  # wandb alone takes that
    labels = [row[0] for row in cells(unchanged)]
    assert labels == ["python main.py", "python main.py, first such run"]
    ((aim, seconds, *_),) = cells(aims)
    assert (aim, seconds) == ("unchanged: python main.py", cells(unchanged)[0][1])
    assert list(folder.iterdir()) == []


def test_a_contestant_is_compared_round_by_round() -> None:
    table = report.compare(
        {"floor": [1.0, 2.0, 4.0], "main": [2.0, 3.0, 6.0]},
        {"floor": "scripts", "main": "main.py"},
        "six steps by",
    )

    assert cells(table) == [
        ["scripts", "2.00", "1.00 - 4.00", "1.00"],
        ["main.py", "3.00", "2.00 - 6.00", "1.50"],
    ]


def test_an_aim_holds_up_to_its_limit_and_is_left_out_if_not_measured() -> None:
    table = report.check_aims({"floor": [4.0], "main": [5.0], "mlflow": [7.0], "dvc": [5.0]})

    assert cells(table) == [
        ["python main.py / floor", "1.25", "1.15 times", "missed"],
        ["mlflow run . - python main.py", "2.00", "2 s", "holds"],
        ["python main.py / DVC", "1.00", "1 times", "holds"],
    ]
    assert report.check_aims({"floor": [1.0]}) == ""


def test_a_step_is_shown_by_medians_its_largest_memory_and_the_rest_as_exit() -> None:
    runs = [
        TracedStep(Measured(seconds, peak), {"work": 1.0, "wandb": 0.5})
        for seconds, peak in [(2.0, 10_000_000), (2.5, 30_000_000), (9.0, 20_000_000)]
    ]

    (row, total) = cells(report.tabulate_steps({"download": runs}))

    assert row == ["download", "0.00", "0.00", "0.00", "0.50", "1.00", "1.00", "2.50", "30 MB"]
    assert total[1:8] == row[1:8]


def test_ten_times_the_rows_has_no_equal_rows_that_were_not_there_before() -> None:
    table = pa.table({"x": [0.25, -60.0, None, 0.25], "n": [1, 2, 3, 1], "t": ["a", "b", "c", "a"]})

    larger = enlarge(table, 10)

    assert larger.schema == table.schema
    assert larger.num_rows == 40
    assert len(set(zip(*larger.to_pydict().values(), strict=True))) == 10 * 2 + 1
    assert larger["x"].to_pylist()[-4] == pytest.approx(0.25)
    with pytest.raises(ValueError, match="no column of floating-point numbers"):
        enlarge(table.select(["n"]), 10)


def test_growth_is_told_by_step_and_missed_where_time_or_memory_grow_too_much() -> None:
    growth = {
        size: {
            "download": [Measured(size * 2.0, 50_000_000)],
            "main": [Measured(1.0, size**2 * 1_000_000)],
        }
        for size in (1, 10)
    }

    assert cells(report.tabulate_growth(growth)) == [
        ["download", "2.00", "20.00", "10.0", "50", "50", "1.0", "holds"],
        ["python main.py", "1.00", "1.00", "1.0", "1", "100", "100.0", "missed"],
    ]
    assert cells(report.check_aims(report.flatten_growth(growth))) == [
        ["10 times the rows: time", "1.00", "11 times", "holds"],
        ["10 times the rows: memory", "100.00", "11 times", "missed"],
    ]


def test_what_stands_for_bash_hands_over_and_takes_down_the_step(tmp_path: Path) -> None:
    result = tmp_path / "steps.jsonl"
    script = 'read word; echo "$word $0"; exit 3'

    done = subprocess.run(
        [sys.executable, str(HERE / "time_step.py"), str(result), "bash", "-c", script, "said"],
        cwd=tmp_path,
        input="hear",
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (3, "hear said\n")
    step, seconds, peak = json.loads(result.read_text())
    assert step == tmp_path.name
    assert seconds > 0
    assert peak > 0


def test_a_model_s_settings_change_where_they_are_told_to() -> None:
    settings = "random_forest:\n  max_depth: 13\n  n_jobs: -1\ntfidf:\n  max_features: 10\n"

    assert vary(settings, max_depth=4, n_jobs=1) == settings.replace("13", "4").replace("-1", "1")
    with pytest.raises(BenchmarkError, match="no depth to change"):
        vary(settings, depth=4)


def test_programs_of_one_process_have_modules_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("one", "two"):
        (tmp_path / step).mkdir()
        (tmp_path / step / "namesake.py").write_text(f"NAME = {step!r}")
        (tmp_path / step / "run.py").write_text(
            "import sys, namesake\nwith open(sys.argv[1], 'a') as file: file.write(namesake.NAME)"
        )
    result = tmp_path / "result"
    calls = {step: ["run.py", str(result)] for step in ("one", "two")}
    (tmp_path / "calls.json").write_text(json.dumps(calls))
    monkeypatch.setenv("BENCHMARK_CALLS", str(tmp_path / "calls.json"))
    monkeypatch.setenv("BENCHMARK_PROJECT", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setenv("WANDB_JOB_TYPE", "")

    for step in ("one", "left_out", "two"):
        run_program(step)

    assert result.read_text() == "onetwo"


def test_a_program_is_measured_from_its_start_to_its_end(tmp_path: Path) -> None:
    program = "import time; held = bytearray(200_000_000); time.sleep(0.2)"

    measured = measure([sys.executable, "-c", program], tmp_path, os.environ, tmp_path / "log")

    assert measured.seconds > 0.2
    assert measured.peak_bytes > 200_000_000


def test_a_failure_is_no_measurement(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such table')"]

    with pytest.raises(BenchmarkError, match=r"exit code 1(.|\n)*no such table"):
        measure(command, tmp_path, os.environ, tmp_path / "log")


def test_time_is_divided_by_what_the_program_does(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import time; time.sleep(0.2)")
    (tmp_path / "run.py").write_text("import time, helper; time.sleep(0.3)")
    result = tmp_path / "seconds.json"

    subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "trace_step.py"), str(result), "run.py"],
        cwd=tmp_path,
        env=os.environ | {"BENCHMARK_LAUNCHED": str(time.time())},
        check=True,
    )

    seconds = json.loads(result.read_text())
    assert set(seconds) == {"interpreter", "import_wandb", "import_other", "work"}
    assert seconds["import_other"] > 0.2
    assert seconds["work"] > 0.3
    assert seconds["import_wandb"] > 0


def test_a_first_run_begins_with_an_empty_home_and_empty_caches(tmp_path: Path) -> None:
    mine = {"HOME": "/home/me", "WANDB_API_KEY": "x", "UV_CACHE_DIR": "/cache", "PATH": "/bin"}

    assert isolate(mine, tmp_path / "home", keep_caches=False) == {
        "HOME": str(tmp_path / "home"),
        "PATH": "/bin",
    }
    assert list((tmp_path / "home").iterdir()) == []


def test_the_first_run_is_the_line_of_the_readme() -> None:
    command = find_command((ROOT / "README.md").read_text())

    assert re.search(r"pip install .* && mlflow run \. --env-manager uv$", command)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--parts", "floor,airflow"], "parts=airflow: use all, or some of floor,main"),
        (["--tools", "make"], "tools=make: use all, or some of mlflow,dvc,metaflow,kedro"),
        (["--rounds", "0"], "rounds=0: measure at least once"),
        (["--data", "/nowhere/table.parquet"], "data=/nowhere/table.parquet is no file"),
    ],
)
def test_parameters_that_make_no_sense_are_told(options: list[str], message: str) -> None:
    with pytest.raises(BenchmarkError, match=re.escape(message)):
        run.parse(options)
