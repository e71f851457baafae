"""Every kind of media that the real SDK logs reads back, byte by byte."""

import hashlib
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.server.conftest import LiveServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

KINDS = {
    "audio": "audio-file",
    "html": "html-file",
    "image": "image-file",
    "molecule": "molecule-file",
    "points": "object3D-file",
    "table": "table-file",
    "video": "video-file",
}
BINS = {"_type": "histogram", "values": [1, 0, 2], "bins": [0, 1, 2, 3]}
FIGURE = {"data": [{"type": "scatter", "y": [1, 2]}], "layout": {}}


def _write_files() -> None:
    with wave.open("hum.wav", "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(160))
    Path("film.gif").write_bytes(b"GIF89a\1\0\1\0\0\0\0;")
    Path("water.pdb").write_text("HEADER    WATER\nEND\n")
    # What the SDK makes of figures of plotly and bokeh, without these packages.
    Path("media/plotly").mkdir(parents=True)
    Path("media/plotly/own.plotly.json").write_text(json.dumps(FIGURE))
    Path("media/bokeh").mkdir()
    Path("media/bokeh/own.bokeh.json").write_text('{"roots": []}')


@pytest.fixture(scope="module")
def run(wandb: ModuleType) -> Iterator[Any]:
    """A finished run with media of every kind, as the public API reads it."""
    _write_files()
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    rows = wandb.Table(columns=["x", "picture"], data=[[1, wandb.Image(pixels)]])
    points = wandb.Table(columns=["x", "y"], data=[[1, 2], [3, 4]])
    with wandb.init(project="media", id="media") as made:
        made.save("media/plotly/*", policy="now")
        made.save("media/bokeh/*", policy="now")
        made.log(
            {
                "audio": wandb.Audio("hum.wav", caption="hum"),
                "bokeh": {"_type": "bokeh-file", "path": "media/bokeh/own.bokeh.json"},
                "bins": wandb.Histogram(np_histogram=([1, 0, 2], [0, 1, 2, 3])),
                "curve": wandb.plot.line(points, "x", "y", title="a curve"),
                "figure": {"_type": "plotly-file", "path": "media/plotly/own.plotly.json"},
                "html": wandb.Html("<p>hi</p>"),
                "image": wandb.Image(pixels, caption="squares"),
                "images": [wandb.Image(pixels), wandb.Image(255 - pixels)],
                "molecule": wandb.Molecule("water.pdb"),
                "points": wandb.Object3D(np.array([[0, 0, 0], [1, 2, 3]])),
                "table": rows,
                "video": wandb.Video("film.gif", format="gif"),
            }
        )
    return wandb.Api().run("media/media")


def _read(run: Any, name: str) -> bytes:
    with run.file(name).download(replace=True) as file:
        return Path(file.name).read_bytes()


@pytest.mark.parametrize(("key", "kind"), KINDS.items())
def test_a_file_of_each_kind_reads_back(run: Any, key: str, kind: str) -> None:
    told = run.summary[key]
    assert told["_type"] == kind
    content = _read(run, told["path"])
    assert (len(content), hashlib.sha256(content).hexdigest()) == (told["size"], told["sha256"])
    (row,) = run.scan_history(keys=[key])
    assert row[key] == dict(told)


def test_captions_several_images_bins_and_figures_read_back(run: Any) -> None:
    summary = run.summary
    assert (summary["audio"]["caption"], summary["image"]["caption"]) == ("hum", "squares")
    first, second = (_read(run, name) for name in summary["images"]["filenames"])
    assert first.startswith(b"\x89PNG")
    assert first != second
    assert dict(summary["bins"]) == BINS
    assert json.loads(_read(run, summary["figure"]["path"])) == FIGURE


def test_the_page_says_how_a_figure_of_bokeh_is_shown(run: Any, live: LiveServer) -> None:
    status, _, page = live.request("GET", f"/{'/'.join(run.path[:2])}/runs/{run.id}")
    assert (status, b"wandb.Html(bokeh.embed.file_html(" in page) == (200, True)


def test_a_custom_chart_reads_back_with_its_table(run: Any) -> None:
    (chart,) = json.loads(run.json_config)["_wandb"]["value"]["visualize"].values()
    assert chart["panel_config"]["panelDefId"] == "wandb/line/v0"
    assert chart["panel_config"]["stringSettings"] == {"title": "a curve"}
    table = json.loads(_read(run, run.summary["curve_table"]["path"]))
    assert (table["columns"], table["data"]) == (["x", "y"], [[1, 2], [3, 4]])


def test_an_image_in_a_logged_table_reads_back(run: Any) -> None:
    (artifact,) = (item for item in run.logged_artifacts() if "media-table" in item.name)
    (row,) = artifact.get("table").data
    assert np.asarray(row[1].image).tolist() == np.arange(12).reshape(2, 2, 3).tolist()


def test_system_metrics_are_there(run: Any) -> None:
    (row, *_) = run.history(stream="events", pandas=False)
    assert row["system.memory_percent"] > 0
    assert run.system_metrics["system.memory_percent"] > 0
