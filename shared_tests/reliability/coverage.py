"""Which lines the suite executes: of the Python code all, with every branch; of the compiled core nearly all.

`python -m reliability.coverage BUILD` runs all tests, every process of theirs measured. BUILD is the folder
in which cython_core was compiled to count its lines (gcc --coverage): .gcno files lie there, and Python
writes .gcda files beside them. Lines that count are those of the .pyx and of the kernels' headers.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import coverage

from .record import ROOT, record

PACKAGES = ("pure_python", "numpy_vectorized", "cython_core")
CORE = ROOT / "cython_core" / "src" / "cython_core"
LIMIT = 98.0  # percent of the lines of the compiled core; of the Python code it is all

# One run of pytest each, two at a time. (pytest-xdist would end its processes while they still write what
# they have measured.) Without planted, whose engines are copies with faults, and without tests of memory
# and of speed, of which measuring takes its share.
TESTS = (
    "shared_tests/conformance",
    "shared_tests --ignore=shared_tests/conformance --ignore=shared_tests/browser "
    "--ignore=shared_tests/planted --ignore=shared_tests/parity/test_planted_differences.py "
    "--ignore=shared_tests/parity/test_fuzz.py -k not(memory_is_back)",
    "shared_tests/browser -k not(frames_and_steps_a_second)",
)

SETTINGS = """
[run]
branch = true
parallel = true
sigterm = true
patch = subprocess, _exit, fork
data_file = {folder}/data
source_pkgs = {packages}

