"""Whoever downloads a run's history as Parquet gets all of it; scans show what was logged."""

import json
import math
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.server.conftest import Core
from wandb_server.errors import BusyError
from wandb_server.filestream import apply_post
from wandb_server.history_files import HistoryFiles
from wandb_server.scans import Scans

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

UPSERT = "mutation ($i: UpsertBucketInput!) { upsertBucket(input: $i) { bucket { id } } }"
ASK = """query RunParquetHistory {
    project(name: "p") { run(name: "r") { parquetHistory { parquetUrls liveData } } } }"""
LAST_STEP = 'query RunHistoryKeys { project(name: "p") { run(name: "r") { historyKeys } } }'


@pytest.fixture(scope="module")
def logged(wandb: ModuleType) -> str:
    """The path of a finished run with keys that come and go, media, and odd numbers."""
    with wandb.init(project="exports") as run:
        for step in range(6):
            run.log({"loss": 1 / (step + 1), "odd": math.inf})
        run.log({"loss": math.nan, "deep": {"depth": 2, "name": "x"}, "word": "yes"})
        run.log({"bins": wandb.Histogram([1, 2, 2], num_bins=2), "mixed": 3})
        run.log({"mixed": "three"}, step=20)
        return str(run.path)


def _download(wandb: ModuleType, path: str, folder: Path) -> pa.Table:
    """Download the only export of a run's history."""
    found = wandb.Api().run(path).download_history_exports(folder)
    assert (found.contains_live_data, found.errors) == (False, {})
    (file,) = found.paths
    return pq.read_table(file)


def _steps(wandb: ModuleType, path: str, **options: Any) -> list[int]:
    return [row["_step"] for row in wandb.Api().run(path).scan_history(**options)]


def test_a_download_holds_every_row_and_key(wandb: ModuleType, logged: str, tmp_path: Path) -> None:
    table = _download(wandb, logged, tmp_path)

    rows = list(wandb.Api().run(logged).scan_history())
    assert table["_step"].to_pylist() == [0, 1, 2, 3, 4, 5, 6, 7, 20]
    assert set(table.column_names) == {key for row in rows for key in row}
    for key in ("odd", "word", "deep", "_timestamp", "_runtime", "bins"):
        assert table[key].to_pylist() == [row.get(key) for row in rows], key
    losses = table["loss"].to_pylist()
    assert losses[:6] == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6]
    assert math.isnan(losses[6])
    assert [json.loads(text) for text in table["mixed"].to_pylist() if text] == [3, "three"]


def test_scans_show_the_rows_as_they_were_logged_beside_downloads(
    wandb: ModuleType, logged: str, tmp_path: Path
) -> None:
    run = wandb.Api().run(logged)
    for _ in range(2):  # the second time, the SDK would find in its cache what it was given
        rows = list(run.scan_history(page_size=4))
        assert [row["_step"] for row in rows] == [0, 1, 2, 3, 4, 5, 6, 7, 20]
        assert "word" not in rows[0]
        run.download_history_exports(tmp_path)
    assert [row["loss"] for row in run.scan_history(keys=["loss"], min_step=1, max_step=3)] == [
        1 / 2,
        1 / 3,
    ]
    assert list(run.scan_history(keys=["word"])) == [{"word": "yes", "_step": 6}]
    assert list(run.scan_history(keys=["missing"])) == []
    assert list(run.beta_scan_history(keys=["mixed"], min_step=8)) == [
        {"mixed": "three", "_step": 20}
    ]


