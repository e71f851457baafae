"""The benchmark measures what it says, and computes its tables from that."""

import importlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import report, run
from benchmarks.alone import PLAIN, make_plain, script_trials
from benchmarks.enlarge import enlarge
from benchmarks.first import find_command
from benchmarks.place import HERE, BenchmarkError, Place, isolate
from benchmarks.programs import importable, run_program
from benchmarks.recording import StepCall, write_calls
from benchmarks.report import TracedStep
from benchmarks.timing import Measured, measure
from benchmarks.tools import list_trials, vary, write_trials
from benchmarks.with_dvc import make_stages

ROOT = Path(__file__).resolve().parents[1]


def cells(table: str) -> list[list[str]]:
    """Return the rows of a Markdown table, without its header."""
    rows = [line for line in table.split("\n") if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def run_benchmark(options: list[str], temporary: Path) -> list[str]:
    """Run the benchmark with a temporary folder; return the parts of what it prints."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", *options],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().split("\n\n")


@pytest.mark.exhaustive
def test_the_command_prints_its_tables_and_clears_up(tmp_path: Path) -> None:
    small, folder = tmp_path / "a few songs.parquet", tmp_path / "temporary"
    pq.write_table(pq.read_table(ROOT / "sample_data" / "songs.parquet")[:300], small)
    folder.mkdir()
    options = ["--data", str(small), "--rounds", "1", "--env_manager", "local"]
    options += ["--parts", "floor,steps,unchanged", "--tools", "none"]
    options += ["--hydra_options", "main.execute_steps=download"]

    _, contest, steps, unchanged, aims = run_benchmark(options, folder)

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


@pytest.mark.exhaustive
def test_the_plain_scripts_do_all_steps_by_a_shell_and_in_one_process(tmp_path: Path) -> None:
    options = ["--rounds", "1", "--env_manager", "local", "--tools", "none"]
    options += ["--parts", "untracked,untracked_trials"]

    _, once, trials = run_benchmark(options, tmp_path)

    labels = ["python main.py, tracked", "one process", "scripts from a shell"]
    assert [row[0] for row in cells(once)] == [row[0] for row in cells(trials)] == labels
    _, process, shell = cells(once)
    assert process[3:] == ["-", "-", "-", "-"]
    assert shell[3:5] == ["-", "-"]
    assert "-" not in shell[1:3] + shell[5:]
    assert list(tmp_path.iterdir()) == []


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
    calls = [
        StepCall(step, "python", ["run.py", str(result)], {}, tmp_path / step)
        for step in ("one", "two")
    ]
    monkeypatch.setenv("BENCHMARK_CALLS", str(write_calls(calls, tmp_path / "calls.json")))
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


def recorded_calls(folder: Path) -> list[StepCall]:
    """Return calls as main.py makes them, with the arguments that name what goes in and out."""
    arguments = {
        "download": {"url": "file:///songs", "output_artifact": "raw"},
        "preprocess": {"input_artifact": "raw:v0", "output_artifact": "clean"},
        "check_data": {"sample_artifact": "clean:v1", "report_artifact": "report"},
        "segregate": {"input_artifact": "clean:v1", "train_artifact": "a", "test_artifact": "b"},
        "train_random_forest": {
            "train_artifact": "a:v0",
            "model_config": str(folder / "forest.yaml"),
            "export_artifact": "model",
        },
        "evaluate": {
            "model_artifact": "model:v9",
            "test_artifact": "b:v0",
            "card_artifact": "card",
        },
    }
    (folder / "forest.yaml").write_text("max_depth: 13\nn_jobs: -1\nrandom_state: 42\n")
    calls = []
    for step, values in arguments.items():
        (folder / step).mkdir()
        words = [word for name, value in values.items() for word in (f"--{name}", value)]
        calls.append(StepCall(step, "python", ["run.py", *words], {"WANDB_X": "y"}, folder / step))
    return calls


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, tmp_path, tmp_path / "table.parquet", Path("python"), "local", {})


def test_a_plain_script_is_called_as_its_step_with_files_and_without_w_and_b(place: Place) -> None:
    calls = recorded_calls(place.folder)

    plain = {step.step: step for step in make_plain(place, calls)}

    assert plain["evaluate"].arguments == [
        *(str(PLAIN / "evaluate.py"), "--model_artifact", "model"),
        *("--test_artifact", "b", "--card_artifact", "card"),
    ]
    assert plain["download"].read("url") == "file:///songs"
    assert not any("WANDB" in step.command() or step.variables for step in plain.values())
    with pytest.raises(BenchmarkError, match="leave out preprocess"):
        make_plain(place, [step for step in calls if step.step != "preprocess"])


def test_dvc_passes_files_from_stage_to_stage_in_the_order_of_the_steps(place: Place) -> None:
    stages = make_stages(place, make_plain(place, recorded_calls(place.folder)))

    assert list(stages["segregate"]["outs"]) == [{n: {"cache": False}} for n in ("a", "b")]
    made = [[next(iter(out)) for out in stage["outs"]] for stage in stages.values()]
    for before, stage in zip([[str(place.table)], *made], stages.values(), strict=False):
        assert set(before) <= set(stage["deps"])
    assert set(stages["evaluate"]["deps"]) == {str(PLAIN / "evaluate.py"), "model", "b"}
    assert "--model_config params.yaml" in stages["train_random_forest"]["cmd"]


def test_trials_of_plain_scripts_are_shared_out_and_have_models_of_their_own(place: Place) -> None:
    plain = make_plain(place, recorded_calls(place.folder))
    trials = list_trials(plain, write_trials(place.folder / "trials", plain, 1))

    script = script_trials(plain, trials)

    workers = [line for line in script.split("\n") if " & pid" in line]
    assert [line.count("train_random_forest.py") for line in workers] == [6, 6]
    models = re.findall(r"--export_artifact '(.*?)'", script)
    assert sorted(models) == sorted(f"model of depth {depth}" for depth in range(4, 16))


def test_a_plain_script_makes_the_tables_that_its_step_makes() -> None:
    def load(folder: Path, name: str) -> Any:
        with importable([folder]):
            return importlib.import_module(name)

    raw = pq.read_table(ROOT / "sample_data" / "songs.parquet")
    table = load(PLAIN, "preprocess").clean(raw, "genre")
    call = {"test_size": "0.3", "stratify": "genre", "random_seed": "42"}

    assert table == load(ROOT / "preprocess", "run").clean(raw, "genre")[0]
    assert load(PLAIN, "segregate").split(table, call) == load(
        ROOT / "segregate", "run"
    ).split_table(table, 0.3, "genre", 42)


def test_situations_are_compared_with_main_py_within_each_round() -> None:
    table = report.compare_situations(
        {
            "steps": {"main": [2.0, 4.0, 8.0], "dvc": [1.0, 3.0, 4.0]},
            "unchanged": {"main": [1.0, 1.0, 2.0]},
        },
        {"main": "main.py", "dvc": "DVC"},
        {"steps": "full run", "unchanged": "nothing changed"},
    )

    assert cells(table) == [
        ["main.py", "4.00", "1.00", "1.00", "1.00"],
        ["DVC", "3.00", "0.50", "-", "-"],
    ]


def test_no_round_of_another_part_has_made_main_py_s_model_before() -> None:
    for part, other in (("depth", "untracked"), ("trials", "untracked_trials")):
        numbers = [run.numbers_of(name, 5) for name in (part, other)]
        assert len(numbers[0]) == len(numbers[1]) > 0
        assert not set(numbers[0]) & set(numbers[1])


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
