"""`--step N`: the tests of the course up to step N, and at the end what to do next.

A step is begun when those before it are done: after one that fails, the tests of the next ones wait.
What failed is followed by a guess at the mistake, where mistakes.py knows it.
"""

import importlib.util
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from course.limits import time_limit
from course.mistakes import Suspicion, suspicions
from course.steps import STEPS, Step

HERE = Path(__file__).parent
LESSONS = HERE / "test_lessons.py"
MY_ENGINE = "my_engine"


@dataclass
class Progress:
    """How far one engine has come."""

    tests: Counter[int] = field(default_factory=Counter)  # of a step: how many there are
    passed: Counter[int] = field(default_factory=Counter)
    failed: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))  # messages
    suspicions: list[Suspicion] = field(default_factory=list)

    @property
    def first_failing(self) -> int | None:
        return min(self.failed, default=None)

    def is_done(self, step: int) -> bool:
        """Ctrl-C, or an engine that skips its tests, leaves some of them open."""
        return step not in self.failed and self.passed[step] == self.tests[step]


PROGRESS = pytest.StashKey[dict[str, Progress]]()
STEP = pytest.StashKey[int]()  # of an item


def pytest_addoption(parser):
    parser.addoption(
        "--step",
        type=int,
        choices=[step.number for step in STEPS],
        metavar="N",
        help="the course (docs/course): check steps 1 to N of my_engine, or of --backend NAME",
    )
    parser.addoption(
        "--step-seconds",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="of computing after which a test of the course is stopped, 10 if not given; those that "
        "pass take less than one",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if asked(config):
        folder = config.invocation_params.dir
        config.option.backend = config.option.backend or [MY_ENGINE]
        begun = any(folder.glob(f"{MY_ENGINE}*")) or importlib.util.find_spec(MY_ENGINE)
        if config.option.backend == [MY_ENGINE] and not begun:
            raise pytest.UsageError(
                f"there is no {MY_ENGINE}.py in {folder}: begin it with step 1, {STEPS[0].page}"
            )
        config.stash[PROGRESS] = defaultdict(Progress)
        config.option.reportchars = "N"  # no list of failures after the advice
        # The steps compare nothing with PyTorch, and to import it takes longer than to check them.
        sys.modules.setdefault("torch", None)


def asked(config) -> int | None:
    return config.getoption("--step")


@pytest.hookimpl(tryfirst=True)
def pytest_ignore_collect(collection_path, config):
    """With --step, look for tests where there are some of these steps; without, at no lesson."""
    if not asked(config):
        return True if collection_path == LESSONS else None
    if collection_path.is_dir():
        return collection_path not in (HERE.parent, HERE, HERE.parent / "conformance")
    return home(collection_path) not in {
        test.partition("::")[0] for step in STEPS[: asked(config)] for test in step.tests
    }


def home(path: Path) -> str:
    """`value` for conformance/test_02_value.py, and `lessons`."""
    return path.stem.rpartition("_")[2]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Keep the tests of the steps, in the order of the steps."""
    if not asked(config):
        # Where a folder is named they are looked past; here somebody has named the file.
        if any(item.path == LESSONS for item in items):
            raise pytest.UsageError(
                f"{LESSONS.name} holds the tests of the course's steps: add --step N to check steps 1 "
                f"to N, of {MY_ENGINE}.py or of --backend NAME"
            )
        return
    places = {}
    for step in STEPS[: asked(config)]:
        for test in step.tests:
            places[test] = (step.number, len(places))
    kept, found = [], set()
    for item in items:
        function = f"{home(item.path)}::{item.originalname}"
        case = item.callspec.id.removeprefix(item.callspec.params["backend"].id).removeprefix("-")
        name = next((n for n in (f"{function}[{case}]", function) if n in places), None)
        if name is not None:
            found.add(name)
            item.stash[STEP] = places[name][0]
            kept.append((places[name], item))
    missing = sorted(places.keys() - found)
    folders = [(config.invocation_params.dir / name).resolve() for name in config.args]
    whole = any(HERE.is_relative_to(folder) and folder != HERE for folder in folders)
    if missing and whole and not config.option.keyword:
        raise pytest.UsageError(f"course/steps.py names tests that are not there: {missing}")
    items[:] = [item for _, item in sorted(kept, key=lambda pair: pair[0])]


def pytest_collection_finish(session):
    for item in session.items:
        if STEP in item.stash:
            progress_of(item).tests[item.stash[STEP]] += 1


def progress_of(item) -> Progress:
    return item.config.stash[PROGRESS][item.callspec.params["backend"].name]


class Waits(pytest.fail.Exception):
    """An earlier step is not done."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    failing = progress_of(item).first_failing if STEP in item.stash else None
    if failing is not None and failing < item.stash[STEP]:
        raise Waits(f"waits for step {failing}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if STEP not in item.stash:
        return (yield)
    seconds = item.config.getoption("--step-seconds")
    with time_limit(
        seconds,
        f"stopped after {seconds:g} s: a loop that does not end, or a walk that comes to a node once for "
        "each path (there may be 2 to the power of 40) or looks for it in a long list: use a set",
    ):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if STEP in item.stash:
        progress, step = progress_of(item), item.stash[STEP]
        if call.excinfo is not None and isinstance(call.excinfo.value, Waits):
            report.waiting = True  # conftest.py tells these from those that fail
        elif report.failed:
            message = call.excinfo.exconly().partition("\n")[0]
            progress.failed[step].append(
                re.sub(r"^(\S*(AssertionError|Failed|NotThereYet)): ", "", message)
            )
        elif report.passed and report.when == "call":
            progress.passed[step] += 1
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    """Look for the mistake, once all tests have said what they had to say."""
    if not asked(session.config):
        return
    for backend, progress in session.config.stash[PROGRESS].items():
        if progress.first_failing is not None:
            progress.suspicions = suspicions(sys.modules[backend], progress.first_failing)


def pytest_terminal_summary(terminalreporter, config):
    if not asked(config):
        return
    for backend, progress in config.stash[PROGRESS].items():
        terminalreporter.section(f"the course: {backend}")
        for step in STEPS[: asked(config)]:
            tell(terminalreporter, step, progress)
        for line in advice(progress, asked(config)):
            terminalreporter.write_line(line, yellow=progress.first_failing is not None)


def tell(terminalreporter, step: Step, progress: Progress) -> None:
    number, done = step.number, progress.is_done(step.number)
    waits = progress.first_failing is not None and number > progress.first_failing
    count = f"{progress.passed[number]} of {progress.tests[number]} tests"
    how = "waits" if waits else "done" if done else count
    colour = {"yellow": True} if waits else {"green": True} if done else {"red": True}
    terminalreporter.write_line(f"step {number:2}  {step.title:30} {how}", **colour)


def advice(progress: Progress, last: int) -> list[str]:
    """What to do next."""
    failing = progress.first_failing
    if failing is not None:
        known = [line for suspicion in progress.suspicions for line in suspicion.lines]
        first = f"First of all: {progress.failed[failing][0]}."
        return known or [first, f"Read {STEPS[failing - 1].page}"]
    if not all(progress.is_done(number) for number in range(1, last + 1)):
        return []
    if last < len(STEPS):
        return [f"Next: step {last + 1}, {STEPS[last].page}"]
    return ["That is an engine. docs/interface.md says what is left until it is a whole backend."]
