"""The pages in a real browser: what only a browser can tell."""

import io
import json
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browsing import open_browser, visit
from tests.server.conftest import KEY, LiveServer
from wandb_server.auth import Signer
from wandb_server.service import SIGN_IN

HOSTILE = "<img src=x onerror=document.title='owned'>"
OWN = "top.document.title='owned'"
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
CARD = (
    "<style>h1 { color: rgb(1, 2, 3) }</style><h1>Model card</h1>"
    f"<img src='{PIXEL}' alt='inside'>"
    f"<img src='/static/icon.svg' alt='outside'><script>{OWN}</script>"
)
FIGURE = (
    "<p id=said>held</p><script>said.textContent = 'runs';"
    "try { said.textContent += ' as ' + top.document.title }"
    "catch { said.textContent += ' alone' }"
    "fetch('/static/icon.svg').catch(() => said.textContent += ', offline')</script>"
)
LOGO = (
    f"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>{OWN}</script>"
    "<rect width='9'/></svg>"
)
RUN, CARDS = "/local/shown/runs/all", "/local/shown/runs/cards"
SWEEP = """mutation ($c: String) { upsertSweep(input: {config: $c, projectName: "shown-trials"}) {
    sweep { name } } }"""
AGENT = """mutation ($s: String!) { createAgent(
    input: {host: "h", projectName: "shown-trials", sweep: $s}) { agent { id } } }"""
BEAT = 'mutation ($a: ID!) { agentHeartbeat(input: {id: $a, runState: "{}"}) { commands } }'
START = """mutation ($p: String!, $n: String!, $s: String, $c: JSONString, $m: JSONString) {
    upsertBucket(input: {name: $n, modelName: $p, sweep: $s, config: $c, summaryMetrics: $m}) {
        bucket { id } } }"""


def log_all(wandb: ModuleType) -> None:
    """Log one of each kind, and a model; web pages, each a process of the browser, apart."""
    with wandb.init(project="shown", id="all") as run:
        for step in range(20):
            values = wandb.Histogram([step, step, step + 1])
            run.log({"loss": 1 / (step % 4 + 1), "weights": values})
        run.log({"street": street(wandb)})
    with wandb.init(project="shown", id="cards", name="trial " + HOSTILE) as run:
        run.log({"card": wandb.Html(CARD), "own figure": wandb.Html(FIGURE)})
        model = wandb.Artifact("model_export", "model")
        for name, text in (("card.html", CARD), ("logo.svg", LOGO)):
            with model.new_file(name) as file:
                file.write(text)
        run.log_artifact(model, aliases=["prod"]).wait()


def street(wandb: ModuleType) -> Any:
    """Make a white picture with a mask, road at the left and sky at the right, and a box."""
    shades = np.repeat([[3] * 40 + [200] * 40], 60, axis=0)
    mask = {"mask_data": shades, "class_labels": {3: "road", 200: "sky " + HOSTILE}}
    position = {"minX": 0.4, "maxX": 0.6, "minY": 0.4, "maxY": 0.6}
    entry = {"position": position, "class_id": 1, "box_caption": "car " + HOSTILE}
    boxes = {"box_data": [entry], "class_labels": {1: "car"}}
    white = np.full((60, 80, 3), 255, dtype=np.uint8)
    return wandb.Image(white, boxes={"found": boxes}, masks={"ground": mask})


def sweep(live: LiveServer) -> None:
    """Let a grid of three runs be worked off, as an agent and its programs do."""
    config = {"method": "grid", "name": "depths", "metric": {"name": "score", "goal": "maximize"},
              "parameters": {"depth": {"values": [0, 1, 2]}, "rows": {"value": 7}}}  # fmt: skip
    name = live.data(SWEEP, c=json.dumps(config))["upsertSweep"]["sweep"]["name"]
    agent = live.data(AGENT, s=name)["createAgent"]["agent"]["id"]
    for _ in range(3):
        (command,) = json.loads(live.data(BEAT, a=agent)["agentHeartbeat"]["commands"])
        given, run = command["args"], command["run_id"]
        score = json.dumps({"score": given["depth"]["value"] / 2})
        live.data(START, p="shown-trials", n=run, s=name, c=json.dumps(given), m=score)
        post(live, "shown-trials", run, complete=True, exitcode=0)


def post(live: LiveServer, project: str, run: str, **fields: Any) -> None:
    """Send what the SDK streams of a run."""
    path = f"/files/local/{project}/{run}/file_stream"
    assert live.request("POST", path, json.dumps(fields).encode())[0] == 200


def console(offset: int, text: str) -> dict[str, Any]:
    return {"output.log": {"offset": offset, "content": [f"2026-01-01T00:00:00.000001 {text}"]}}


