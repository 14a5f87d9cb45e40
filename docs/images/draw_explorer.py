"""Photographs the page of docs/trace_graph.ipynb, for where no script runs: `nox -s images`."""

import io
import json
import os
import shutil
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent
NOTEBOOK = IMAGES.parent / "trace_graph.ipynb"
STEPS_FROM_THE_END = 1  # the gradient of a is nearly complete


def write_page(path: Path) -> None:
    """The page that the notebook shows: its cells are run up to the one that shows it."""
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        code = "".join(cell["source"])
        if code.startswith("explore("):
            exec(code.replace(")", ", path)"), names | {"path": path})
            return
        if cell["cell_type"] == "code":
            with redirect_stdout(io.StringIO()):
                exec(code, names)
    raise SystemExit(f"{NOTEBOOK} has no cell that calls explore")


def photograph(page_file: Path, picture: Path) -> None:
    root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--disable-gpu", *root]
        )
        page = browser.new_page(viewport={"width": 1180, "height": 620})
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-ready]")
        page.locator("#last").click()
        for _ in range(STEPS_FROM_THE_END):
            page.locator("#back").click()
        page.mouse.move(0, 0)
        page.wait_for_timeout(1000)  # until what moves has come to rest
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_page(Path(folder, "page.html"))
        photograph(Path(folder, "page.html"), IMAGES / "explore.png")
