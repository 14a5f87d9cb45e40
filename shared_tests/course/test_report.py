"""The report for teachers: a row for each submission, whatever it does."""

import csv
import html.parser
from pathlib import Path

from click.testing import CliRunner

from course.pages import engines
from course.report import main

RIGHT = engines()[-1]
WRONG = RIGHT.replace("operand.grad += local", "operand.grad = local")
FORKS = """
import os, time
try:
    child = os.fork()
except OSError:  # not allowed, unless to root
    child = None
if child == 0:
    time.sleep(600)
elif child:
    open({path!r}, "w").write(str(child))
"""
# It says on every channel that it has done all, and leaves before its tests begin.
LIES = """
import os
for channel in range(1, 30):
    try:
        os.write(channel, b'{"done": 3, "failing": null, "message": "", "mistakes": []}\\n')
    except OSError:
        pass
os._exit(0)
"""
PATCHES = """
import _pytest.python
_pytest.python.Function.runtest = lambda self: None
"""
SKIPS = """
import pytest
class Value:
    def __init__(self, *given, **options):
        pytest.skip("as if nothing were asked")
"""
HOG = """
class Value:
    def __init__(self, *given, **options):
        self.data = [0.0] * 10**10
"""

# name of the file: its code, the row
CLASS = {
    "folder/my_engine.py": (RIGHT + "for _ in range(100):\n    print('x' * 10**6)\n", ("3", "", "")),
    "folder/more.py": (RIGHT, ("3", "", "")),
    "folder with another name/engine.py": (RIGHT + FORKS, ("3", "", "")),
    "two files/one.py": (RIGHT, ("0", "1", "has 2 Python files, and none is called my_engine.py")),
    "two files/two.py": (RIGHT, ("0", "1", "has 2 Python files, and none is called my_engine.py")),
    "<script>alert(1).py": (WRONG, ("2", "3", "overwritten gradients (= for +=)")),
    "[red]x.py": ("def f(:", ("0", "1", "cannot be imported: SyntaxError: invalid syntax (my_engine.py, line 1)")),
    "raises.py": ("raise ValueError('x' * 10**6)", ("0", "1", ("cannot be imported: ValueError: " + "x" * 500)[:500])),
    "=1+1.py": ("import sys\nsys.exit(0)", ("0", "1", "cannot be imported: SystemExit: 0 (my_engine.py, line 2)")),
    "lies.py": (LIES, ("0", "1", "ended the process itself, with exit code 0")),
    "patches.py": (RIGHT + PATCHES, ("0", "1", "replaces _pytest.python.Function.runtest: what its tests say means nothing")),
    "skips.py": (SKIPS, ("0", "1", "its tests were not all run to their end")),
    "hog.py": (HOG, ("0", "1", "MemoryError")),
}  # fmt: skip
SUMMARY = "2 of 11 have done all 3 steps; 8 at step 1, 1 at step 3."


def report(folder: Path, *options: str) -> tuple[str, list[list[str]], str]:
    """What it prints, the CSV's rows and the page."""
    paths = (folder.parent / "table.csv", folder.parent / "table.html")
    arguments = [str(folder), f"--csv={paths[0]}", f"--html={paths[1]}", *options]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with open(paths[0], encoding="utf-8-sig", newline="") as file:
        return done.output, list(csv.reader(file)), paths[1].read_text(encoding="utf-8")


class Cells(html.parser.HTMLParser):
    """The text of each cell of a page, and the tags that it has."""

    def __init__(self, page: str):
        super().__init__()
        self.cells, self.tags = [], set()
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def test_a_row_for_each(tmp_path):
    """Whatever it does; and names are shown as they are."""
    folder = tmp_path / "submissions"
    for name, (code, _) in CLASS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        code = code.replace("{path!r}", repr(str(tmp_path / "child")))
        (folder / name).write_text(code, encoding="utf-8")
    printed, (columns, *rows), page = report(folder, "--step=3", "--jobs=2", "--seconds=120")

    students = {name.partition("/")[0].removesuffix(".py"): row for name, (_, row) in CLASS.items()}
    assert columns == ["student", "steps done", "stops at", "what is wrong", "seconds"]
    # A spreadsheet would compute what begins with an equals sign.
    expected = {f"'{s}" if s[0] == "=" else s: row for s, row in students.items()}
    assert {student: tuple(others[:3]) for student, *others in rows} == expected

    shown = Cells(page)
    assert SUMMARY in page and students.keys() <= set(map(str.strip, shown.cells))
    assert "script" not in shown.tags and "link" not in shown.tags and "://" not in page
    assert SUMMARY in printed and "[red]x" in printed

    assert not list(folder.rglob("__pycache__")), "something is written into the submissions"
    child = tmp_path / "child"
    if child.exists():  # where one may start processes: the limit holds all but root
        state = Path(f"/proc/{child.read_text()}/stat")
        assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_a_loop_without_end(tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "loops.py").write_text("while True:\n    pass\n")
    (tmp_path / "class" / "sleeps.py").write_text("import time\ntime.sleep(600)\n")
    _, (_, *rows), _ = report(tmp_path / "class", "--seconds=1", "--jobs=2")
    assert [row[:4] for row in rows] == [
        ["loops", "0", "1", "took longer than 1 s"],
        ["sleeps", "0", "1", "took longer than 1 s"],
    ]


def test_a_folder_with_nothing_in_it(tmp_path):
    done = CliRunner().invoke(main, [str(tmp_path)])
    assert done.exit_code == 1 and "neither a Python file nor a folder" in done.output
