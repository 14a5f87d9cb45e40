"""A class's submissions as one table: `python shared_tests/course/report.py SUBMISSIONS --html table.html`.

SUBMISSIONS is a folder with one Python file, or one folder, for each student. Each is checked in a
process of its own, with limits (submission.py); this one imports none of them. That is no sandbox: see
docs/course/index.md.
"""

from __future__ import annotations

import contextlib
import csv
import html
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table
from rich.text import Text

CHECK = Path(__file__).with_name("submission.py")
COLUMNS = ("student", "steps done", "stops at", "what is wrong", "seconds")
STEPS = 10
LARGEST = 2**20  # bytes of a Python file that is taken for a submission


@dataclass(frozen=True)
class Row:
    student: str
    done: int
    failing: str
    wrong: str
    seconds: float

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.student, str(self.done), self.failing, self.wrong, f"{self.seconds:.1f}")


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


# Finding --------------------------------------------------------------------------------------


def submissions(folder: Path) -> list[Path]:
    """One entry of the folder for each student, what is hidden aside."""
    entries = sorted(folder.iterdir(), key=lambda path: path.name.casefold())
    return [
        path
        for path in entries
        if path.name[0] not in "._" and (path.is_dir() or path.suffix == ".py")
    ]


def files_of(submission: Path) -> dict[str, Path]:
    """The Python files of a submission, by the names under which they are to be imported."""
    files = [submission] if submission.is_file() else sorted(submission.glob("*.py"))
    files = [file for file in files if file.is_file() and not file.is_symlink()]
    if any(file.stat().st_size > LARGEST for file in files):
        raise ValueError("has a Python file of more than a megabyte")
    names = {file.name: file for file in files}
    if len(files) == 1:
        return {"my_engine.py": files[0]}
    if "my_engine.py" not in names:
        raise ValueError(f"has {len(files)} Python files, and none is called my_engine.py")
    return names


# Running --------------------------------------------------------------------------------------


def run(submission: Path, step: int, seconds: int, megabytes: int) -> Row:
    """The row of one submission, whatever it does."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            for name, file in files_of(submission).items():
                shutil.copyfile(file, Path(folder, name))
        except (OSError, ValueError) as error:
            result = {"problem": str(error)}
        else:
            result = result_of(Path(folder), step, seconds, megabytes)
    passed = result.get("done", 0)
    failing = result.get("failing") or (1 if "problem" in result else None)
    wrong = result.get("problem") or "; ".join(result["mistakes"]) or result["message"]
    return Row(
        printable(submission.stem if submission.is_file() else submission.name),
        passed,
        f"{failing}" if failing else "",
        printable(wrong),
        time.monotonic() - start,
    )


def result_of(folder: Path, step: int, seconds: int, megabytes: int) -> dict[str, Any]:
    """What the process that checks a submission has to say, or how it came to its end."""
    word = secrets.token_hex()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as channel:
        os.set_blocking(reading, False)  # a process that is left over may hold the other end
        process = subprocess.Popen(
            [sys.executable, "-I", "-B", CHECK, *map(str, (writing, step, seconds, megabytes))],
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[writing],
            start_new_session=True,
        )
        os.close(writing)
        try:
            process.communicate(word.encode() + b"\n", timeout=seconds)
        except subprocess.TimeoutExpired:
            pass
        late = process.returncode is None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # and the processes that it has started
        process.wait()
        said = channel.read(2**16) or b""
    for line in said.splitlines():
        with contextlib.suppress(ValueError):
            result = json.loads(line)
            if isinstance(result, dict) and result.pop("word", None) == word:
                return result
    if late or process.returncode == -signal.SIGXCPU:
        return {"problem": f"took longer than {seconds} s"}
    if process.returncode < 0:
        return {"problem": f"was ended by {signal.Signals(-process.returncode).name}"}
    return {"problem": f"ended the process itself, with exit code {process.returncode}"}


# Showing --------------------------------------------------------------------------------------


def table(rows: list[Row], step: int) -> Table:
    shown = Table(*COLUMNS[:3], Column(COLUMNS[3], ratio=1), Column(COLUMNS[4], justify="right"))
    for row in rows:
        shown.add_row(*map(Text, row.cells), style="green" if row.done == step else "")
    return shown


def write_csv(rows: list[Row], path: Path) -> None:
    """A spreadsheet takes a cell that begins with one of =+-@ for a formula: an apostrophe says no."""

    def cell(text: str) -> str:
        return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text

    with open(path, "w", newline="", encoding="utf-8-sig") as file:  # -sig: for spreadsheets
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([cell(text) for text in row.cells] for row in rows)


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Write your own engine: how far each has come</title>
<style>
body {{ font: 16px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1a1a1a }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #ddd; white-space: nowrap }}
td:first-child, td:nth-child(4) {{ white-space: normal; overflow-wrap: anywhere; min-width: 8rem }}
td:nth-child(4) {{ width: 60% }}
td:last-child {{ text-align: right }}
meter {{ width: 5rem }}
div {{ overflow-x: auto }}
</style>
<h1>Write your own engine</h1>
<p>{summary}</p>
<div><table>
<thead><tr>{headings}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
</html>
"""