[report]
exclude_also =
    # What runs where a module is a program's main one, which python -m tests in a process of its own.
    if __name__ == .__main__.:
    # What a class leaves to those that inherit from it.
    raise NotImplementedError
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "build",
        type=lambda path: Path(path).resolve(),
        help="where cython_core was compiled for coverage",
    )
    parser.add_argument("--record", action="store_true", help="write into docs/reliability.md")
    parser.add_argument("--tests", action="append", help="arguments of pytest [default: all tests]")
    options = parser.parse_args()
    for old in options.build.rglob("*.gcda"):
        old.unlink()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "settings.ini")
        text = SETTINGS.format(folder=folder, packages=", ".join(PACKAGES))
        settings.write_text(text, encoding="utf-8")
        measured = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}"]
        pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
        path = [str(Path(__file__).with_name("measured")), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
        failed = []

        def run(tests: str) -> None:
            command = [*measured, *pytest, *tests.split()]
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            print(done.stdout, flush=True)
            if done.returncode:
                failed.append(tests.split()[0])

        with ThreadPoolExecutor(2) as two_at_a_time:
            list(two_at_a_time.map(run, options.tests or TESTS))
        python = python_coverage(settings)
    core = core_coverage(options.build)
    minutes = (time.perf_counter() - began) / 60
    shown = figures(python, core)
    print(shown)
    missing = [m for _, _, _, missed in python.values() for m in missed]
    for line in missing + [m for file, (_, lines) in core.items() for m in places(file, lines)]:
        print(f"not executed: {line}")
    if options.record:
        part = f" Part of the suite alone: `{' '.join(options.tests)}`." if options.tests else ""
        record("coverage", f"{shown}\n\nThe run took {minutes:.0f} minutes.{part}")
    if failed:
        print(f"tests failed: {', '.join(failed)}")
    executed, all_lines = total(core)
    return 1 if failed or missing or 100 * executed < LIMIT * all_lines else 0


# Python --------------------------------------------------------------------------------------


def python_coverage(settings: Path) -> dict[str, tuple[int, int, int, list[str]]]:
    """Of each package: statements, branches, what is excused in a comment, what is missing."""
    measured = coverage.Coverage(config_file=str(settings))
    measured.combine()
    report = settings.with_name("report.json")
    measured.json_report(outfile=str(report))
    found: dict[str, tuple[int, int, int, list[str]]] = {}
    for name, file in json.loads(report.read_text(encoding="utf-8"))["files"].items():
        package = next(p for p in PACKAGES if p in Path(name).parts)
        where = name[name.rindex(f"{package}/") :]
        missing = [f"{where}:{line}" for line in file["missing_lines"]]
        missing += [
            f"{where}:{a} -> {b if b > 0 else 'exit'}"
            for a, b in file["missing_branches"]
            if a not in file["missing_lines"] and b not in file["missing_lines"]
        ]
        statements, branches, excused, missed = found.get(package, (0, 0, 0, []))
        summary = file["summary"]
        found[package] = (
            statements + summary["num_statements"],
            branches + summary["num_branches"],
            excused + summary["excluded_lines"],
            missed + missing,
        )
    return found


# The compiled core ---------------------------------------------------------------------------


def core_coverage(build: Path) -> dict[str, tuple[set[int], set[int]]]:
    """Of each file: the lines that were executed, and the others that could have been."""
    counts: dict[tuple[str, int], int] = defaultdict(int)
    for data in sorted(build.rglob("*.gcda")):
        command = ["gcov", "--json-format", "--stdout", str(data)]
        told = subprocess.run(command, cwd=build, check=True, capture_output=True, text=True).stdout
        for file in json.loads(told)["files"]:
            name = Path(file["file"]).name
            ours = lines_of_ours(build / file["file"]) if name.endswith(".pyx.c") else {}
            for line in file["lines"]:
                number = line["line_number"]
                if name.endswith(".h") and (CORE / name).exists():
                    counts[name, number] += line["count"]
                elif number in ours:
                    counts[ours[number]] += line["count"]
    core: dict[str, tuple[set[int], set[int]]] = {}
    for (name, number), count in sorted(counts.items()):
        core.setdefault(name, (set(), set()))[count == 0].add(number)
    return core


def lines_of_ours(c_file: Path) -> dict[int, tuple[str, int]]:
    """Which line of a .pyx each line of the C made from it belongs to, by the comments of Cython."""
    ours: dict[int, tuple[str, int]] = {}
    here = None
    for number, text in enumerate(c_file.read_text(encoding="utf-8").splitlines(), 1):
        if comment := re.match(r'\s*/\* "(.*)":(\d+)$', text):
            source = CORE / Path(comment[1]).name
            here = (source.name, int(comment[2])) if source.exists() else None
        elif text.startswith("}") or "/* function exit code */" in text:
            here = None  # what follows frees what was held
        elif here:
            ours[number] = here
    return ours


def total(core: dict[str, tuple[set[int], set[int]]]) -> tuple[int, int]:
    executed = sum(len(lines) for lines, _ in core.values())
    return executed, executed + sum(len(lines) for _, lines in core.values())


def places(name: str, lines: set[int]) -> list[str]:
    source = (CORE / name).read_text(encoding="utf-8").splitlines()
    return [f"cython_core/{name}:{n}: {source[n - 1].strip()}" for n in sorted(lines)]


# The figures ---------------------------------------------------------------------------------


def figures(python: dict, core: dict[str, tuple[set[int], set[int]]]) -> str:
    rows = [
        "| Python code | statements | branches | excused | not executed |",
        "|---|---|---|---|---|",
    ]
    for package, (statements, branches, excused, missing) in sorted(python.items()):
        rows.append(f"| `{package}` | {statements:,} | {branches:,} | {excused} | {len(missing)} |")
    rows += ["", "| compiled core | lines | executed |", "|---|---|---|"]
    for name, (executed, not_executed) in core.items():
        of = len(executed) + len(not_executed)
        rows.append(f"| `{name}` | {of:,} | {len(executed) / of:.1%} |")
    executed, of = total(core)
    rows.append(f"| together | {of:,} | {executed / of:.1%} |")
    return "\n".join(rows)


if __name__ == "__main__":
    os.environ["PYTHONSAFEPATH"] = "1"
    sys.exit(main())
