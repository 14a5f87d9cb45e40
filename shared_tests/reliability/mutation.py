"""Whether the suite notices faults: each mutant of pure_python must fail a test, or be explained.

`python -m reliability.mutation` makes every mutant of the engine's modules and runs the conformance suite
on it until a test fails. survivors.toml lists those that no test fails, and why none should; a survivor
that is not listed there, and an entry that is no survivor any more, end the run with 1.

Known tools start Python, PyTorch and pytest anew for each mutant, or do not mutate what stands outside of
functions, as the table of operations does. Here one process imports and collects all of that, notes which
test executes which line, and forks for every mutant a child that runs the tests of that line only.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest
from _pytest.runner import runtestprotocol

import pure_python

from .mutants import Mutant, mutants_of
from .record import ROOT, record

PACKAGE = Path(pure_python.__file__).parent
FILES = ("engine.py", "functional.py", "gelu.py", "nn.py", "optim.py")
SURVIVORS = Path(__file__).with_name("survivors.toml")
LIMIT = 0.95  # of the mutants, killed
KILLED, SURVIVED = 1, 0  # exit codes of a child
CONTROL = "no mutant"


@dataclass
class Case:
    """A mutant of one of the files, the tests to run on it, and what became of it."""

    file: str
    mutant: Mutant
    tests: list[pytest.Item]
    killer: str = ""  # the test that failed; "" for a survivor

    @property
    def name(self) -> str:
        return f"{self.file} {self.mutant.name}"


class MutationRun:
    """A plugin of pytest: in the place of running the suite, it runs it on mutants."""

    def __init__(self, options: argparse.Namespace, say: Callable[[str], None]) -> None:
        self.options, self.say = options, say
        self.cases: list[Case] = []
        self.seconds: dict[str, float] = {}  # that each test takes
        self.lines: dict[str, dict[int, list[str]]] = {}  # of each file, by whom it is executed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the suite cannot be collected")
        self.observe(session)
        if session.testsfailed:
            raise session.Interrupted("the suite fails without any mutant")
        self.cases = self.choose(session.items)
        self.say(f"{len(self.cases)} mutants, {len(session.items)} tests")
        self.run_all(session)
        return True

    # The suite as it is ------------------------------------------------------------------------

    def observe(self, session: pytest.Session) -> None:
        """Run every test; note its time and the lines that it executes, in all of its processes."""
        files = [str(PACKAGE / file) for file in FILES]

        def measure_processes(name: str) -> None:
            settings = Path(folder, f"{name}.ini")
            lines = "[run]", "parallel = true", "patch = fork", f"include = {','.join(files)}"
            text = "\n".join([*lines, f"data_file = {folder}/{name}.elsewhere"])
            settings.write_text(text, encoding="utf-8")
            os.environ["COVERAGE_PROCESS_START"] = str(settings)

        with tempfile.TemporaryDirectory() as folder:
            measure_processes("import")
            script = f"import sys; sys.path[:] = {sys.path!r}; import {PACKAGE.name}"
            subprocess.run([sys.executable, "-c", script], check=True)
            measured = coverage.Coverage(data_file=f"{folder}/here", include=files)
            measured.start()
            for number, item in enumerate(session.items):
                measured.switch_context(item.nodeid)
                measure_processes(str(number))
                following = [*session.items, None][number + 1]
                began = time.perf_counter()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                self.seconds[item.nodeid] = time.perf_counter() - began
            del os.environ["COVERAGE_PROCESS_START"]
            measured.stop()
            here = measured.get_data()
            self.lines = {f: here.contexts_by_lineno(str(PACKAGE / f)) for f in FILES}
            for part in Path(folder).glob("*.elsewhere.*"):
                name = part.name.partition(".")[0]
                test = "import" if name == "import" else session.items[int(name)].nodeid
                elsewhere = coverage.CoverageData(str(part))
                try:
                    elsewhere.read()
                except coverage.exceptions.DataError:
                    continue  # of a process that was ended while it wrote
                for file in FILES:
                    for line in elsewhere.lines(str(PACKAGE / file)) or ():
                        self.lines[file].setdefault(line, []).append(test)

    def choose(self, items: list[pytest.Item]) -> list[Case]:
        cases = [
            Case(file, mutant, self.tests_of(file, mutant, items))
            for file in FILES
            for mutant in mutants_of((PACKAGE / file).read_text(encoding="utf-8"))
        ]
        cases = [case for case in cases if re.search(self.options.only, case.name)]
        size = self.options.sample
        if size is None or size >= len(cases):
            return cases
        chosen = sorted(random.Random(0).sample(range(len(cases)), size))
        return [cases[i] for i in chosen]

    def tests_of(self, file: str, mutant: Mutant, items: list[pytest.Item]) -> list[pytest.Item]:
        """The tests that execute it; first those that name what is on its line, then the quick."""
        lines = self.lines[file]
        near = {test for line in mutant.lines for test in lines.get(line, ())}
        around = {test for line in mutant.around for test in lines.get(line, ())}

        words = set(re.findall(r"[a-z]\w{2,}", mutant.name.partition(" -> ")[0].lower()))

        def place(item: pytest.Item) -> tuple[bool, bool, float]:
            test = item.nodeid
            named = bool(words & set(re.findall(r"[a-z]\w*", test.partition("[")[2].lower())))
            return test not in around and not named, not named, self.seconds[test]

        # What is executed on import, every test depends on.
        always = mutant.at_import or ("import" in near and mutant.in_function)
        return sorted((i for i in items if always or i.nodeid in near), key=place)

    # The mutants ---------------------------------------------------------------------------------

    def run_all(self, session: pytest.Session) -> None:
        """Each in a child of this process, so many at a time as there are workers."""
        gc.collect()
        gc.freeze()  # the collector of a child leaves the pages that it shares with us alone
        waiting = [*reversed(self.cases), self.control(session.items)]
        running: dict[int, tuple[Case, Path]] = {}
        done = 0
        with tempfile.TemporaryDirectory() as folder:
            free = [copy_of_the_package(Path(folder, str(i))) for i in range(self.options.workers)]
            while waiting or running:
                while waiting and free:
                    case, place = waiting.pop(), free.pop()
                    file = place / PACKAGE.name / case.file
                    file.write_text(case.mutant.source, encoding="utf-8")
                    child = os.fork()
                    if child == 0:
                        self.be_the_child(session, case, place)
                    running[child] = case, place
                child, status = os.wait()
                case, place = running.pop(child)
                end_the_group(child)
                shutil.copy2(PACKAGE / case.file, place / PACKAGE.name / case.file)
                free.append(place)
                if os.waitstatus_to_exitcode(status) != SURVIVED:
                    case.killer = (place / "killer").read_text(encoding="utf-8")
                if os.WIFSIGNALED(status):
                    case.killer += f", ended by {signal.Signals(os.WTERMSIG(status)).name}"
                if case.mutant.name == CONTROL:
                    if case.killer:
                        raise session.Interrupted(
                            f"a child fails without any mutant: {case.killer}"
                        )
                    continue
                if not case.killer:
                    self.say(f"survived {len(case.tests)} tests: {case.name}")
                done += 1
                if done % 100 == 0:
                    self.say(f"{done} of {len(self.cases)}")

    def control(self, items: list[pytest.Item]) -> Case:
        """The module as it is, and all tests of the mutants: where a child fails on that, it fails
        on every mutant."""
        nodeids = {test.nodeid for case in self.cases for test in case.tests}
        source = (PACKAGE / FILES[0]).read_text(encoding="utf-8")
        unchanged = Mutant(CONTROL, source, range(0), range(0), at_import=True, in_function=False)
        return Case(FILES[0], unchanged, [item for item in items if item.nodeid in nodeids])

    def be_the_child(self, session: pytest.Session, case: Case, place: Path) -> None:
        """Take the mutant for the backend, run its tests to the first that fails, and exit."""
        code = KILLED
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            memory = 16 * 2**30
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            killer = place / "killer"
            killer.write_text("import", encoding="utf-8")
            signal.alarm(10)
            take_for_the_backend(session, place)
            for item, following in zip(case.tests, [*case.tests[1:], None], strict=True):
                killer.write_text(item.nodeid, encoding="utf-8")
                signal.alarm(10 + round(10 * self.seconds[item.nodeid]))
                if any(r.failed for r in runtestprotocol(item, nextitem=following, log=False)):
                    break
            else:
                code = SURVIVED
        finally:
            os._exit(code)


def copy_of_the_package(folder: Path) -> Path:
    shutil.copytree(PACKAGE, folder / PACKAGE.name)
    return folder


def take_for_the_backend(session: pytest.Session, place: Path) -> None:
    """Import the package from another folder, here and in every Python that a test starts."""
    sys.path.insert(0, str(place))
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for name in list(sys.modules):
        if name.partition(".")[0] == PACKAGE.name:
            del sys.modules[name]
    importlib.invalidate_caches()
    module = importlib.import_module(PACKAGE.name)
    for backend in {id(b): b for i in session.items if (b := backend_of(i))}.values():
        object.__setattr__(backend, "module", module)


def backend_of(item: pytest.Item):
    return item.callspec.params.get("backend") if hasattr(item, "callspec") else None


def end_the_group(group: int) -> None:
    """End what a child has started and left running."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write into docs/reliability.md")
    parser.add_argument("--sample", type=int, help="so many mutants, drawn with seed 0")
    parser.add_argument(
        "--only", default="", help="mutants whose name matches: a regular expression"
    )
    parser.add_argument("--workers", type=int, default=2, help="mutants at a time [default: 2]")
    options = parser.parse_args()
    began = time.perf_counter()

    def say(line: str) -> None:
        print(f"{time.perf_counter() - began:7.1f} s  {line}", file=sys.__stdout__, flush=True)

    # PyTorch's threads are not there in a child, which would wait for them.
    os.environ["OMP_NUM_THREADS"] = "1"
    run = MutationRun(options, say)
    suite = str(ROOT / "shared_tests" / "conformance")
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--backend=pure_python", "--capture=sys", "-qq", "-p", "no:cacheprovider"]
        code = pytest.main([suite, *arguments, f"--basetemp={folder}/tests"], plugins=[run])
    if code:
        return int(code)
    return judge(run.cases, time.perf_counter() - began, options)