def test_resumed_forked_and_rewound_runs_are_downloaded_as_they_are_now(
    wandb: ModuleType, project: str, tmp_path: Path
) -> None:
    path = f"{project}/parent"
    with wandb.init(project=project, id="parent") as run:
        for value in range(4):
            run.log({"value": value})
    assert _download(wandb, path, tmp_path)["value"].to_pylist() == [0, 1, 2, 3]
    with wandb.init(project=project, id="parent", resume="must") as run:
        run.log({"value": 10})
    assert _download(wandb, path, tmp_path)["value"].to_pylist() == [0, 1, 2, 3, 10]
    with wandb.init(project=project, fork_from="parent?_step=1", id="fork") as run:
        run.log({"value": 20})
    assert _download(wandb, f"{project}/fork", tmp_path)["value"].to_pylist() == [0, 1, 20]
    with wandb.init(project=project, resume_from="parent?_step=2") as run:
        run.log({"value": 30})
    assert _download(wandb, path, tmp_path)["value"].to_pylist() == [0, 1, 2, 30]
    assert _steps(wandb, path) == [0, 1, 2, 3]


def test_a_run_that_is_still_at_work_has_more_than_its_files(
    wandb: ModuleType, project: str, tmp_path: Path
) -> None:
    incomplete = wandb.apis.public.IncompleteRunHistoryError
    quick = wandb.Settings(x_file_stream_transmit_interval=1)
    with wandb.init(project=project, id="working", settings=quick) as run:
        for value in range(3):
            run.log({"value": value})
        path = f"{project}/working"
        deadline = time.monotonic() + 20
        while len(wandb.Api().run(path).history(pandas=False)) < 3:
            assert time.monotonic() < deadline
        read = wandb.Api().run(path)
        with pytest.raises(incomplete):
            read.download_history_exports(tmp_path)
        part = read.download_history_exports(tmp_path, require_complete_history=False)
        assert part.contains_live_data
        assert pq.read_table(part.paths[0])["value"].to_pylist() == [0, 1]
        assert _steps(wandb, path) == [0, 1, 2]
    assert _download(wandb, path, tmp_path)["value"].to_pylist() == [0, 1, 2]


def test_an_empty_history_has_no_files_and_is_complete(
    wandb: ModuleType, project: str, tmp_path: Path
) -> None:
    with wandb.init(project=project, id="empty"):
        pass
    run = wandb.Api().run(f"{project}/empty")
    found = run.download_history_exports(tmp_path)
    assert (found.paths, found.contains_live_data) == ([], False)
    assert list(run.scan_history()) == []


def _finished(core: Core, *rows: dict[str, Any]) -> Core:
    """Log rows to the run p/r, and end it."""
    core.data(UPSERT, i={"name": "r", "modelName": "p", "host": "h"})
    lines = [json.dumps({"_step": step, **row}) for step, row in enumerate(rows)]
    files = {"wandb-history.jsonl": {"offset": 0, "content": lines}}
    with core.database.write() as connection:
        apply_post(
            connection, ("local", "p", "r"), {"files": files, "complete": True, "exitcode": 0}
        )
    return core


def _ask(core: Core) -> dict[str, Any]:
    answer = core.data(ASK)["project"]["run"]["parquetHistory"]
    assert isinstance(answer, dict)
    return answer


def _digest(core: Core) -> str:
    (url,) = _ask(core)["parquetUrls"]
    return str(url).split("/")[-2]


def _read(core: Core) -> pa.Table:
    return pq.read_table(core.blobs.path(_digest(core)))


