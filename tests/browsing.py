"""A real browser for tests: one that is on this machine, or none and the test is skipped."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a Chromium: one on the PATH, or one that `playwright install chromium` brought.

    Skips the test if there is none.
    """
    expect.set_options(timeout=15_000)  # the machine may be busy with other tests
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = [path for name in _NAMES if (path := shutil.which(name))]
        path = next(iter([*found, *filter(os.path.exists, [own])]), None)
        if path is None:
            names = ", ".join(_NAMES)
            pytest.skip(f"no browser: none of {names} is on the PATH, and no playwright's")
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@contextmanager
def visit(browser: Browser, url: str) -> Iterator[Page]:
    """Open a page; what the browser's console complains of afterwards fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # Chromium says of each sandboxed frame what was held back there, as it should be.
        is_of_a_file = any(part in message.location["url"] for part in ("/download/", "/frames/"))
        is_of_a_file |= "sandboxed" in message.text
        if message.type in {"error", "warning"} and not is_of_a_file:
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    yield page
    assert complaints == []
    context.close()