def write_html(rows: list[Row], path: Path, step: int) -> None:
    def cells(row: Row) -> str:
        student, done, *others = map(html.escape, row.cells)
        meter = f'<meter max="{step}" value="{done}"></meter> {done}'
        return "".join(f"<td>{cell}</td>" for cell in (student, meter, *others))

    text = PAGE.format(
        summary=html.escape(summary(rows, step)),
        headings="".join(f"<th>{html.escape(column)}</th>" for column in COLUMNS),
        rows="\n".join(f"<tr>{cells(row)}</tr>" for row in rows),
    )
    path.write_text(text, encoding="utf-8")


def summary(rows: list[Row], step: int) -> str:
    """Where the class stands."""
    done = sum(row.done == step for row in rows)
    failing = Counter(int(row.failing) for row in rows if row.failing)
    where = ", ".join(f"{count} at step {number}" for number, count in sorted(failing.items()))
    return f"{done} of {len(rows)} have done all {step} steps" + (f"; {where}." if where else ".")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the table as CSV.",
)
@click.option(
    "--html",
    "html_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it as a page.",
)
@click.option(
    "--step",
    type=click.IntRange(1, STEPS),
    default=STEPS,
    show_default=True,
    help="The last step that is checked.",
)
@click.option(
    "--seconds",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Time for one submission.",
)
@click.option(
    "--megabytes",
    type=click.IntRange(256),
    default=1024,
    show_default=True,
    help="Memory for one submission.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Submissions checked at a time.",
)
def main(
    folder: Path,
    csv_path: Path | None,
    html_path: Path | None,
    step: int,
    seconds: int,
    megabytes: int,
    jobs: int,
) -> None:
    """Check all submissions of a FOLDER, one file or one folder for each student.

    This is no sandbox: run what you do not trust in a container or a virtual machine.
    """
    if sys.platform == "win32":
        raise click.ClickException("limits of time and memory need Linux or macOS")
    found = submissions(folder)
    if not found:
        raise click.ClickException(f"there is neither a Python file nor a folder in {folder}")
    console, pool = Console(), ThreadPoolExecutor(jobs)
    try:
        rows = pool.map(lambda path: run(path, step, seconds, megabytes), found)
        progress = Console(stderr=True)
        rows = list(track(rows, "Checking", len(found), console=progress, transient=True))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C: those at work end, and no other begins
    if csv_path:
        write_csv(rows, csv_path)
    if html_path:
        write_html(rows, html_path, step)
    console.print(table(rows, step))
    console.print(Text(summary(rows, step)))


if __name__ == "__main__":
    main()
