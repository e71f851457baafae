"""Renews the pictures in docs/images from the present pages: `python -m tests.pictures`.

Runs the pipeline and a sweep in a clone of what is committed, lets twenty small networks learn
the same songs, and photographs what the pages show of that: on a server of its own, in a
temporary folder. It takes some minutes and the packages of tests/conda.yml. Look at each picture
before you commit it: what the pages show is also told in README.md and docs/local-server.md.
"""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
from playwright.sync_api import Page
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from tests.browsing import open_browser, visit
from wandb_server import Server, ensure_running, service

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
SWEEP = (
    "-m",
    "main.experiment_name=depths",
    "random_forest_pipeline.random_forest.max_depth=3,6,9,13",
    "random_forest_pipeline.random_forest.n_estimators=20,60",
)
SCORES = ("val/roc_auc_ovo", "val/f1_macro", "val/accuracy")
NETWORKS, EPOCHS, BATCH = 20, 30, 128
_MARGIN = 12.0  # around a part of a page


def main() -> None:
    """Make all runs, then all pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(_own_places(folder))
        server = ensure_running()
        os.environ.update(server.environment())
        try:
            _run_pipeline(folder / "clone")
            _train_networks(folder)
            with open_browser() as browser, visit(browser, server.sign_in_url()) as page:
                for shoot in (_project, _run, _compare, _overlay, _lineage):
                    shoot(page, server)
        finally:
            service.stop()


def _own_places(folder: Path) -> dict[str, str]:
    """Keep away from the user's server, accounts and caches."""
    names = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR", "HOME")
    places = {name: folder / name.lower() for name in names}
    places["WANDB_SERVER_DIR"] = folder / "server"
    for place in places.values():
        place.mkdir(mode=0o700)
    return {name: str(place) for name, place in places.items()} | {"WANDB_SILENT": "true"}