@pytest.mark.parametrize(
    ("values", "kind", "stored"),
    [
        ([1, 2.5], pa.float64(), [1, 2.5]),
        ([2**60 + 1, 2**60 + 3], pa.int64(), [2**60 + 1, 2**60 + 3]),
        ([2**70, 1], pa.string(), [str(2**70), "1"]),
        ([2**60 + 1, 0.5], pa.string(), [str(2**60 + 1), "0.5"]),
        ([True, None], pa.bool_(), [True, None]),
        ([1, True], pa.string(), ["1", "true"]),
        (["a", 1], pa.string(), ['"a"', "1"]),
        (["half \ud800", "b"], pa.string(), ['"half \\ud800"', '"b"']),
        ([None, None], pa.null(), [None, None]),
        ([[], [1, 2.5]], pa.list_(pa.field("element", pa.float64())), [[], [1, 2.5]]),
        ([[1], ["a"]], pa.string(), ["[1]", '["a"]']),
        ([{}, {}], pa.string(), ["{}", "{}"]),
        ([{"deep": {}}, {}], pa.string(), ['{"deep": {}}', "{}"]),
        (
            [{"a": 1}, {"b": {"c": "x"}}],
            pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.string())]))]),
            [{"a": 1, "b": None}, {"a": None, "b": {"c": "x"}}],
        ),
    ],
)
def test_a_column_has_the_type_of_its_values_or_holds_their_json(
    core: Core, values: list[Any], kind: pa.DataType, stored: list[Any]
) -> None:
    column = _read(_finished(core, *({"it": value} for value in values)))["it"]
    assert (column.type, column.to_pylist()) == (kind, stored)


def test_types_are_found_over_the_whole_of_a_long_history(core: Core) -> None:
    # Each text fills a batch, so no batch sees both types of a key.
    long = "x" * (4 << 20)
    rows = [
        {"text": long, "number": 1, "both": 1, "part": {"a": 1}, "list": []},
        {"text": long, "number": 2.5, "both": "b", "part": {"b": 2}, "list": [1.5], "late": 2},
    ]
    table = _read(_finished(core, *rows)).drop_columns("text")
    assert table.to_pylist() == [
        {
            "_step": 0,
            "number": 1,
            "both": "1",
            "late": None,
            "part": {"a": 1, "b": None},
            "list": [],
        },
        {
            "_step": 1,
            "number": 2.5,
            "both": '"b"',
            "late": 2,
            "part": {"a": None, "b": 2},
            "list": [1.5],
        },
    ]
    assert table.column_names[0] == "_step"
    assert table.column_names[-2:] == ["part", "list"]


def test_the_address_changes_when_the_history_does(core: Core) -> None:
    first = _digest(_finished(core, {"x": 1}))
    assert _digest(core) == first
    assert _digest(_finished(core, {"x": 1}, {"x": 2})) != first


def test_a_file_is_made_again_only_when_it_is_gone(core: Core) -> None:
    path = core.blobs.path(_digest(_finished(core, {"x": 1})))
    first = path.stat()
    assert core.blobs.path(_digest(core)).stat().st_ino == first.st_ino
    path.unlink()
    assert _digest(core) == path.name
    assert path.stat().st_size == first.st_size


def test_who_asks_while_a_file_is_being_made_is_told_to_ask_again(core: Core) -> None:
    told = []

    def make(*history: Any) -> str:
        with pytest.raises(BusyError, match="ask again in a moment"):
            files.get(*history)
        told.append(history)
        return core.blobs.write(b"made")

    files = HistoryFiles(make)
    _finished(core, {"x": 1})
    with core.database.read() as connection:
        made = [files.get(connection, 1, None, core.blobs) for _ in range(2)]
    assert len(told) == 1
    assert len(set(made)) == 1


def test_a_scan_that_was_announced_reads_live_and_the_next_request_gets_the_file(
    core: Core,
) -> None:
    _finished(core, {"x": 1}, {"x": 2})
    core.data(LAST_STEP)
    assert _ask(core) == {"parquetUrls": [], "liveData": [{"_step": 0}]}
    assert len(_ask(core)["parquetUrls"]) == 1
    # As part of what `Api().run()` reads, the last step announces nothing.
    core.data(LAST_STEP.replace("RunHistoryKeys", "Run"))
    assert len(_ask(core)["parquetUrls"]) == 1


def test_announced_scans_count_for_their_run_and_for_seconds_only() -> None:
    now = [100.0]
    scans = Scans(lambda: now[0])
    scans.announce(1)
    scans.announce(1)
    assert not scans.begin(2)
    assert [scans.begin(1) for _ in range(3)] == [True, True, False]
    scans.announce(1)
    now[0] += 60
    assert not scans.begin(1)
