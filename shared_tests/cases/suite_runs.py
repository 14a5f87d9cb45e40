"""The suite, run on a module in a process of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

SUITE = Path(__file__).parent.parent / "conformance"


@dataclass(frozen=True)
class Run:
    """What the suite said about a module."""

    code: int
    text: str
    failures: dict[str, str]  # test: message

    def message_of(self, test: str) -> str:
        found = [name for name in self.failures if name == test or name.startswith(test + "[")]
        assert found, f"{test} did not fail; these did: {', '.join(self.failures) or 'none'}"
        return self.failures[found[0]]


def run_suite(folder: Path, module: str, *parts: str) -> Run:
    """Run parts of the suite on a module that lies in the folder: "value", or "value::test_a_sum"."""
    return run_pytest(folder, *map(whole_name, parts), "--backend", module)


def whole_name(part: str) -> str:
    chapter, *test = part.split("::")
    return "::".join([str(next(SUITE.glob(f"test_*_{chapter}.py"))), *test])


def run_pytest(folder: Path, *arguments: str) -> Run:
    """Run pytest in a folder, whose modules it can import."""
    report = folder / "report.xml"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *arguments,
            f"--junitxml={report}",
            "-p",
            "no:cacheprovider",
            "--hypothesis-profile=no_shrinking",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    failures = {}
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            for problem in [*case.findall("failure"), *case.findall("error")]:
                name = case.get("name")  # twice, where a test fails and then its teardown
                failures[name] = failures.get(name, "") + problem.get("message", "")
    return Run(done.returncode, done.stdout + done.stderr, failures)
