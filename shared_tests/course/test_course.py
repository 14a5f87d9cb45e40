"""The course is true: its pages make an engine, each step asks for what is new in it, and each mistake
is called by its name.
"""

import contextlib
import io
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

from cases.suite_runs import run_pytest
from course.mistakes import MISTAKES, suspicions
from course.pages import ROOT, engines, merged, page_of
from course.plugin import LESSONS
from course.steps import STEPS

SUITE = ROOT / "shared_tests"
INDEX = (ROOT / "docs" / "course" / "index.md").read_text(encoding="utf-8")
RIGHT = engines()[-1]

each_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: f"step {step.number}")


def check_all(
    folder: Path, engines: dict[str, tuple[str | None, range]], *options: str
) -> dict[str, dict]:
    """All engines, each in some steps, in one run of pytest in a process of its own."""
    for name, (source, _) in engines.items():
        if source is not None:
            (folder / f"{name}.py").write_text(source, encoding="utf-8")
    steps = {name: steps for name, (_, steps) in engines.items()}
    program = f"""
import json, sys
sys.path.insert(0, {str(SUITE)!r})
from course.check import check
found = check({steps!r}, *{options!r})
open("found.json", "w").write(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert (folder / "found.json").exists(), done.stdout + done.stderr
    return json.loads((folder / "found.json").read_text())


# The pages -----------------------------------------------------------------------------------


def test_each_page_asks_for_something_and_its_solution_is_enough(tmp_path):
    """And the course asks for nothing that the interface does not, save `train`, which uses an engine."""
    made = engines()
    wanted = {"pure_python": (None, range(1, 10))}
    for step in STEPS:
        k = step.number
        begun = merged(made[k - 1], page_of(step).start)  # with nothing filled in
        wanted[f"begun_{k}"] = (begun, range(k, k + 1))
        # The last one tells of all steps; before it, what is new must not break what was there.
        wanted[f"after_{k}"] = (made[k], range(1 if k == 10 else max(1, k - 1), k + 1))
    done = {name: found["done"] for name, found in check_all(tmp_path, wanted).items()}
    for step in STEPS:
        assert done[f"begun_{step.number}"] < step.number, f"{step.page} asks for nothing"
        assert done[f"after_{step.number}"] == step.number, f"the solution of {step.page} fails"
    assert done["pure_python"] == 9


@each_step
def test_the_examples_of_a_page_print_what_it_says(step, monkeypatch):
    engine = engine_of(engines()[step.number])
    monkeypatch.setitem(sys.modules, "my_engine", engine)
    names: dict = {}
    for code, expected in page_of(step).examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert expected is None or printed.getvalue() == expected


def engine_of(source: str) -> types.ModuleType:
    engine = types.ModuleType("my_engine")
    exec(compile(source, "my_engine.py", "exec"), engine.__dict__)
    return engine


def test_lessons_without_a_step_say_what_to_run(tmp_path):
    """They are asked of an engine at its step, and some of no other: our own have no `train`."""
    done = run_pytest(tmp_path, str(LESSONS), "--backend", "pure_python")
    assert done.code == pytest.ExitCode.USAGE_ERROR and not done.failures
    assert "add --step N to check steps 1 to N" in done.text


def test_a_folder_of_the_suite_has_the_tests_that_are_in_it(tmp_path):
    done = run_pytest(tmp_path, str(LESSONS.parent), "--backend", "pure_python", "--step", "1")
    assert done.code == 0 and "step  1  A number that remembers        done" in done.text


@each_step
def test_a_page_has_its_title_its_command_and_its_neighbours(step):
    text = (ROOT / step.page).read_text(encoding="utf-8")
    assert text.startswith(f"# Step {step.number}: {step.title}\n")
    assert f"\npython -m pytest shared_tests --step {step.number}\n" in text
    assert f"| {step.number} | [{step.title}]({Path(step.page).name}) |" in INDEX
    for later in STEPS[step.number : step.number + 1]:
        assert f"Next: [step {later.number}, " in text and f"({Path(later.page).name})" in text


# Mistakes ------------------------------------------------------------------------------------

RSUB = "def __rsub__(self, other):\n        return as_value(other) - self"
MICROGRAD = '''
class Value:
    """The same with closures, as micrograd does it, and a depth-first search."""

    def __init__(self, data, operands=(), op="", label=""):
        self.data, self.grad = float(data), 0.0
        self.operands, self.op, self.label = tuple(operands), op, label
        self._backward = lambda: None

    def __repr__(self):
        return f"Value({self.data}, grad={self.grad})"

    def __add__(self, other):
        other = as_value(other)
        out = Value(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = as_value(other)
        out = Value(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def backward(self):
        order, seen = [], set()

        def visit(v):
            if v not in seen:
                seen.add(v)
                for operand in v.operands:
                    visit(operand)
                order.append(v)

        visit(self)
        self.grad = 1.0
        for v in reversed(order):
            v._backward()
'''


WALK_IN = {
    # The order of a queue: nearest to the root first.
    "a queue": """
