"""Which backends are tested, and how the outcome is told.

`python -m pytest shared_tests` tests the three backends. `--backend NAME`, which can be repeated, picks
some of them, or takes any module or `package.module` of your own: a fourth engine, or a `Value` that you
have just begun to write. The suite then goes from easy to hard and says how far the engine has come.
"""

import gc
import importlib
import importlib.util
import os
import sys
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, settings

from cases.unfinished import NAMES, OPERATORS, NotThereYet, Wait, not_there_yet

pytest_plugins = ["course.plugin"]  # --step N

NO_SHRINKING = [phase for phase in Phase if phase not in (Phase.shrink, Phase.explain)]
settings.register_profile(
    "trigrad",
    deadline=None,
    database=None,  # nothing is written into the folder that the tests are started in
    derandomize=True,  # a change of the code, not luck, decides whether the suite passes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
# For tests of the tests: to see that a fault is found, its smallest example is not needed.
settings.register_profile(
    "no_shrinking", parent=settings.get_profile("trigrad"), phases=NO_SHRINKING
)
settings.load_profile("trigrad")

OURS = {"pure_python": "pure", "numpy_vectorized": "numpy", "cython_core": "cython"}
ROOT = Path(__file__).parent

# What a folder of tests needs to run. A folder that is not named here runs for every backend.
NEEDS = {
    "browser": set(OURS),
    "playground": set(OURS),
    "drawing": {"pure_python"},
    "parity": set(OURS),
    "planted": {"pure_python"},
    "tensors": {"numpy_vectorized"},
}


@dataclass(frozen=True)
class Backend:
    """A module that is tested. Its names are attributes: `backend.Value(2.0)`.

    A name that it does not have fails the test in one line, so that the tests of a half-written engine
    are collected and run all the same.
    """

    name: str
    id: str
    module: ModuleType = field(repr=False)
    waits: dict[str, Wait] = field(default_factory=dict, repr=False)  # for a name: what waits

    def __getattr__(self, name: str):
        if not self.has(name) and name not in NAMES:  # such as what libraries ask of any object
            raise AttributeError(name)
        if not self.has(name):
            raise NotThereYet(
                name,
                f"{self.name} has no `{name}` yet",
                ": this test needs it (shared_tests/interface_stub.py lists every name with its signature)",
            )
        return getattr(self.module, name)

    def has(self, name: str) -> bool:
        return hasattr(self.module, name)

    @property
    def arrays(self) -> bool:
        """Whether it has the tensor extension: its Vectors are arrays, its parameters are tensors."""
        vector, value = getattr(self.module, "Vector", object), getattr(self.module, "Value", None)
        return value is not None and issubclass(vector, value)


def load_backend(name: str, folder: Path) -> Backend:
    try:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(error.name or "?"):
                raise
            # A learner's own file lies in the folder that pytest was started in. It goes to the end of
            # the path, where it cannot hide an installed backend.
            if str(folder) not in sys.path:
                sys.path.append(str(folder))
            importlib.invalidate_caches()
            module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        at = f" ({where.filename}, line {where.lineno})" if where.filename[:1] != "<" else ""
        absent = isinstance(error, ModuleNotFoundError)
        advice = (
            "Install it, or pick others with --backend NAME."
            if absent
            else "Python has to be able to import it before its tests can start."
        )
        raise pytest.UsageError(
            f"backend {name!r} cannot be imported: {type(error).__name__}: {error}{at}. {advice}"
        ) from None
    if getattr(module, "__file__", None) is None:
        raise pytest.UsageError(
            f"backend {name!r} is an empty namespace package: Python found a folder of that name and no "
            f"module in it. Install it (python -m pip install ./{name}), then run the tests again."
        )
    return Backend(name, OURS.get(name, name.rpartition(".")[2]), module)


def pytest_addoption(parser):
    parser.addoption(
        "--backend",
        action="append",
        metavar="NAME",
        help="module to test, may be repeated: pure_python, numpy_vectorized, cython_core (together the "
        "default), or any module of your own",
    )
    parser.addoption(
        "--without-pytorch",
        action="store_true",
        help="leave out the tests that compare with PyTorch, and say how many these are",
    )


BACKENDS = pytest.StashKey[list[Backend]]()
WITHOUT_PYTORCH = pytest.StashKey[int]()  # how many tests are left out
OUTCOMES = pytest.StashKey[dict[tuple[str, str, str], bool]]()  # (backend, chapter, test): passed


def pytest_configure(config):
    names = list(dict.fromkeys(config.getoption("--backend") or OURS))
    config.stash[BACKENDS] = [load_backend(name, config.invocation_params.dir) for name in names]
    config.stash[OUTCOMES] = {}
    config.stash[WITHOUT_PYTORCH] = 0


def pytest_report_header(config):
    lines = []
    for backend in config.stash[BACKENDS]:
        engine = sys.modules.get(backend.name + ".engine")
        files = [backend.module.__file__] + ([engine.__file__] if engine else [])
        lines.append(f"backend: {backend.name} from {', '.join(files)}")
    return lines


def pytest_ignore_collect(collection_path, config):
    """Leave out the folders that are about backends which were not asked for."""
    names = {backend.name for backend in config.stash[BACKENDS]}
    if collection_path.parent == ROOT and collection_path.is_dir():
        needs = NEEDS.get(collection_path.name)
        if needs is not None and not needs <= names:
            return True
        if collection_path.name != "conformance" and not names & set(OURS):
            return True
    return None


def chapter(nodeid: str) -> str | None:
    """`functional` for conformance/test_06_functional.py: the files are numbered from easy to hard."""
    path = Path(nodeid.partition("::")[0])
    if path.parent.name != "conformance":
        return None
    return path.stem.split("_", 2)[2].replace("_", " ")


def pytest_generate_tests(metafunc):
    if "backend" in metafunc.fixturenames:
        backends = metafunc.config.stash[BACKENDS]
        about_an_engine = metafunc.config.getoption("--step") or chapter(metafunc.definition.nodeid)
        if about_an_engine is None:  # but about our own distributions
            backends = [backend for backend in backends if backend.name in OURS]
        metafunc.parametrize("backend", backends, ids=[backend.id for backend in backends])


def pytest_collection_modifyitems(config, items):
    """Drop the cases that mean something else in a backend, such as `Value([1.0])` where it is an
    array.
    """
    check_backends_of_folders(config, items)
    items[:] = [item for item in items if applies(**getattr(item, "callspec", no_params).params)]
    compared = [item for item in items if item.get_closest_marker("pytorch")]
    if config.getoption("--without-pytorch"):
        items[:] = [item for item in items if not item.get_closest_marker("pytorch")]
        config.hook.pytest_deselected(items=compared)
        config.stash[WITHOUT_PYTORCH] = len(compared)
    elif compared and importlib.util.find_spec("torch") is None:
        raise pytest.UsageError(
            f"PyTorch is not installed, and {len(compared)} tests compare with it. Install it "
            "(python -m pip install torch), or run what needs none with --without-pytorch"
        )


def check_backends_of_folders(config, items):
    """UsageError for a folder that was named, or a file of it, and needs more than --backend says.

    Folders that were not named are left out above.
    """
    names = {backend.name for backend in config.stash[BACKENDS]}
    for folder, needs in NEEDS.items():
        missing = sorted(needs - names)
        if missing and any(ROOT / folder in item.path.parents for item in items):
            raise pytest.UsageError(
                f"shared_tests/{folder} needs {' and '.join(missing)} too: leave out --backend, or add "
                + " ".join(f"--backend {name}" for name in missing)
            )


no_params = SimpleNamespace(params={})


def applies(case=None, backend=None, **others) -> bool:
    return backend is None or not hasattr(case, "applies_to") or case.applies_to(backend)


@pytest.fixture(scope="session")
def backends(pytestconfig) -> list[Backend]:
    """All backends of this run."""
    return pytestconfig.stash[BACKENDS]


def records(backend: Backend | None) -> bool | None:
    """Whether operations record their operands now, or None where the engine cannot tell."""
    try:
        return bool((backend.module.Value(1.0) + backend.module.Value(2.0)).operands)
    except Exception:
        return None


@pytest.fixture(autouse=True)
def no_traces_left(request):
    """Fail a test that leaves the process changed. Python's random state may change."""
    backend = request.getfixturevalue("backend") if "backend" in request.fixturenames else None

    def state():
        return {
            "operations record a graph (a no_grad is still on)": records(backend),
            "the garbage collector is on": gc.isenabled(),
            "the recursion limit": sys.getrecursionlimit(),
            "the working directory": os.getcwd(),
        }

    before = state()
    yield
    for what, now in state().items():
        if now != before[what]:
            pytest.fail(
                f"the test left the process changed: {what}: {before[what]} -> {now}", pytrace=False
            )


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Say in one line what is not there yet, where Python would show a traceback."""
    backend = pyfuncitem.funcargs.get("backend")
    try:
        return (yield)
    except RecursionError as error:
        if backend is None:
            raise
        calls = Counter(frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__))
        operators = {f"__{side}{name}__" for name in OPERATORS.values() for side in ("", "r")}
        endless = [name for name, count in calls.items() if name in operators and count > 100]
        if endless:
            sentence = f"calls within calls without end: {', '.join(endless)}"
        else:
            sentence = (
                f"{backend.name} walks the graph by recursion, and Python allows about a thousand "
                "calls: use a loop with a list as its stack (rule 1.11)"
            )
        raise pytest.fail.Exception(sentence, pytrace=False) from None
    except Exception as error:
        missing = not_there_yet(backend, error)
        if missing is not None:
            raise missing from None
        if isinstance(error, AssertionError):
            # The message says it all; pytest's account of how the condition came out would bury it.
            message, _, account = str(error).partition("\nassert ")
            if account and not message.startswith("assert "):
                error.args = (message,)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    doc = getattr(getattr(item, "obj", None), "__doc__", None)
    if report.failed and doc:
        report.sections.append(("What this test is about", " ".join(doc.split())))
    backend = item.callspec.params.get("backend") if hasattr(item, "callspec") else None
    part = chapter(item.nodeid)
    if backend is not None and part is not None:
        # A test has up to three reports (setup, call, teardown): it passed if none of them failed.
        outcomes, key = item.config.stash[OUTCOMES], (backend.name, part, item.nodeid)
        outcomes[key] = outcomes.get(key, True) and not report.failed
    if (
        backend is not None
        and call.excinfo is not None
        and isinstance(call.excinfo.value, NotThereYet)
    ):
        missing = call.excinfo.value
        first = missing.name not in backend.waits
        wait = backend.waits.setdefault(missing.name, Wait(missing.sentence))
        wait.count += 1
        if part != "names":
            wait.first = min(wait.first, len(item.config.stash[OUTCOMES]))
        # The course goes on at the first that fails, and says so. Of ours nothing may be missing.
        report.waiting = backend.name not in OURS and not (
            first and item.config.getoption("--step")
        )
    return report


def pytest_report_teststatus(report):
    """Tests of what is not there yet wait for it, and are counted so."""
    if getattr(report, "waiting", False):
        return "waiting", "-", "WAITING"
    return None


def tell_what_is_missing(terminalreporter, backend: Backend) -> None:
    """A line for each thing, in the order in which the tests come to it."""
    if not backend.waits:
        return
    terminalreporter.section("not there yet")
    for wait in sorted(backend.waits.values(), key=lambda wait: wait.first):
        tests = f"{wait.count} test{'' if wait.count == 1 else 's'}"
        terminalreporter.write_line(f"{wait.sentence}  ({tests})", yellow=True)


def pytest_terminal_summary(terminalreporter, config):
    """How far each engine has come, chapter by chapter, and where to go on."""
    outcomes = config.stash[OUTCOMES]
    if config.getoption("--without-pytorch"):
        terminalreporter.section("not compared with PyTorch")
        count = config.stash[WITHOUT_PYTORCH]
        terminalreporter.write_line(
            f"{count} tests compare with PyTorch and were left out", yellow=True
        )
    if config.getoption("--step"):
        return  # the course tells it by its steps
    for backend in config.stash[BACKENDS]:
        tell_what_is_missing(terminalreporter, backend)
    if outcomes:
        terminalreporter.section("how far each backend has come")
    for backend in config.stash[BACKENDS]:
        rows = [
            (part, node, ok) for (name, part, node), ok in outcomes.items() if name == backend.name
        ]
        if not rows:
            continue
        total = Counter(part for part, _, _ in rows)
        passed = Counter(part for part, _, ok in rows if ok)
        line = ", ".join(f"{part} {passed[part]} of {total[part]}" for part in total)
        failed = [(part, node.rpartition("::")[2]) for part, node, ok in rows if not ok]
        failed.sort(key=lambda row: row[0] == "names")  # all names there are is no next step
        line += f"; next: {failed[0][1]}" if failed else ""
        terminalreporter.write_line(f"{backend.name}: {line}")
