"""Draws the picture of the playground for README.md: `nox -s images`."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent / "playground.png"
SETTINGS = {"dataset": "spiral", "classes": 3, "samples": 240, "hidden": [10, 8], "speed": 1000}


def draw() -> None:
    """A spiral of three arms, as soon as the network tells them apart."""
    command = [sys.executable, "-m", "cython_core", "playground", "--no-open"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = re.search(r"http://\S+", server.stdout.readline())
        if address is None:
            raise SystemExit("the playground did not say where it is")
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--disable-gpu", *root]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 770})
            page.goto(address[0])
            for name, value in SETTINGS.items():
                page.evaluate(
                    "([name, value]) => playground.change({ [name]: value })", [name, value]
                )
            time.sleep(1)
            page.click("#play")
            while page.evaluate("playground.frames.cython_core?.accuracy ?? 0") < 0.995:
                time.sleep(0.1)
            time.sleep(1.2)
            page.screenshot(path=PICTURE)
            browser.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    draw()