@pytest.fixture(scope="module")
def opened(live: LiveServer, wandb: ModuleType) -> Iterator[Page]:
    """A signed-in page, the same for all tests; what its console complains of fails the last."""
    log_all(wandb)
    sweep(live)
    query = urlencode({"token": Signer(KEY).sign(SIGN_IN, 600), "next": "/"})
    with (
        open_browser() as browser,
        visit(browser, f"{live.base_url}/signin?{query}") as page,
    ):
        yield page


class Visitor:
    """A person at the browser, who knows the server's address."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.page = page
        self.base_url = base_url

    def open(self, path: str) -> Page:
        self.page.goto(self.base_url + path)
        return self.page


@pytest.fixture
def visitor(opened: Page, live: LiveServer) -> Iterator[Visitor]:
    yield Visitor(opened, live.base_url)
    assert opened.title() != "owned"


def test_a_web_page_among_the_files_has_its_own_looks_and_can_do_nothing(
    visitor: Visitor,
) -> None:
    page = visitor.open("/local/shown/artifacts/model/model_export/v0/files/card.html")
    card = page.frame_locator("iframe")
    expect(card.get_by_role("heading", name="Model card")).to_have_css("color", "rgb(1, 2, 3)")
    expect(card.get_by_alt_text("inside")).to_have_js_property("naturalWidth", 1)
    expect(card.get_by_alt_text("outside")).to_have_js_property("complete", True)
    expect(card.get_by_alt_text("outside")).to_have_js_property("naturalWidth", 0)


def test_a_logged_page_is_shown_on_the_run_s_page_which_the_table_leads_to(
    visitor: Visitor,
) -> None:
    page = visitor.open("/local/shown")
    page.get_by_role("link", name=re.compile("^trial")).click()
    expect(page.get_by_role("link", name="card", exact=True)).to_be_visible()
    frame = page.frame_locator("iframe[title='card']")
    expect(frame.get_by_role("heading", name="Model card")).to_be_visible()


def test_a_logged_page_runs_its_scripts_only_when_asked_and_then_reaches_nothing(
    visitor: Visitor,
) -> None:
    page = visitor.open(CARDS)
    said = page.frame_locator("iframe[title='own figure']").locator("#said")
    expect(said).to_have_text("held")
    expect(page.get_by_text("It has scripts of its own, which are held back.")).to_have_count(2)
    page.get_by_role("link", name="Run them").last.click()
    expect(said).to_have_text("runs alone, offline")
    expect(page.get_by_text("It has scripts of its own, which are held back.")).to_have_count(1)


def test_an_image_that_holds_a_script_is_shown_without_it(visitor: Visitor) -> None:
    page = visitor.open("/local/shown/artifacts/model/model_export/prod")
    expect(page.get_by_role("img", name="logo.svg")).to_be_visible()


def test_a_chart_names_its_value_at_the_pointer(visitor: Visitor) -> None:
    page = visitor.open(RUN)
    page.locator("svg.chart").first.hover(position={"x": 100, "y": 50})
    expect(page.locator(".readout")).to_have_text(re.compile(r"^_step \d+: \d(\.\d+)?$"))


def test_curves_follow_the_slider_and_the_address_keeps_its_value(visitor: Visitor) -> None:
    page = visitor.open(f"{RUN}?metric=loss")
    slider = page.get_by_label("Smoothing")
    expect(page.locator(".pale")).to_have_count(0)
    slider.fill("0.99")
    expect(page).to_have_url(re.compile(r"metric=loss&smoothing=0\.99$"))
    smoothed = page.get_by_label(re.compile(r"loss: .*, at last 0\.25, smoothed 0\.5"))
    expect(smoothed).to_be_visible()
    expect(page.locator(".pale")).to_have_count(1)
    smoothed.hover(position={"x": 200, "y": 50})
    expect(page.locator(".readout")).to_have_text(re.compile(r": 0\.\d+ \(\d.*\)$"))

    page.reload()
    expect(slider).to_have_value("0.99")
    expect(smoothed).to_be_visible()
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator(".pale")).to_have_count(0)
    expect(page).to_have_url(re.compile("metric=loss$"))


def colours(picture: Locator, *shares: float) -> list[Any]:
    """Read the colours of a picture near its top, at shares of its width."""
    shot = Image.open(io.BytesIO(picture.screenshot())).convert("RGB")
    return [shot.getpixel((int(shot.width * share), int(shot.height * 0.1))) for share in shares]


def test_masks_have_a_colour_a_class_and_each_is_switched_by_itself(visitor: Visitor) -> None:
    page = visitor.open(RUN)
    picture = page.get_by_label(re.compile("^street: mask ground: road, sky"))
    # 55 % of the third and of the first colour, over white.
    road, sky = (pytest.approx(colour, abs=2) for colour in ((205, 137, 191), (121, 165, 210)))
    assert colours(picture, 0.2, 0.49, 0.51, 0.8) == [road, road, sky, sky]
    switch = page.get_by_role("checkbox", name="road")
    switch.click()
    assert colours(picture, 0.2, 0.8) == [(255, 255, 255), sky]
    switch.press("Space")
    assert colours(picture, 0.2, 0.8) == [road, sky]


def test_boxes_are_captioned_and_switched_by_class(visitor: Visitor) -> None:
    page = visitor.open(RUN)
    caption = page.locator("svg text").get_by_text(f"car {HOSTILE}"[:58])
    expect(caption).to_be_visible()
    page.get_by_role("checkbox", name="car (1)").click()
    expect(caption).to_be_hidden()


def test_histograms_are_shown_step_by_step(visitor: Visitor) -> None:
    page = visitor.open(f"{RUN}?smoothing=0.5")
    expect(page.get_by_label("count: 3 values from 19 to 20.")).to_be_visible()
    expect(page.get_by_label(re.compile("the median goes from 0"))).to_be_visible()
    for _ in range(2):
        page.get_by_role("link", name="Earlier").click()
    expect(page.get_by_label("count: 3 values from 18 to 19.")).to_be_visible()
    expect(page.get_by_label("Smoothing")).to_have_value("0.5")


def test_the_table_of_a_sweep_has_the_settings_that_vary(visitor: Visitor) -> None:
    page = visitor.open("/local/shown-trials/sweeps")
    page.get_by_role("link", name="depths").click()
    headings = page.get_by_role("columnheader")
    expect(headings).to_have_text(["Run", "State", "score", "depth", "Duration"])
    expect(page.locator("pre")).to_contain_text("rows")


def test_a_range_on_an_axis_chooses_runs_by_pointer_and_by_keyboard(visitor: Visitor) -> None:
    page = visitor.open("/local/shown-trials/sweeps")
    page.get_by_role("link", name="depths").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sweep depths finished")
    chosen = page.locator("#ranges output")
    expect(chosen).to_have_text("3 of 3 runs")
    chart = page.locator("svg.parallel")
    chart.scroll_into_view_if_needed()
    box, axis = chart.bounding_box(), page.locator("#ranges [data-place]").first
    assert box is not None
    x = box["x"] + float(axis.get_attribute("data-place") or 0)
    page.mouse.move(x, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(x, box["y"] + 310, steps=3)
    page.mouse.up()
    expect(chosen).to_have_text("1 of 3 runs")

    page.get_by_role("button", name="Show all").click()
    expect(chosen).to_have_text("3 of 3 runs")
    page.get_by_label("depth from").press("PageUp")
    expect(chosen).to_have_text("2 of 3 runs")
    page.get_by_role("link", name="Compare only these").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 runs")


def test_a_running_run_is_followed_without_loading_the_page_again(
    visitor: Visitor, live: LiveServer
) -> None:
    live.data(START, p="shown-followed", n="r")
    post(live, "shown-followed", "r", files=console(0, "first words"))
    page = visitor.open("/local/shown-followed/runs/r")
    expect(page.locator("h1 .state")).to_have_text("running")
    expect(page.locator(".console")).to_contain_text("first words")
    page.evaluate("window.isTheSamePage = true")
    post(live, "shown-followed", "r", files=console(1, "last words"), complete=True, exitcode=0)
    expect(page.locator("h1 .state")).to_have_text("finished")
    expect(page.locator(".console")).to_contain_text("last words")
    assert page.evaluate("window.isTheSamePage")


def test_narrow_pages_are_not_wider_than_the_screen(visitor: Visitor) -> None:
    usual = visitor.page.viewport_size
    visitor.page.set_viewport_size({"width": 360, "height": 700})
    widths = {
        path: visitor.open(path).evaluate("document.documentElement.scrollWidth")
        for path in (
            RUN,
            CARDS,
            "/local/shown",
            "/local/shown-trials/compare?smoothing=0.6",
            "/local/shown/artifacts",
            "/local/shown/artifacts/model/model_export/v0/lineage",
            "/local/shown-trials/sweeps",
        )
    }
    visitor.page.set_viewport_size(usual or {"width": 1280, "height": 900})
    assert set(widths.values()) == {360}, widths


def test_the_keyboard_reaches_the_content_first(visitor: Visitor) -> None:
    page = visitor.open("/local/shown")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Filter", exact=True)).to_be_focused()
