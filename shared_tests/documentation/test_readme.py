"""README.md and docs/*.md: every example is run, every session and link they name is there.

A block marked `python` is run; a `text` block right after it is what it prints. The blocks of a
page are one program from top to bottom. It is run once for each backend, with the import line
changed, and only the import line.
"""

import ast
import contextlib
import io
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("*/README.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")


def page_id(page):
    return str(page.relative_to(ROOT))


def examples(page):
    """(line, code, expected output or None) of the Python blocks of a page."""
    text = page.read_text(encoding="utf-8")
    blocks = list(FENCE.finditer(text))
    for i, block in enumerate(blocks):
        if block[1] != "python":
            continue
        after = blocks[i + 1] if i + 1 < len(blocks) else None
        follows = after is not None and not text[block.end() : after.start()].strip()
        printed = after[2] if follows and after[1] == "text" else None
        yield text.count("\n", 0, block.start()) + 2, block[2], printed


def rounded(text):
    """The same text, its numbers to 12 digits: NumPy's last digits may differ from Python's."""
    return re.sub(r"-?\d+\.\d+(e[-+]\d+)?", lambda m: f"{float(m[0]):.12g}", text)


@pytest.mark.parametrize("page", [p for p in PAGES if any(examples(p))], ids=page_id)
def test_examples_print_what_the_page_says(page, backend, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for line, code, expected in examples(page):
        for other in BACKENDS:
            code = re.sub(rf"^(from|import) {other}\b", rf"\1 {backend.name}", code, flags=re.M)
        printed = io.StringIO()
        # Blank lines before it make a traceback name the line of the page.
        program = compile("\n" * (line - 1) + code, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(program, names)
        if expected is not None:
            assert rounded(printed.getvalue()) == rounded(expected), f"{page.name}, line {line}"


def main_jobs():
    """What README.md calls the command line of a backend with, in its order."""
    for block in FENCE.finditer((ROOT / "README.md").read_text(encoding="utf-8")):
        if block[1] == "sh":
            for words in map(shlex.split, block[2].splitlines()):
                if words[:2] == ["python", "-m"] and words[2] in BACKENDS:
                    yield words[3:]


def test_commands_of_the_main_job_run(backend, tmp_path):
    """flowers.csv is the user's own file in the document; here it is made of Fisher's irises."""
    from sklearn.datasets import load_iris

    iris = load_iris(as_frame=False)
    header = "length,width,petal length,petal width"
    rows = [",".join(map(str, row)) for row in iris.data]
    names = iris.target_names[iris.target]
    (tmp_path / "more-flowers.csv").write_text("\n".join([header, *rows]) + "\n")
    rows = [f"{row},{name}" for row, name in zip(rows, names, strict=True)]
    (tmp_path / "flowers.csv").write_text("\n".join([header + ",species", *rows]) + "\n")

    jobs = list(main_jobs())
    assert jobs
    for arguments in jobs:
        done = subprocess.run(
            [sys.executable, "-m", backend.name, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{shlex.join(arguments)}: {done.stderr}"


def test_what_is_to_be_installed_for_an_engine_of_ones_own():
    """The README names all that the conformance suite imports, at the pinned version."""
    suite = ROOT / "shared_tests"
    files = [
        suite / "conftest.py",
        suite / "reference.py",
        *suite.glob("conformance/*.py"),
        *suite.glob("cases/*.py"),
    ]
    imported = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    own = {"cases", "interface_stub", "reference", "reliability", *BACKENDS}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.search(r"pip install (.+)\npython -m pytest", readme)[1].split()
    assert imported - own - sys.stdlib_module_names <= {n.partition("==")[0] for n in named}
    pinned = re.search(r'^TORCH = "(.+?)"', (ROOT / "noxfile.py").read_text(), re.MULTILINE)[1]
    assert pinned in named


def sessions():
    """The names of the sessions, read without nox, which the tests' environment does not have."""
    for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            if any(decorator.startswith("nox.session") for decorator in decorators):
                yield node.name


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_name_sessions_that_there_are(page):
    named = re.findall(r"nox -s ([\w ]+)", page.read_text(encoding="utf-8"))
    assert {name for names in named for name in names.split()} <= set(sessions())


def test_workflows_name_sessions_that_there_are():
    """And run nothing else of this project: what the forge does can be done at home."""
    named = set()
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = workflow.read_text(encoding="utf-8")
        for command in re.findall(r"run: python (.+)", text):
            assert command == "-m pip install nox" or command.startswith("-m nox -s ")
        for names in re.findall(r"nox -s ([\w ]+)|session: \[([\w, ]+)\]", text):
            named |= {name for name in re.findall(r"\w+", " ".join(names))}
    assert named and named <= set(sessions())


def test_every_dependency_is_named_with_its_licence():
    required = set()
    for backend in BACKENDS:
        with open(ROOT / backend / "pyproject.toml", "rb") as file:
            read = tomllib.load(file)
        needs = read["build-system"]["requires"] + read["project"]["dependencies"]
        needs += sum(read["project"]["optional-dependencies"].values(), [])
        required |= {re.match(r"[\w-]+", need)[0].lower() for need in needs}
    page = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z][\w, -]+) \| .+ \| .+ \|$", page, re.MULTILINE)
    named = {name for row in rows for name in row.split(", ")}
    assert {name for name in required if not name.startswith("trigrad-")} <= named


@pytest.mark.parametrize("page", ["README.md", "docs/CONTRIBUTING.md"])
def test_the_table_of_sessions_is_complete(page):
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row in set(sessions())] == list(sessions())


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'(?:src|href)="([^"#]+)"', text)
    files = [target for target in targets if "://" not in target]
    missing = [target for target in files if not (page.parent / target).exists()]
    assert not missing, f"{page.name} links to {missing}"
