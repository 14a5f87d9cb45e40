"""The figures of a run, written into docs/reliability.md with the day, the commit and the machine."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"


def record(name: str, figures: str, page: Path = PAGE) -> None:
    """Put figures, in Markdown, between the marks of a run.

    The page holds `<!-- accuracy -->` and `<!-- end of accuracy -->`, each on a line of its own.

    Raises:
        SystemExit: The page has no such marks. It is left as it was.
    """
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if begin not in text or end not in text:
        raise SystemExit(f"{page} has no {begin.strip()} and {end} to write between")
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    whole = f"{before}{begin}{figures.strip()}\n\n{where()}\n{end}{after}"
    finished = page.with_suffix(".new")
    finished.write_text(whole, encoding="utf-8")
    finished.replace(page)


def where() -> str:
    """The day, the commit and the machine that figures are of, as a line of Markdown."""
    today = datetime.date.today().isoformat()
    system = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores"
    return f"*{today}, {commit()}, CPython {platform.python_version()}, {system}*"


def commit() -> str:
    """Which code was run: the commit of the checkout, and whether files differ from it."""

    def git(*arguments: str) -> str:
        run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return run.stdout.strip() if run.returncode == 0 else ""

    known = git("rev-parse", "--short=10", "HEAD")
    if not known:
        return "no git checkout"
    # The page itself may hold the figures of the run before.
    changed = git("status", "--porcelain", "--", ".", ":!docs/reliability.md")
    return f"commit {known}" + (" with changes" if changed else "")
