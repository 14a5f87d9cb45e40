"""What a learner sees who points the suite at an engine that is not finished, or not there."""

import re

import pytest

from cases.suite_runs import SUITE, run_pytest, run_suite

HALF_WRITTEN = '''
class Value:
    """As far as the first chapter of a course goes."""

    def __init__(self, data):
        self.data = float(data)
        self.grad = 0.0
        self._prev = ()

    def __repr__(self):
        return f"Value({self.data}, grad={self.grad})"

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data)
        out._prev = (self, other)
        def backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data)
        out._prev = (self, other)
        def backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = backward
        return out

    def _backward(self):
        pass

    def backward(self):
        order, seen = [], set()
        def visit(v):
            if v not in seen:
                seen.add(v)
                for p in v._prev:
                    visit(p)
                order.append(v)
        visit(self)
        self.grad = 1.0
        for v in reversed(order):
            v._backward()
'''


def test_a_half_written_value(tmp_path):
    """It passes what it can, and is told in one line each what comes next."""
    (tmp_path / "half.py").write_text(HALF_WRITTEN)
    later = "functions::test_values", "vector::test_reductions", "nn"
    run = run_suite(tmp_path, "half", "names", "value", "backward", *later)
    assert run.code == 1, run.text[-2000:]
    for test in (
        "test_holds_a_float[half-2.0]",
        "test_a_sum[half]",
        "test_a_product[half]",
        "test_gradients_add_up[half]",
    ):
        assert test not in run.failures
    assert "walks the graph by recursion" in run.message_of("test_deeper_than_recursion_goes")
    assert "Value has no `tanh` yet" in run.message_of("test_values[half-tanh]")
    assert "half has no `Vector` yet" in run.message_of("test_reductions")
    assert "does not have yet" in run.message_of("test_every_name_is_there")
    (line,) = [line for line in run.text.splitlines() if line.startswith("half: names ")]
    assert (
        ", value " in line and "; next: test_starts_with_no_gradient_and_no_history[half]" in line
    )
    assert "INTERNALERROR" not in run.text and "errors during collection" not in run.text
    # An operator is a name too: one failure tells of it, and whatever needs it waits.
    for name in ("__sub__", "__rmul__", "__lt__"):
        assert run.text.count(f"\nhalf: Value has no `{name}` yet") == 1
    assert run.text.count("the parameter `label` of Value is not there yet") == 1
    assert not re.search("^E +TypeError: (unsupported|bad) operand", run.text, re.MULTILINE)


def test_the_engine_of_the_page(tmp_path):
    """docs/own_engine.md: what is missing is told once, and the tests that need it are not shown."""
    page = (SUITE.parents[1] / "docs" / "own_engine.md").read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1])
    parts = (
        "names", "backward", "random_programs",
        "nn::test_without_a_seed_pythons_random_draws",
        "threads_and_processes::test_no_grad_around_await",
        "threads_and_processes::test_processes[mine-spawn]",
    )  # fmt: skip
    run = run_suite(tmp_path, "mine", *parts)
    _, shown, summary = re.split("^=+ (?:FAILURES|not there yet) =+$", run.text, flags=re.MULTILINE)
    for sentence in ("mine: Value has no `backward` yet", "mine has no `MLP` yet"):
        assert summary.count(sentence) == 1 and sentence not in shown
    for part in (
        "has no",
        "not there yet",
        "hypothesis",
        "_random_",
        "no_grad",
        "process",
        "_every_",
    ):
        assert part not in shown, part
    assert len(run.text.splitlines()) < 250, run.text


FAULTY = """
from pure_python import *
from pure_python import __interface_version__, __version__
import pure_python

class Value(pure_python.Value):
    def __mul__(self, other):
        if isinstance(other, Value) and other.data < 0:
            raise IndexError("behind the end")
        return super().__mul__(other)
"""


def test_a_random_program_that_fails(tmp_path):
    """It is shown as one would write it, with what was expected and what came."""
    (tmp_path / "faulty.py").write_text(FAULTY)
    run = run_suite(tmp_path, "faulty", "random_programs::test_values_and_gradients")
    said = run.message_of("test_values_and_gradients")
    assert re.search(r"IndexError: behind the end \(\S*faulty.py, line 9, in __mul__\)", said)
    assert re.search(r"in this program:\nn0 = Value\(.*\nn\d+ = n\d+ \* n\d+", said, re.DOTALL)
    assert "hypothesis" not in said and len(run.text.splitlines()) < 60, run.text


def test_an_empty_module(tmp_path):
    """Every test is collected and fails in one line."""
    (tmp_path / "empty.py").write_text("")
    run = run_suite(tmp_path, "empty", "names", "value")
    assert run.code == 1 and "INTERNALERROR" not in run.text
    missing = run.message_of("test_every_name_is_there")
    assert "Value" in missing and "gradcheck" in missing
    assert "empty has no `Value` yet" in run.message_of("test_holds_a_float")
    assert "E   AttributeError" not in run.text


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("nowhere", None, "backend 'nowhere' cannot be imported: ModuleNotFoundError"),
        ("broken", "def f(:\n", "backend 'broken' cannot be imported: SyntaxError"),
        (
            "needy",
            "import a_package_that_is_not_there\n",
            "No module named 'a_package_that_is_not_there'",
        ),
        ("raising", "raise RuntimeError('of its own')\n", "RuntimeError: of its own"),
    ],
)
def test_a_module_that_cannot_be_imported(tmp_path, name, content, says):
    """Asked for and missing is an error in one sentence, never a skip."""
    if content is not None:
        (tmp_path / f"{name}.py").write_text(content)
    run = run_suite(tmp_path, name, "value")
    assert run.code == 4 and says in run.text, run.text
    assert "Traceback" not in run.text and "passed" not in run.text


def test_a_folder_is_no_module(tmp_path):
    """From the project's root, `import cython_core` finds a folder even where nothing is installed."""
    (tmp_path / "folder" / "src").mkdir(parents=True)
    run = run_suite(tmp_path, "folder", "value")
    assert run.code == 4 and "empty namespace package" in run.text, run.text


def test_a_module_in_a_package(tmp_path):
    """`--backend package.module`."""
    (tmp_path / "lecture").mkdir()
    (tmp_path / "lecture" / "__init__.py").write_text("")
    (tmp_path / "lecture" / "week1.py").write_text(HALF_WRITTEN)
    run = run_suite(tmp_path, "lecture.week1", "value")
    assert "backend: lecture.week1 from " in run.text and "lecture.week1: value " in run.text


def test_a_file_that_needs_other_backends(tmp_path):
    """Named alone: a folder that a run is not about is left out of it without a word."""
    file = str(SUITE.parent / "parity" / "test_threads.py")
    run = run_pytest(tmp_path, file, "--backend", "pure_python", "--backend", "numpy_vectorized")
    assert run.code == 4
    assert (
        "ERROR: shared_tests/parity needs cython_core too: leave out --backend, or add --backend "
        "cython_core" in run.text
    )
