"""A program that gives the SDK hostile text in every place where a page shows it."""

import base64
import json
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

HOSTILE = "<img src=x onerror=alert(1)>\"'<script>"
_SCRIPT = "<script>alert(1)</script>"
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


def log_hostile(wandb: ModuleType) -> list[str]:
    """Log two runs, an artifact of two versions and a sweep into `songs`.

    Writes files into the working folder.

    Returns:
        The addresses that the SDK gives of the first run, of the project and of the artifact.
    """
    page = Path("page " + HOSTILE.replace("/", "") + ".html")
    page.write_text(_SCRIPT)
    Path("pixel.png").write_bytes(_PIXEL)
    shots = wandb.Table(columns=["picture", "report"])
    shots.add_data(wandb.Image("pixel.png", caption="shot " + HOSTILE), wandb.Html(HOSTILE))
    with wandb.init(
        project="songs",
        job_type="train",
        group="trial " + HOSTILE,
        name="run " + HOSTILE,
        notes="note " + HOSTILE,
        tags=["tag " + HOSTILE],
        config={"key " + HOSTILE: {"deep": "value " + HOSTILE}, "max_depth": 13},
    ) as run:
        _log_values(wandb, run, shots)
        _log_figure(run)
        run.summary["said " + HOSTILE] = "summary " + HOSTILE
        run.alert("alert " + HOSTILE, "alarm " + HOSTILE)
        run.write_logs("console \x1b[31m" + HOSTILE + "\x1b[0m")
        run.save("page*.html", policy="now")
        made = run.log_artifact(
            _make_artifact(wandb, shots, page), aliases=["latest", "prod", "alias " + HOSTILE]
        ).wait()
        urls = [run.url, run.project_url, made.url]
    with wandb.init(project="songs", job_type="evaluate", config={"max_depth": 5}) as run:
        run.use_artifact("model_export:prod")
        again = wandb.Artifact("model_export", "model " + HOSTILE, metadata={"rows": 7})
        again.add_file("pixel.png")
        run.log_artifact(again).wait()
        run.log({"matrix": _image(wandb)})
        run.summary["val/roc_auc_ovo"] = 0.5
    parameters = {"key " + HOSTILE: {"values": ["value " + HOSTILE]}}
    goal = {"name": "val/roc_auc_ovo", "goal": "maximize"}
    config = {"method": "random", "metric": goal, "parameters": parameters}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the SDK's own, of its settings
        wandb.sweep({**config, "name": "sweep " + HOSTILE}, project="songs")
    return urls


def _log_values(wandb: ModuleType, run: Any, shots: Any) -> None:
    run.define_metric("epoch")
    run.define_metric("val/*", step_metric="epoch")
    for epoch in range(3):
        run.log({"val/roc_auc_ovo": 0.953412, "epoch": epoch, "metric " + HOSTILE: epoch})
    words = wandb.Table(columns=["column " + HOSTILE], data=[["cell " + HOSTILE]])
    bars = wandb.Table(columns=["name", "value"], data=[["bar " + HOSTILE, 1]])
    confusion = wandb.plot.confusion_matrix(
        y_true=[0, 1, 1], preds=[0, 1, 0], class_names=["class " + HOSTILE, "other"]
    )
    run.log({"matrix": _image(wandb), "errors": words})
    run.log({"shots": shots})
    run.log(
        {
            "plot " + HOSTILE: wandb.plot.bar(bars, "name", "value", title="title " + HOSTILE),
            "own": wandb.plot_table("me/own " + HOSTILE, bars, {}),
            "confusion": confusion,
        }
    )
    scene = {"type": "lidar/beta", "points": np.eye(3), "boxes": np.array([_space()])}
    run.log(
        {
            "weights " + HOSTILE: wandb.Histogram([1, 2, 2, 3]),
            "page " + HOSTILE: wandb.Html(_SCRIPT),
            "cloud": wandb.Object3D(scene),
        }
    )


def _image(wandb: ModuleType) -> Any:
    position = {"minX": 0, "maxX": 1, "minY": 0, "maxY": 1}
    entry = {"position": position, "class_id": 1, "box_caption": "caption " + HOSTILE}
    entry["scores"] = {"score " + HOSTILE: 0.5}
    boxes = {"box_data": [entry], "class_labels": {1: "kind " + HOSTILE}}
    mask = {"mask_data": np.ones((1, 1)), "class_labels": {1: "label " + HOSTILE}}
    return wandb.Image(
        "pixel.png", boxes={"boxes " + HOSTILE: boxes}, masks={"mask " + HOSTILE: mask}
    )


def _space() -> dict[str, Any]:
    corners = [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    return {"corners": corners, "label": "space " + HOSTILE, "color": [255, 0, 0]}


def _log_figure(run: Any) -> None:
    """Log what the SDK makes of a figure of plotly, without that package."""
    lines = [
        {"type": "scatter", "name": "line " + HOSTILE, "y": [1, 2]},
        {"type": "scatter", "name": "other", "y": [3, 4]},
    ]
    figure = {"data": lines, "layout": {"title": {"text": "figure " + HOSTILE}}}
    path = Path("media/plotly/figure.plotly.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(figure))
    run.save("media/plotly/*", policy="now")
    run.log({"figure": {"_type": "plotly-file", "path": str(path)}})


def _make_artifact(wandb: ModuleType, shots: Any, page: Path) -> Any:
    metadata = {"rows": 42305, "meta " + HOSTILE: "data " + HOSTILE}
    made = wandb.Artifact(
        "model_export", "model " + HOSTILE, description="about " + HOSTILE, metadata=metadata
    )
    made.add_file("pixel.png")
    made.add(shots, "shots")
    made.add_file(str(page))
    with made.new_file("rows.csv") as file:
        file.write("csv " + HOSTILE.replace('"', "").replace("'", "") + "\n1\n")
    made.add_reference("https://example.org/" + HOSTILE, name="elsewhere", checksum=False)
    return made
