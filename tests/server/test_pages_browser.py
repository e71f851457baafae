"""A newcomer's way through the pages, in a real browser.

It needs a Chromium: one on the PATH, or one that `playwright install chromium` brought.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from wandb_server import Server

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Three trials of a pipeline of three steps, and what each of them would log.
LOG = r"""
import json, sys, wandb
hostile = "<img src=x onerror=document.title='owned'>"
for number, score in enumerate([0.91, 0.97, 0.93]):
    name = ("trial %d " % number) + hostile
    with wandb.init(project="songs", job_type="download", name="download") as run:
        raw = wandb.Artifact("raw_data", "raw_data")
        with raw.new_file("rows.csv") as file:
            file.write("title,tempo\na,1\n")
        run.log_artifact(raw).wait()
    with wandb.init(project="songs", job_type="train", name=name,
                    config={"max_depth": 5 + number}) as run:
        run.use_artifact("raw_data:latest")
        for step in range(20):
            run.log({"loss": 1 / (step + 1 + number)})
        run.summary["test/roc_auc_ovo"] = score
        matrix = wandb.Table(columns=["actual", "predicted"], data=[["dnb", number]])
        run.log({"confusion": matrix})
        model = wandb.Artifact("model_export", "model", metadata={"score": score})
        with model.new_file("card.html") as file:
            file.write("<h1>Model card</h1><script>parent.document.title='owned'</script>")
        with model.new_file("logo.svg") as file:
            file.write("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>"
                       "<script>top.document.title='owned'</script><rect width='9'/></svg>")
        with model.new_file("weights.json") as file:
            json.dump({"score": score}, file)
        run.log_artifact(model, aliases=["prod"] if number == 0 else []).wait()
    print(run.url)
"""
USE = """
import wandb
print(wandb.Api().artifact("local/songs/model_export:prod").version)
"""


def find_chromium() -> str | None:
    for name in NAMES:
        if found := shutil.which(name):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH, and no playwright's")
    expect.set_options(timeout=15_000)  # the machine may be busy with other tests
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


def run_python(server: Server, folder: Path, text: str) -> list[str]:
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
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def site(module_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Server:
    run_python(module_server, tmp_path_factory.mktemp("trials"), LOG)
    return module_server


@pytest.fixture
def page(chromium: Browser, site: Server) -> Iterator[Page]:
    """A signed-in page; what the browser's console complains of fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # Chromium says of each sandboxed frame that its script was held back, as it should be.
        if message.type in {"error", "warning"} and "sandboxed" not in message.text:
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(site.sign_in_url("/local/songs"))
    yield page
    assert complaints == []
    assert page.title() != "owned"
    context.close()


def test_a_newcomer_finds_the_best_run_compares_and_moves_prod(
    page: Page, site: Server, tmp_path: Path
) -> None:
    page.get_by_label("Filter", exact=True).fill("job_type = train")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="test/roc_auc_ovo").click()
    rows = page.locator("table.runs tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("trial 1")
    expect(page.locator("th[aria-sort=descending]")).to_have_text("test/roc_auc_ovo")
    view = page.url

    rows.nth(0).get_by_role("checkbox").check()
    rows.nth(1).get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare selected").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 runs")
    expect(page.locator("figure", has_text="loss").locator("polyline")).to_have_count(2)
    expect(page.get_by_role("row", name=re.compile("max_depth"))).to_contain_text("6")

    page.goto(view)  # the address holds the whole view
    rows.first.get_by_role("link").click()
    expect(page.get_by_role("heading", name=re.compile("confusion"))).to_be_visible()
    expect(page.get_by_role("cell", name="dnb")).to_be_visible()
    page.get_by_role("link", name="model_export:v1").click()
    page.get_by_role("link", name="Lineage").click()
    page.get_by_role("link", name=re.compile("^version raw_data:v0")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("raw_data:v0")

    page.goto(f"{site.base_url}/local/songs/artifacts/model/model_export/v1")
    expect(page.get_by_role("img", name="logo.svg")).to_be_visible()
    page.get_by_label("Alias", exact=True).fill("prod")
    page.get_by_role("button", name="Point it here").click()
    expect(page.get_by_role("main")).to_contain_text("model_export:v0. Afterwards")
    page.get_by_role("button", name="Move prod from v0 to v1").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("prod")
    assert run_python(site, tmp_path, USE) == ["v1"]


def test_a_web_page_among_the_files_is_shown_and_can_do_nothing(page: Page, site: Server) -> None:
    page.goto(f"{site.base_url}/local/songs/artifacts/model/model_export/v0/files/card.html")
    card = page.frame_locator("iframe")
    expect(card.get_by_role("heading", name="Model card")).to_be_visible()


def test_a_chart_names_its_value_at_the_pointer(page: Page) -> None:
    page.get_by_role("link", name=re.compile("^trial 0")).click()
    page.locator("svg.chart").first.hover(position={"x": 100, "y": 50})
    expect(page.locator(".readout")).to_have_text(re.compile(r"^_step \d+: \d(\.\d+)?$"))


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
    "path", ["", "/compare", "/artifacts", "/artifacts/model/model_export/v1/lineage", "/sweeps"]
)
def test_narrow_pages_are_not_wider_than_the_screen(page: Page, site: Server, path: str) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(f"{site.base_url}/local/songs{path}")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_keyboard_reaches_the_content_first(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Filter", exact=True)).to_be_focused()
