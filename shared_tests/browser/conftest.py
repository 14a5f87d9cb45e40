"""Pages in headless Chromium with the network off; what they log as an error fails the test."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

FLAGS = (
    "--disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def chromium():
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert program, (
        "these tests need the program chromium: apt-get install chromium, "
        "or name another build of it by the environment variable CHROMIUM"
    )
    root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*root, *FLAGS])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A new page, of 1280 by 800. It must load nothing but files and log no error."""
    context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(120_000)  # for a busy machine
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(f"error: {error} ({page.url})"))
    page.on(
        "console",
        lambda m: m.type == "error" and wrong.append(f"console: {m.text} ({page.url})"),
    )
    page.on(
        "request",
        lambda request: (
            request.url.startswith(("file:", "data:", "blob:"))
            or wrong.append(f"asks {request.url}")
        ),
    )
    yield page
    context.close()
    assert not wrong, "\n".join(wrong)