class Value:
    ...

    def graph(self):
        found = [self]
        seen = {self}
        for node in found:
            for operand in node.operands:
                if operand not in seen:
                    seen.add(operand)
                    found.append(operand)
        return found
""",
    "a stack": """
class Value:
    ...

    def graph(self):
        found, waiting = {self: None}, [self]
        while waiting:
            node = waiting.pop()
            found[node] = None
            waiting += [operand for operand in node.operands if operand not in found]
        return list(found)
""",
    # As the order of a set may be: none.
    "no order": """
class Value:
    ...

    def graph(self):
        found = [self]
        for node in found:
            found += [operand for operand in node.operands if operand not in found]
        found.sort(key=lambda node: node.turn, reverse=True)
        return found[::2] + found[1::2]
""",
    "no set": """
class Value:
    ...

    def backward(self):
        self.grad = 1.0
        waiting = [self]
        while waiting:
            node = waiting.pop()
            for operand, local in zip(node.operands, node.local_grads):
                operand.grad += local * node.grad
                waiting.append(operand)
""",
}

COPIES = "\ndef as_value(x):\n    return Value(x.data if isinstance(x, Value) else x)\n"
A_SET = "class Value:\n    ...\n    operands = property(lambda self: self.kept, lambda self, given: setattr(self, 'kept', set(given)))\n"
FORGETS = """
class Value:
    ...

    def __mul__(self, other):
        if not isinstance(other, Value):
            return Value(self.data * other)
        return Value(self.data * other.data, (self, other), "*", local_grads=(other.data, self.data))