def _run_pipeline(clone: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    for words in ((), SWEEP):
        command = [sys.executable, "main.py", *words, "main.env_manager=local"]
        subprocess.run(command, cwd=clone, check=True)


def _train_networks(folder: Path) -> None:
    """Let networks with different settings learn the songs; log each batch and each epoch."""
    import wandb

    songs = pd.read_parquet(ROOT / "sample_data" / "songs.parquet").dropna(subset=["genre"])
    numbers = songs.select_dtypes("number").fillna(songs.median(numeric_only=True))
    parts = train_test_split(numbers, songs["genre"], stratify=songs["genre"], random_state=0)
    scaler = StandardScaler().fit(parts[0])
    learn, check = scaler.transform(parts[0]), scaler.transform(parts[1])
    rng = np.random.default_rng(0)
    for number in range(NETWORKS):
        config = {
            "learning_rate": float(np.round(10 ** rng.uniform(-4, -1.6), 5)),
            "alpha": float(np.round(10 ** rng.uniform(-5, -0.5), 6)),
            "hidden": int(rng.choice([8, 16, 32, 64, 128])),
            "activation": str(rng.choice(["relu", "tanh"])),
        }
        name = f"mlp-{number:02}"
        with wandb.init(project="genres", name=name, id=name, config=config, dir=folder) as run:
            _train(run, config, (learn, parts[2].to_numpy()), (check, parts[3].to_numpy()))


def _train(run: Any, config: dict[str, Any], learn: Any, check: Any) -> None:
    import wandb

    run.define_metric("epoch")
    run.define_metric("val/*", step_metric="epoch")
    network = MLPClassifier(
        hidden_layer_sizes=(config["hidden"],),
        activation=config["activation"],
        alpha=config["alpha"],
        learning_rate_init=config["learning_rate"],
        random_state=0,
    )
    names = sorted(set(learn[1]))
    rng = np.random.default_rng(1)
    for epoch in range(EPOCHS):
        order = rng.permutation(len(learn[1]))
        for rows in np.array_split(order, len(order) // BATCH):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # a batch isn't the end
                network.partial_fit(learn[0][rows], learn[1][rows], classes=names)
            right = float(network.score(learn[0][rows], learn[1][rows]))
            run.log({"train/loss": network.loss_, "train/accuracy": right})
        shares = network.predict_proba(check[0])
        found = network.classes_[shares.argmax(axis=1)]
        scores = {
            "val/loss": log_loss(check[1], shares, labels=names),
            "val/accuracy": float((found == check[1]).mean()),
            "val/f1_macro": f1_score(check[1], found, average="macro"),
        }
        weights = wandb.Histogram(network.coefs_[0].ravel(), num_bins=48)
        run.log({"epoch": epoch, **scores, "weights": weights})
    actual, predicted = ([names.index(genre) for genre in genres] for genres in (check[1], found))
    matrix = wandb.plot.confusion_matrix(
        y_true=actual, preds=predicted, class_names=names, title="Confusion matrix"
    )
    few = [name for name in names if name in {"Dark Trap", "Hiphop", "Rap", "dnb", "psytrance"}]
    curve = wandb.plot.roc_curve(
        actual, shares, labels=names, classes_to_plot=[*map(names.index, few)]
    )
    run.log({"confusion": matrix, "roc": curve, "street": _street()})


def _street() -> Any:
    """Draw a street with a car and a tree, the classes of its pixels, and boxes around both."""
    import wandb

    high, wide = np.mgrid[0:240, 0:360]
    shades = np.where(high > 150, 1, 0)
    shades[(abs(wide - 180) < (high - 120) * 0.9) & (high > 150)] = 2
    shades[(wide - 285) ** 2 + (high - 90) ** 2 < 2_000] = 3
    shades[(abs(wide - 285) < 6) & (high > 125) & (high < 185)] = 3
    body = (abs(wide - 150) < 48) & (abs(high - 190) < 18)
    shades[body | ((abs(wide - 150) < 26) & (abs(high - 165) < 12))] = 4
    colours = np.array(
        [[214, 228, 238], [196, 206, 170], [128, 128, 132], [92, 130, 84], [150, 60, 56]]
    )
    noise = np.random.default_rng(0).normal(0, 6, (240, 360, 1))
    picture = (colours[shades] + noise).clip(0, 255).astype(np.uint8)
    labels = {0: "sky", 1: "grass", 2: "road", 3: "tree", 4: "car"}
    found = [
        _box(4, (98, 150, 202, 212), "car", 0.97),
        _box(3, (236, 42, 334, 188), "tree", 0.88),
    ]
    return wandb.Image(
        picture,
        caption="a drawn street",
        masks={"ground truth": {"mask_data": shades, "class_labels": labels}},
        boxes={"predictions": {"box_data": found, "class_labels": labels}},
    )


def _box(number: int, ends: tuple[int, int, int, int], name: str, score: float) -> dict[str, Any]:
    position = dict(zip(("minX", "minY", "maxX", "maxY"), ends, strict=True))
    caption = f"{name} {score}"
    entry = {"position": position, "domain": "pixel", "class_id": number, "box_caption": caption}
    return entry | {"scores": {"sure": score}}


def _project(page: Page, server: Server) -> None:
    asked = [("filter", "job_type = train_random_forest"), ("sort", f"-summary.{SCORES[0]}")]
    shown = ["group", "duration", *(f"summary.{score}" for score in SCORES)]
    shown += [f"config.random_forest.{name}" for name in ("max_depth", "n_estimators")]
    query = urlencode([*asked, *(("column", name) for name in shown)])
    page.goto(f"{server.base_url}/local/songs?{query}")
    boxes = page.locator("table.runs tbody input")
    boxes.nth(0).check()
    boxes.nth(1).check()
    _save(page, "project-page", height=626)


def _run(page: Page, server: Server) -> None:
    page.goto(f"{server.base_url}/local/genres/runs/{_best(page, server)}")
    _save(page, "run-page", height=926, below=page.locator("#media"))


def _best(page: Page, server: Server) -> str:
    """Find the run with the best score, as a person does: the first of the sorted table."""
    page.goto(f"{server.base_url}/local/genres?sort=-summary.val%2Faccuracy")
    link = page.locator("table.runs tbody a").first.get_attribute("href") or ""
    return link.rpartition("/")[2]


def _compare(page: Page, server: Server) -> None:
    query = "sort=-summary.val%2Faccuracy&metric=summary.val%2Faccuracy&x=config.learning_rate"
    page.goto(f"{server.base_url}/local/genres/compare?{query}&search=train&smoothing=0.8")
    _save(page, "compare-page", height=1060)
    page.get_by_label("val/accuracy from").evaluate(
        "slider => { slider.value = 0.8 * slider.max;"
        " slider.dispatchEvent(new Event('input', { bubbles: true })) }"
    )
    _save(page, "parallel", height=612, below=page.locator("#parallel"))


def _overlay(page: Page, server: Server) -> None:
    page.goto(f"{server.base_url}/local/genres/runs/{_best(page, server)}")
    figure = page.locator("figure", has=page.locator("svg.over"))
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box() or {}
    x, y, width, height = (box[side] for side in ("x", "y", "width", "height"))
    frame = (x - _MARGIN, y - _MARGIN, width + 2 * _MARGIN, height + 2 * _MARGIN)
    clip = dict(zip(("x", "y", "width", "height"), frame, strict=True))
    page.screenshot(path=IMAGES / "overlays.png", clip=clip)


def _lineage(page: Page, server: Server) -> None:
    page.goto(f"{server.base_url}/local/songs/artifacts/model/model_export/prod")
    page.get_by_role("link", name="Lineage").click()
    _save(page, "lineage-page", height=320)


def _save(page: Page, name: str, height: int, below: Any = None) -> None:
    """Photograph what the browser shows, from its top or from some heading on."""
    page.set_viewport_size({"width": 1280, "height": height})
    if below is not None:
        below.evaluate("heading => window.scrollTo(0, heading.getBoundingClientRect().top"
                       " + window.scrollY - 12)")  # fmt: skip
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