def judge(cases: list[Case], seconds: float, options: argparse.Namespace) -> int:
    explained = {
        name: entry["why"]
        for entry in tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))["survivors"]
        for name in entry["mutants"]
    }
    survivors = [case.name for case in cases if not case.killer]
    killed = {case.name for case in cases if case.killer}
    unexplained = [name for name in survivors if name not in explained]
    whole = options.sample is None and not options.only
    stale = [n for n in explained if n in killed or (whole and n not in survivors)]
    share = len(killed) / len(cases)
    print(f"{len(killed)} of {len(cases)} mutants killed: {share:.1%}, limit {LIMIT:.0%}")
    for name in unexplained:
        print(f"survived, and survivors.toml does not say why it may:\n  {name}")
    for name in stale:
        print(f"survivors.toml lists it, and it is killed or no mutant any more:\n  {name}")
    if options.record:
        record("mutation", figures(cases, explained, seconds, options.sample))
    return 1 if unexplained or stale or share < LIMIT else 0


def figures(cases: list[Case], explained: dict[str, str], seconds: float, sample) -> str:
    rows = ["| file | mutants | killed | survivors |", "|---|---|---|---|"]
    for file in (*FILES, "together"):
        here = [case for case in cases if file in (case.file, "together")]
        if here:
            killed = sum(bool(case.killer) for case in here)
            left = len(here) - killed
            rows.append(f"| `{file}` | {len(here):,} | {killed / len(here):.1%} | {left} |")
    rows[-1] = rows[-1].replace("`", "")
    reasons = Counter(
        explained.get(case.name, "not explained: to be mended") for case in cases if not case.killer
    )
    lines = [f"- {count}: {why}" for why, count in reasons.most_common()]
    drawn = f" A sample of {sample:,} mutants, drawn with seed 0." if sample else ""
    took = f"The run took {seconds / 60:.0f} minutes.{drawn} Why survivors survive:"
    return "\n".join([*rows, "", took, "", *lines])


if __name__ == "__main__":
    sys.exit(main())
