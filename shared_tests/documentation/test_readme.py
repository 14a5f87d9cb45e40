"""README.md and the pages of docs/: every example is run, every command checked, every link leads somewhere.

A block marked `python` is run; a `text` block right after it is what it prints. The blocks of a
page are one program from top to bottom. It is run once for each backend, with the import line
changed, and only the import line. The lines of an `sh` block are commands. What cannot be run stands
below a comment that says why: `<!-- not run: it needs the network -->`.
"""

import ast
import contextlib
import csv
import io
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in ROOT.glob("docs/**/*.md") if "_build" not in p.parts),
    *sorted(ROOT.glob("*/README.md")),
]
COURSE = (
    ROOT / "docs" / "course"
)  # its pages are one program, an engine, which shared_tests/course runs
FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n+)?"
    r"^(?P<margin> *)(?P<fence>```+)(?P<kind>.*)\n(?P<code>(?:.*\n)*?)(?P=margin)(?P=fence)$",
    re.MULTILINE,
)
BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")


class Block(NamedTuple):
    line: int  # of the page, where its code begins
    kind: str
    code: str
    printed: str | None  # what the page says that it prints
    reason: str | None  # why it is not run


def page_id(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    text = page.read_text(encoding="utf-8")
    found = list(FENCE.finditer(text))
    for i, block in enumerate(found):
        after = found[i + 1] if i + 1 < len(found) else None
        follows = after is not None and not text[block.end() : after.start()].strip()
        printed = dedent(after["code"]) if follows and after["kind"] == "text" else None
        line = text.count("\n", 0, block.start("code")) + 1
        yield Block(line, block["kind"], dedent(block["code"]), printed, block["reason"])


def examples(page):
    return [block for block in blocks(page) if block.kind == "python" and not block.reason]


def commands(page):
    """The words of each command of a page, without what is set for it and the comment beside it."""
    for block in blocks(page):
        if block.kind == "sh" and not block.reason:
            for line in re.split(r"\n| && ", block.code.replace("\\\n", " ")):
                words = shlex.split(line, comments=True)
                while words and re.match(r"[A-Z_]+=", words[0]):
                    del words[0]
                if words:
                    yield words


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_blocks_are_of_a_kind_that_is_checked(page):
    """Python is run and text compared, commands are checked; {this} is for the site, which includes
    what it shows from elsewhere."""
    text = page.read_text(encoding="utf-8")
    other = [
        f"line {block.line}: {block.kind or 'no language'}"
        for block in blocks(page)
        if block.kind not in ("python", "text", "sh") and block.kind[:1] != "{" and not block.reason
    ]
    assert not other, f"{page.name} has blocks that nothing runs: {', '.join(other)}"
    fences = len(re.findall(r"^ *```", text, re.MULTILINE))
    assert fences == 2 * len(list(blocks(page))), f"{page.name} has a fence that does not end"


def rounded(text):
    """The same text, its numbers to 12 digits: NumPy's last digits may differ from Python's."""
    return re.sub(r"-?\d+\.\d+(e[-+]\d+)?", lambda m: f"{float(m[0]):.12g}", text)


def to_run():
    """The pages with examples; those that need PyTorch are left out where it is."""
    for page in PAGES:
        if examples(page) and COURSE not in page.parents:
            torch = any("import torch" in block.code for block in examples(page))
            yield pytest.param(page, marks=[pytest.mark.pytorch] if torch else [], id=page_id(page))


@pytest.mark.parametrize("page", list(to_run()))
def test_examples_print_what_the_page_says(page, backend, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for line, _, code, expected, _ in examples(page):
        for other in BACKENDS:
            code = re.sub(rf"^(from|import) {other}\b", rf"\1 {backend.name}", code, flags=re.M)
        printed = io.StringIO()
        # Blank lines before it make a traceback name the line of the page.
        program = compile("\n" * (line - 1) + code, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(program, names)
        if expected is not None:
            got = printed.getvalue()
            assert rounded(got) == rounded(expected), (
                f"{page.name}, line {line}, prints\n{got}\nThe page says\n{expected}"
            )


# Commands ------------------------------------------------------------------------------------


def main_jobs(page):
    """What a page calls the command line of a backend with, in its order: the backend, arguments."""
    for words in commands(page):
        if words[:2] == ["python", "-m"] and words[2] in BACKENDS and words[3] != "playground":
            yield words[2], words[3:]


def run_all(jobs, folder, monkeypatch, capfd):
    from pure_python.training import cli

    shutil.copytree(ROOT / "docs" / "examples", folder / "docs" / "examples")
    monkeypatch.chdir(folder)
    for backend, arguments in jobs:
        code = cli.main(backend, arguments)
        assert code == 0, f"{shlex.join(arguments)}: {capfd.readouterr().err}"


@pytest.mark.parametrize("page", [p for p in PAGES if any(main_jobs(p))], ids=page_id)
def test_commands_of_the_main_job_run(page, tmp_path, monkeypatch, capfd):
    run_all(main_jobs(page), tmp_path, monkeypatch, capfd)


def test_the_main_job_runs_with_each_backend(backend, tmp_path, monkeypatch, capfd):
    jobs = [(backend.name, arguments) for _, arguments in main_jobs(ROOT / "README.md")]
    assert jobs
    run_all(jobs, tmp_path, monkeypatch, capfd)


def test_the_flowers_are_fishers():
    """Every fifth of the irises that scikit-learn ships is in more-flowers.csv, without its species."""
    from sklearn.datasets import load_iris

    iris, rows = load_iris(), {}
    for name in ("flowers.csv", "more-flowers.csv"):
        with open(ROOT / "docs" / "examples" / name, newline="", encoding="utf-8") as file:
            rows[name] = list(csv.DictReader(file))
    for i, (numbers, species) in enumerate(zip(iris.data, iris.target, strict=True)):
        more = i % 5 == 4
        row = dict(rows["more-flowers.csv" if more else "flowers.csv"].pop(0))
        assert more or row.pop("species") == iris.target_names[species]
        assert [f"{column} (cm)" for column in row] == iris.feature_names
        assert [float(text) for text in row.values()] == numbers.tolist()
    assert rows == {"flowers.csv": [], "more-flowers.csv": []}


@pytest.fixture(scope="module")
def options_of_pytest():
    run = [sys.executable, "-m", "pytest", "--help"]
    done = subprocess.run(
        run, cwd=ROOT / "shared_tests", capture_output=True, text=True, check=True
    )
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", done.stdout))


def wrong_with(words, options_of_pytest):
    """What is wrong with a command, or None: it names what is there, and options that there are."""
    program, *rest = words
    module = rest[1] if rest[:1] == ["-m"] else None
    if program == "." and rest == [".venv/bin/activate"]:
        return None
    if program != "python":
        return f"nobody checks what {program} does"
    if module == "venv" or module in BACKENDS:
        return None  # the latter are run, save the playground
    if module == "pip":
        return wrong_requirements([word for word in rest[3:] if not word.startswith("-")])
    if module == "nox":
        named = rest[3 : rest.index("--") if "--" in rest else None]
        unknown = {name.partition("(")[0] for name in named} - set(sessions())
        return f"no session {unknown}" if unknown or rest[2] != "-s" else None
    if module == "pytest":
        there = [word for word in rest[2:] if "/" in word or word.startswith("shared_tests")]
        missing = [word for word in there if not (ROOT / word.partition("::")[0]).exists()]
        options = {word.partition("=")[0] for word in rest[2:] if word.startswith("-")}
        unknown = sorted(options - options_of_pytest)
        return f"pytest has no {missing or unknown}" if missing or unknown else None
    script = ROOT / rest[0]
    if module or not script.exists():
        return f"there is no {module or rest[0]}"
    options = [word.partition("=")[0] for word in rest[1:] if word.startswith("--")]
    unknown = [word for word in options if f'"{word}"' not in script.read_text(encoding="utf-8")]
    return f"{rest[0]} has no {unknown}" if unknown else None


def wrong_requirements(requirements):
    """Folders of ours, with extras that they have, and names of distributions."""
    for requirement in requirements:
        folder, extras = re.fullmatch(r"(.+?)(?:\[([\w,]+)\])?(?:==[\w.]+)?", requirement).groups()
        if folder.startswith("./"):
            if not (ROOT / folder / "pyproject.toml").exists():
                return f"there is no {folder}"
            with open(ROOT / folder / "pyproject.toml", "rb") as file:
                declared = tomllib.load(file)["project"].get("optional-dependencies", {})
            if unknown := set((extras or "").split(",")) - {"", *declared}:
                return f"{folder} has no extra {unknown}"
        elif not re.fullmatch(r"[\w-]+", folder):
            return f"{requirement} is no name of a distribution"
    return None


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_name_what_there_is(page, options_of_pytest):
    wrong = {shlex.join(words): wrong_with(words, options_of_pytest) for words in commands(page)}
    wrong = {command: why for command, why in wrong.items() if why}
    assert not wrong, f"{page.name}: {wrong}"


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
    for page in PAGES:
        named = re.findall(r"torch==[\w.]+", page.read_text(encoding="utf-8"))
        assert set(named) <= {pinned}, page


def sessions():
    """The names of the sessions, read without nox, which the tests' environment does not have."""
    for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            if any(decorator.startswith("nox.session") for decorator in decorators):
                named = re.search(r"nox\.session\(name='(.+?)'", " ".join(decorators))
                yield named[1] if named else node.name


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_name_sessions_that_there_are(page):
    named = re.findall(r"nox -s ((?:\w[\w-]* ?)+)", page.read_text(encoding="utf-8"))
    assert {name for names in named for name in names.split()} <= set(sessions())


def test_workflows_name_sessions_that_there_are():
    """And run nothing else of this project: what the forge does can be done at home."""
    named = set()
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = workflow.read_text(encoding="utf-8")
        for command in re.findall(r"run: python (.+)", text):
            assert command == "-m pip install nox" or command.startswith("-m nox -s ")
        for names in re.findall(r"nox -s ((?:\w[\w-]* ?)+)|session: \[([\w,\s-]+)\]", text):
            named |= {name for name in re.findall(r"\w[\w-]*", " ".join(names))}
    assert named and named <= set(sessions())


def test_every_long_run_is_repeated():
    """Whatever has its figures in docs/reliability.md."""
    weekly = (ROOT / ".github" / "workflows" / "weekly.yml").read_text(encoding="utf-8")
    repeated = re.search(r"session: \[([\w,\s-]+)\]", weekly)[1]
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    recorded = set(re.findall(r"^<!-- end of ([\w-]+) -->$", page, re.MULTILINE))
    assert recorded and recorded <= set(re.findall(r"[\w-]+", repeated))


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
    rows = re.findall(r"^\| `([\w-]+)` \|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row in set(sessions())] == list(sessions())


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'(?:src|href)="([^"#]+)"', text)
    files = [target for target in targets if "://" not in target]
    missing = [target for target in files if not (page.parent / target).exists()]
    assert not missing, f"{page.name} links to {missing}"