"""


def put_in(block: str):
    return lambda source: merged(source, block)


def method(name: str, *lines: str, arguments: str = "self, other"):
    body = "\n        ".join(lines)
    return put_in(f"class Value:\n    ...\n\n    def {name}({arguments}):\n        {body}\n")


def swap(old: str, new: str):
    def change(source: str) -> str:
        assert old in source, f"the solution reads otherwise now: {old!r} is not in it"
        return source.replace(old, new)

    return change


def both(*changes):
    def change(source: str) -> str:
        for one in changes:
            source = one(source)
        return source

    return change


UNARY = "return Value({value}, (self,), {name!r}, local_grads=({slope},))"


def function(name: str, value: str, slope: str):
    return method(
        name, f"y = {value}", UNARY.format(value="y", name=name, slope=slope), arguments="self"
    )


# what was done to the right engine: the mistake that has to be named
PLANTED = {
    "operands in a set": (put_in(A_SET), "operands in a set"),
    "+ without return": (method("__add__", "Value(self.data + as_value(other).data, (self, other), '+')"), "nothing is returned"),
    "a * 3 forgets a": (put_in(FORGETS), "a number cuts the graph"),
    "every operand is copied": (put_in(COPIES), "operands are copied"),
    "no 1 at the root": (swap("self.grad = 1.0", "pass"), "the root's gradient is not set"),
    "slopes of a product swapped": (
        swap("local_grads = (other.data, self.data)", "local_grads = (self.data, other.data)"),
        "the slopes of a product are swapped",
    ),
    "=": (swap("operand.grad += local", "operand.grad = local"), "overwritten gradients (= for +=)"),
    "= in +, with closures": (
        both(put_in(MICROGRAD), swap("self.grad += out.grad", "self.grad = out.grad"), swap("other.grad += out.grad", "other.grad = out.grad")),
        "overwritten gradients (= for +=)",
    ),
    "= in *, with closures": (
        both(put_in(MICROGRAD), swap("self.grad += other.data", "self.grad = other.data"), swap("other.grad += self.data", "other.grad = self.data")),
        "overwritten gradients (= for +=)",
    ),
    "all gradients start from zero": (
        swap("if node.operands:\n                node.grad = 0.0", "node.grad = 0.0"), "leaves start from zero in each call",
    ),
    "one operation deep": (swap("graph = self.graph()", "graph = [self]"), "only the root hands its gradient down"),
    "without the gradient from above": (
        swap("local * node.grad", "local"), "the gradient from above is not multiplied in",
    ),
    "recursion, with closures": (put_in(MICROGRAD), "recursion"),
    "recursion to find the graph": (
        method(
            "graph", "found = {}", "def visit(node):", "    if node not in found:", "        for operand in node.operands:",
            "            visit(operand)", "        found[node] = None", "visit(self)", "return list(reversed(found))", arguments="self",
        ),
        "recursion",
    ),
    "path by path, with a stack": (
        method(
            "backward", "waiting = [(self, 1.0)]", "while waiting:", "    node, above = waiting.pop()",
            "    node.grad += above", "    for operand, local in zip(node.operands, node.local_grads):",
            "        waiting.append((operand, local * above))", arguments="self",
        ),
        "a node is visited once for each path",
    ),
    "in the order of a queue": (put_in(WALK_IN["a queue"]), "no topological order"),
    "in the order of a stack": (put_in(WALK_IN["a stack"]), "no topological order"),
    "in no order": (put_in(WALK_IN["no order"]), "no topological order"),
    "no set of what was visited": (put_in(WALK_IN["no set"]), "a node is visited once for each path"),
    "in the order of creation": (swap("reverse=True", "reverse=False"), "only the root hands its gradient down"),
    "inner gradients stay": (
        swap("if node.operands:\n                node.grad = 0.0", "pass"), "stale gradients",
    ),
    "inner gradients and the root's stay": (
        both(swap("if node.operands:\n                node.grad = 0.0", "pass"), swap("self.grad = 1.0", "self.grad += 1.0")),
        "stale gradients",
    ),
    "zero_grad of a Value does nothing": (
        method("zero_grad", "pass", arguments="self"), "zero_grad leaves the gradient",
    ),
    "- without return": (method("__rsub__", "as_value(other) - self"), "nothing is returned"),
    "relu without return": (method("relu", "Value(max(self.data, 0.0), (self,), 'relu')", arguments="self"), "nothing is returned"),
    "2 - v is v - 2": (method("__rsub__", "return self - other"), "wrong __rsub__"),
    "__rsub__ is __sub__": (both(swap(RSUB, "__rsub__ = __sub__")), "wrong __rsub__"),
    "2 - v with the slope of v - 2": (
        method("__rsub__", "return Value(other - self.data, (self,), '-', local_grads=(1.0,))"), "wrong __rsub__",
    ),
    "a - b without its minus": (
        method("__sub__", "other = as_value(other)", "return Value(self.data - other.data, (self, other), '-', local_grads=(1.0, 1.0))"),
        "the sign of a subtraction",
    ),
    "8 / v is v / 8": (method("__rtruediv__", "return self / other"), "the order of a division"),
    "a / b is b / a": (method("__truediv__", "return as_value(other) * self ** -1"), "the order of a division"),
    "x ** n without n": (swap("slope = n * self.data ** (n - 1)", "slope = self.data ** (n - 1)"), "the slope of a power"),
    "x ** n with n * x ** n": (swap("slope = n * self.data ** (n - 1)", "slope = n * self.data ** n"), "the slope of a power"),
    "x ** n with (n - 1) * x": (swap("slope = n * self.data ** (n - 1)", "slope = n * self.data"), "the slope of a power"),
    "a / b with 1 / b for both": (
        method("__truediv__", "other = as_value(other)", "s = 1 / other.data", "return Value(self.data * s, (self, other), '/', local_grads=(s, s))"),
        "the slope of a division",
    ),
    "relu with >= 0": (swap("above = self.data > 0", "above = self.data >= 0"), "relu'(0) is 1"),
    "relu that lets all pass": (function("relu", "max(self.data, 0.0)", "1.0"), "relu passes every gradient"),
    "tanh by its formula": (
        function("tanh", "(math.exp(2 * self.data) - 1) / (math.exp(2 * self.data) + 1)", "1 - y * y"), "tanh overflows",
    ),
    "tanh by the other formula": (
        function("tanh", "(1 - math.exp(-2 * self.data)) / (1 + math.exp(-2 * self.data))", "1 - y * y"), "tanh overflows",
    ),
    "tanh of Values": (
        method("tanh", "e = (self * 2).exp()", "return (e - 1) / (e + 1)", arguments="self"), "tanh overflows",
    ),
    "sigmoid by its formula": (function("sigmoid", "1 / (1 + math.exp(-self.data))", "y * (1 - y)"), "sigmoid overflows"),
    "sigmoid by tanh": (function("sigmoid", "0.5 * (1 + math.tanh(self.data / 2))", "y * (1 - y)"), "sigmoid loses digits"),
    "1 - x² for tanh": (function("tanh", "math.tanh(self.data)", "1 - self.data ** 2"), "the slope of tanh"),
    "x (1 - x) for sigmoid": (
        both(swap("local_grads=(y * (1.0 - y),)", "local_grads=(self.data * (1.0 - self.data),)")), "the slope of sigmoid",
    ),
    "biases are no parameters": (swap("return [*self.weight, self.bias]", "return [*self.weight]"), "a bias that is not learnt"),
    "biases are not added": (swap("total = self.bias", "total = Value(0.0)"), "a bias that is not added"),
    "weights of one": (swap("Value(random.uniform(-1, 1))", "Value(1.0)"), "weights that are alike"),
    "a seed in each neuron": (
        swap("self.bias = Value(0.0)", "random.seed(1)\n        self.bias = Value(0.0)"), "weights that are alike",
    ),
    "[Neuron()] * n": (
        swap("[Neuron(n_in, activation) for _ in range(n_out)]", "[Neuron(n_in, activation)] * n_out"), "one neuron, many times",
    ),
    "relu on the output": (swap("+ ['linear']", "+ [activation]"), "an activation on the output"),
    "uphill": (swap("p.data -= self.lr", "p.data += self.lr"), "uphill"),
    "p -= lr * p.grad": (swap("p.data -= self.lr", "p -= self.lr"), "a step that changes nothing"),
    "zero_grad of SGD does nothing": (swap("p.zero_grad()", "pass"), "zero_grad of SGD leaves gradients"),
    "the sum of squares": (swap("return sum(squares) / len(squares)", "return sum(squares)"), "a sum for a mean"),
    "no zero_grad": (swap("        optimizer.zero_grad()\n", ""), "zero_grad forgotten"),
    "zero_grad after backward": (
        swap("optimizer.zero_grad()\n        loss.backward()\n", "loss.backward()\n        optimizer.zero_grad()\n"),
        "zero_grad between backward and step",
    ),
    "no backward": (swap("        loss.backward()\n", ""), "backward forgotten"),
    "no step": (swap("        optimizer.step()\n", ""), "step forgotten"),
    "the loss before the loop": (
        both(
            swap("        loss = mse_loss([model(row) for row in rows], targets)\n", ""),
            swap("    for _ in range(steps):\n        optimizer", "    loss = mse_loss([model(row) for row in rows], targets)\n    for _ in range(steps):\n        optimizer"),
        ),
        "the loss is computed once",
    ),
}  # fmt: skip

# Right in another way: with closures, and a depth-first search without recursion.
CLOSURES = both(
    put_in(MICROGRAD),
    method(
        "backward",
        "order, seen, waiting = [], set(), [(self, False)]",
        "while waiting:",
        "    v, ready = waiting.pop()",
        "    if ready:",
        "        order.append(v)",
        "    elif v not in seen:",
        "        seen.add(v)",
        "        waiting.append((v, True))",
        "        waiting += [(operand, False) for operand in v.operands]",
        "for v in order:",
        "    v.grad = 0.0 if v.operands else v.grad",
        "self.grad = 1.0",
        "for v in reversed(order):",
        "    v._backward()",
        arguments="self",
    ),
    method("zero_grad", "self.grad = 0.0", arguments="self"),
)


# Of those that are made in several steps.
STEP_OF = {"+ without return": 1, "- without return": 6}

# These take long. Engines that have nothing to do with what they are about are spared them.
LONG = (
    "conformance/test_03_backward.py::test_deeper_than_recursion_goes",
    "conformance/test_03_backward.py::test_a_node_waits_for_all_that_use_it",
    "course/test_lessons.py::test_two_moons_are_learnt",
)


@pytest.mark.parametrize("walks", [True, False], ids=["in the walk", "elsewhere"])
def test_each_mistake_fails_in_its_step_and_is_named(tmp_path, walks):
    """And no other is named with it. An engine that is right in another way has none."""
    wanted, steps_of = {}, {known.name: known.step for known in MISTAKES}
    names = {f"planted_{i}": planted for i, planted in enumerate(PLANTED)}
    for name, planted in names.items():
        change, mistake = PLANTED[planted]
        k = STEP_OF.get(planted, steps_of[mistake])
        if (k == 4) is walks:
            # From step 6 on what is new touches nothing that was there: the steps before are as right.
            wanted[name] = (change(RIGHT), range(1 if k < 6 else k, k + 1))
    if walks:
        wanted["closures"] = (CLOSURES(RIGHT), range(1, 6))
    options = ["--step-seconds=1"] if walks else [f"--deselect={test}" for test in LONG]
    all_found = check_all(tmp_path, wanted, *options)
    if walks:
        closures = all_found.pop("closures")
        assert (closures["done"], closures["mistakes"]) == (5, []), closures
    wrong = {
        names[name]: found
        for name, found in all_found.items()
        if found["mistakes"] != [PLANTED[names[name]][1]] or found["failing"] != wanted[name][1][-1]
    }
    assert not wrong and len(all_found) > 5, wrong


def test_every_mistake_is_planted():
    assert {mistake.name for mistake in MISTAKES} == {name for _, name in PLANTED.values()}


def test_the_right_engine_raises_no_suspicion(backend):
    """Nor does any of ours."""
    for engine in (backend.module, engine_of(RIGHT)):
        assert suspicions(engine, 10) == []


# What a learner sees -------------------------------------------------------------------------


def run_step(folder: Path, step: int, *options: str) -> tuple[int, str]:
    """The command of the pages, in a folder."""
    command = (sys.executable, "-m", "pytest", str(SUITE), "--step", str(step), *options)
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_mistake_is_told_at_the_end(tmp_path):
    """In the words of the lesson, with the page to read; and later steps wait."""
    change, _ = PLANTED["="]
    (tmp_path / "my_engine.py").write_text(change(RIGHT), encoding="utf-8")
    code, text = run_step(tmp_path, 5)
    assert code == 1 and "2 failed, 28 passed, 7 waiting" in text, text
    assert "short test summary" not in text, "it would stand between the advice and the reader"
    summary = text.partition("the course: my_engine ==")[2]
    for words in (
        "step  2  One local gradient at a time   done",
        "step  3  Gradients add up               0 of 2 tests",
        "step  4  The order of the walk          waits",
        "It looks like this: a gradient is overwritten (`=`) where it has to be added (`+=`)",
        "Seen: (a + a).backward() at a = 3 left a.grad at 1.0, not 2.0.",
        "See step 3: docs/course/03-gradients-add-up.md",
    ):
        assert words in summary, text


def test_where_no_mistake_is_known_the_first_failure_is_told(tmp_path):
    """With the beginning of the page to begin with."""
    (tmp_path / "my_engine.py").write_text(
        RIGHT.replace("self.bias = Value(0.0)", "self.bias = Value(2.0)")
    )
    code, text = run_step(tmp_path, 8)
    summary = text.partition("the course: my_engine ==")[2]
    assert code == 1 and "First of all: the bias starts at 2.0, expected 0.0." in summary, text
    assert "Read docs/course/08-neurons-and-layers.md" in summary, text


def test_what_is_next_is_told_at_the_end(tmp_path):
    """Under a name of one's own, too."""
    (tmp_path / "mine.py").write_text(engines()[2], encoding="utf-8")
    code, text = run_step(tmp_path, 2, "--backend", "mine")
    assert code == 0 and "Next: step 3, docs/course/03-gradients-add-up.md" in text, text


def test_before_anything_is_written(tmp_path):
    code, text = run_step(tmp_path, 1)
    assert code == 4 and f"there is no my_engine.py in {tmp_path}: begin it with step 1" in text, (
        text
    )


def test_an_operator_without_end_is_no_walk_of_a_graph(tmp_path):
    """Both are a RecursionError."""
    change = method("__sub__", "return self - as_value(other) * 1")
    (tmp_path / "my_engine.py").write_text(change(RIGHT), encoding="utf-8")
    code, text = run_step(tmp_path, 6)
    assert code == 1 and "First of all: calls within calls without end: __sub__." in text, text
