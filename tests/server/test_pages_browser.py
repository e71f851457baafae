"""The pages in a real browser: what only a browser can tell."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import open_browser, visit
from wandb_server import Server

# A run that logs one of each kind and a model, and a sweep.
LOG = r"""
import json, wandb
hostile = "<img src=x onerror=document.title='owned'>"
own = "top.document.title='owned'"
pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
card = ("<style>h1 { color: rgb(1, 2, 3) }</style><h1>Model card</h1>"
        f"<img src='{pixel}' alt='inside'>"
        f"<img src='/static/icon.svg' alt='outside'><script>{own}</script>")
with wandb.init(project="songs", job_type="train", name="trial " + hostile) as run:
    for step in range(20):
        run.log({"loss": 1 / (step + 1), "weights": wandb.Histogram([step, step, step + 1])})
    run.log({"card": wandb.Html(card), "own figure": wandb.Html(
        "<p id=said>held</p><script>said.textContent = 'runs';"
        "try { said.textContent += ' as ' + top.document.title }"
        "catch { said.textContent += ' alone' }"
        "fetch('/static/icon.svg').catch(() => said.textContent += ', offline')</script>")})
    model = wandb.Artifact("model_export", "model")
    with model.new_file("card.html") as file:
        file.write(card)
    with model.new_file("logo.svg") as file:
        file.write("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>"
                   f"<script>{own}</script><rect width='9'/></svg>")
    run.log_artifact(model, aliases=["prod"]).wait()
from wandb.agents import pyagent
pyagent.Agent.HEARTBEAT_SLEEP_SECONDS = 0.05
def trial():
    with wandb.init() as run:
        run.summary["score"] = run.config["depth"] / 2
grid = {"method": "grid", "name": "depths", "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"depth": {"values": [0, 1, 2]}}}
wandb.agent(wandb.sweep(grid, project="trials"), trial, project="trials")
"""


def run_python(server: Server, folder: Path, text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=os.environ | server.environment() | {"WANDB_SILENT": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(module_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Server:
    run_python(module_server, tmp_path_factory.mktemp("trials"), LOG)
    return module_server


@pytest.fixture
def page(chromium: Browser, site: Server) -> Iterator[Page]:
    """A signed-in page; what the browser's console complains of fails the test."""
    with visit(chromium, site.sign_in_url("/local/songs")) as page:
        yield page
        assert page.title() != "owned"


def test_a_web_page_among_the_files_has_its_own_looks_and_can_do_nothing(
    page: Page, site: Server
) -> None:
    page.goto(f"{site.base_url}/local/songs/artifacts/model/model_export/v0/files/card.html")
    card = page.frame_locator("iframe")
    expect(card.get_by_role("heading", name="Model card")).to_have_css("color", "rgb(1, 2, 3)")
    expect(card.get_by_alt_text("inside")).to_have_js_property("naturalWidth", 1)
    expect(card.get_by_alt_text("outside")).to_have_js_property("complete", True)
    expect(card.get_by_alt_text("outside")).to_have_js_property("naturalWidth", 0)


def test_a_logged_page_is_shown_on_the_run_s_page(page: Page) -> None:
    page.get_by_role("link", name=re.compile("^trial")).click()
    expect(page.get_by_role("link", name="card", exact=True)).to_be_visible()
    frame = page.frame_locator("iframe[title='card']")
    expect(frame.get_by_role("heading", name="Model card")).to_be_visible()


def test_a_logged_page_runs_its_scripts_only_when_asked_and_then_reaches_nothing(
    page: Page,
) -> None:
    page.get_by_role("link", name=re.compile("^trial")).click()
    said = page.frame_locator("iframe[title='own figure']").locator("#said")
    expect(said).to_have_text("held")
    expect(page.get_by_text("It has scripts of its own, which are held back.")).to_have_count(2)
    page.get_by_role("link", name="Run them").last.click()
    expect(said).to_have_text("runs alone, offline")
    expect(page.get_by_text("It has scripts of its own, which are held back.")).to_have_count(1)


def test_an_image_that_holds_a_script_is_shown_without_it(page: Page, site: Server) -> None:
    page.goto(f"{site.base_url}/local/songs/artifacts/model/model_export/prod")
    expect(page.get_by_role("img", name="logo.svg")).to_be_visible()


def test_a_chart_names_its_value_at_the_pointer(page: Page) -> None:
    page.get_by_role("link", name=re.compile("^trial")).click()
    page.locator("svg.chart").first.hover(position={"x": 100, "y": 50})
    expect(page.locator(".readout")).to_have_text(re.compile(r"^_step \d+: \d(\.\d+)?$"))


def test_histograms_are_shown_step_by_step(page: Page) -> None:
    page.get_by_role("link", name=re.compile("^trial")).click()
    expect(page.get_by_label("count: 3 values from 19 to 20.")).to_be_visible()
    expect(page.get_by_label(re.compile("the median goes from 0"))).to_be_visible()
    page.get_by_role("link", name="Earlier").click()
    page.get_by_role("link", name="Earlier").click()
    expect(page.get_by_label("count: 3 values from 18 to 19.")).to_be_visible()


def test_a_range_on_an_axis_chooses_runs_by_pointer_and_by_keyboard(
    page: Page, site: Server
) -> None:
    page.goto(f"{site.base_url}/local/trials/sweeps")
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
    page: Page, site: Server, tmp_path: Path
) -> None:
    begin = """
import sys, wandb
run = wandb.init(project="live", id="followed", settings=wandb.Settings(console="wrap"))
print("first words", flush=True)
sys.stdin.readline()
print("last words")
run.finish()
"""
    program = subprocess.Popen(
        [sys.executable, "-c", begin],
        cwd=tmp_path,
        env=os.environ | site.environment() | {"WANDB_SILENT": "true"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "first words\n"
    page.goto(f"{site.base_url}/local/live/runs/followed")
    expect(page.locator("h1 .state")).to_have_text("running")
    page.evaluate("window.isTheSamePage = true")
    program.communicate("\n", timeout=30)
    expect(page.locator("h1 .state")).to_have_text("finished")
    expect(page.locator(".console")).to_contain_text("last words")
    assert page.evaluate("window.isTheSamePage")


@pytest.mark.parametrize(
    "path",
    [
        "/songs",
        "/trials/compare",
        "/songs/artifacts",
        "/songs/artifacts/model/model_export/v0/lineage",
        "/songs/sweeps",
    ],
)
def test_narrow_pages_are_not_wider_than_the_screen(page: Page, site: Server, path: str) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(f"{site.base_url}/local{path}")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_keyboard_reaches_the_content_first(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Filter", exact=True)).to_be_focused()
