"""The tests are tested: an engine with a fault planted in it must fail in the test that names the fault.

The engine is a copy of pure_python under another name, with one thing changed. The suite runs on it in
a process of its own, as it would on an engine of yours.
"""

import ast
import shutil
from pathlib import Path

import pytest

import pure_python
from cases.suite_runs import run_suite


def copy_of_the_engine(folder: Path) -> Path:
    package = folder / "faulty"
    shutil.copytree(
        Path(pure_python.__file__).parent,
        package,
        ignore=shutil.ignore_patterns("__pycache__", "training"),
    )
    for file in package.rglob("*.py"):
        file.write_text(
            file.read_text(encoding="utf-8").replace("pure_python", "faulty"), encoding="utf-8"
        )
    return package


def append(code: str):
    def plant(package: Path) -> None:
        with open(package / "__init__.py", "a", encoding="utf-8") as file:
            # What is loaded on demand is no name of the module before somebody asks for it.
            file.write("\n\nimport math\n\nfrom faulty.graph import draw_dot, trace\n\n" + code)

    return plant


def overwrite_gradients(package: Path) -> None:
    """`=` for `+=` wherever the engine adds to a gradient."""

    class Overwrite(ast.NodeTransformer):
        count = 0

        def visit_AugAssign(self, node):
            if (
                isinstance(node.target, ast.Attribute)
                and node.target.attr.endswith("grad")
                and isinstance(node.op, ast.Add)
            ):
                self.count += 1
                return ast.copy_location(ast.Assign([node.target], node.value), node)
            return node

    planting, file = Overwrite(), package / "engine.py"
    tree = planting.visit(ast.parse(file.read_text(encoding="utf-8")))
    assert planting.count > 3, (
        "the engine adds to gradients in another way now: plant this fault anew"
    )
    file.write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding="utf-8")


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text, "the code reads otherwise now: plant this fault anew"
    file.write_text(text.replace(old, new), encoding="utf-8")


OPERANDS_IN_A_SET = """
def in_a_set(name, value, slopes):
    right = getattr(Value, f"__{name}__")
    def method(self, other):
        if not isinstance(other, Value):
            return right(self, other)
        slope = dict.fromkeys({self, other}, 0.0)
        for v, s in zip((self, other), slopes(self.data, other.data)):
            slope[v] += s
        return Value(value(self.data, other.data), tuple(slope), {"add": "+", "mul": "*"}[name], local_grads=slope.values())
    setattr(Value, f"__{name}__", method)
in_a_set("add", lambda a, b: a + b, lambda a, b: (1.0, 1.0))
in_a_set("mul", lambda a, b: a * b, lambda a, b: (b, a))
"""

# The gradients that were left in nodes act as if backward had been called on these nodes too.
STALE_GRADIENTS = """
right = Value.backward
def backward(self, grad=1.0):
    stale = [(n, n.grad) for n in trace(self, fused=True)[0] if n.operands and n.grad]
    right(self, grad)
    for node, left_over in stale:
        right(node, left_over)
Value.backward = backward
"""

RECURSIVE_BACKWARD = """
right = Value.backward
def order(node, found):
    if node not in found:
        for operand in node.operands:
            order(operand, found)
        found.append(node)
def backward(self, grad=1.0):
    order(self, type("Nodes", (dict,), {"append": lambda s, n: s.__setitem__(n, None)})())
    right(self, grad)
Value.backward = backward
"""


def function(name: str, value: str, slope: str) -> str:
    """A method of Value with another formula for its value or its slope."""
    return f"""
def {name}(self):
    x = self.data
    y = {value}
    return Value(y, (self,), {name!r}, local_grads=({slope},))
Value.{name} = {name}
"""


# name: (plant, chapter, the test that names the fault, words of its message)
FAULTS = {
    "= for += on gradients": (overwrite_gradients, "backward", "test_gradients_add_up", "add with +=, do not overwrite"),
    "a wrong __rsub__": (
        append("Value.__rsub__ = lambda self, other: self - other\n"),
        "value", "test_numbers_on_either_side[faulty-2 - v]", "2 - v with v = 3 is 1.0, expected -1.0: mind which side",
    ),
    "a tanh that overflows": (
        append(function("tanh", "(math.exp(2 * x) - 1) / (math.exp(2 * x) + 1)", "1 - y * y")),
        "functions", "test_special_values[faulty-tanh at 1000.0]", "math range error",
    ),
    "operands in a set": (append(OPERANDS_IN_A_SET), "value", "test_an_operand_used_twice_counts_twice", "keep them in a tuple"),
    "stale intermediate gradients": (
        append(STALE_GRADIENTS), "backward", "test_a_second_backward_on_the_same_graph", "must start from zero in each call",
    ),
    "a derivative 0.05 % wrong": (
        append(function("tanh", "math.tanh(x)", "(1 - y * y) * 1.0005")),
        "functions", "test_derivatives[faulty-tanh]", "0.0005 off",
    ),
    "a slope of one at relu's kink": (
        append(function("relu", "max(x, 0.0)", "1.0 if x >= 0 else 0.0")),
        "functions", "test_special_values[faulty-relu at 0.0]", "the slope of relu at 0.0 is 1.0, expected 0.0",
    ),
    "a tape that holds every node": (
        append("kept = []\nmul = Value.__mul__\n"
               "def keeping(self, other):\n    kept.append(mul(self, other))\n    return kept[-1]\n"
               "Value.__mul__ = keeping\n"),
        "backward", "test_a_graph_is_freed_when_its_root_goes", "the graph outlives its root",
    ),
    "recursion over the graph": (
        append(RECURSIVE_BACKWARD), "backward", "test_deeper_than_recursion_goes", "walks the graph by recursion",
    ),
    "leaves that start from zero": (
        append("right = Value.backward\n"
               "def backward(self, grad=1.0):\n"
               "    for node in trace(self, fused=True)[0]:\n        node.grad = 0.0\n"
               "    right(self, grad)\n"
               "Value.backward = backward\n"),
        "backward", "test_leaves_accumulate_over_calls", "backward must not set leaves to zero",
    ),
    "a no_grad that is never left": (
        append("no_grad.__exit__ = lambda self, *exception: None\n"),
        "backward", "test_no_grad", "after the block, operations are recorded again",
    ),
    "an error without the operation": (
        append("def log(self):\n    return Value(math.log(self.data), (self,), 'log', local_grads=(1 / self.data,))\nValue.log = log\n"),
        "functions", "test_refuses[faulty-Value(-1).log()]", "cannot compute log(-1.0): outside the function's domain",
    ),
    "a sum from right to left": (
        append("Vector.sum = lambda self: sum(reversed(list(self)))\n"),
        "vector", "test_reductions", "op is",
    ),
    "inputs cut by zip": (
        append("call = Layer.__call__\n"
               "Layer.__call__ = lambda self, x: call(self, [v for v, _ in zip(x, range(self.n_in))])\n"),
        "nn", "test_refuses[faulty-Layer(2, 4) of 3]", "expected ValueError",
    ),
    "biases that are drawn too": (
        append("init = Neuron._build\n"
               "def build(self, *args):\n    init(self, *args)\n    self.bias.data = args[-1].uniform(-1, 1)\n"
               "Neuron._build = build\n"),
        "nn", "test_weights_come_from_pythons_random", "biases draw nothing",
    ),
    "a softmax that takes its last input for a number": (
        append("right = softmax\n"
               "def softmax(values):\n    values = list(values)\n    return right([*values[:-1], float(values[-1])])\n"),
        "functional", "test_over_a_sequence", "the gradient to argument 1",
    ),
    "Adam without its correction": (
        append("step = Adam.step\n"
               "def plain(self):\n    self.steps += 1000\n    step(self)\n    self.steps -= 1000\n"
               "Adam.step = plain\n"),
        "optim", "test_agrees_with_pytorch[faulty-Adam]", "after step 1",
    ),
    "a drawing that loses an edge": (
        append("full = draw_dot\n"
               "def draw_dot(root, **options):\n"
               "    dot = full(root, **options)\n    dot.body[:] = dict.fromkeys(dot.body)\n    return dot\n"),
        "graph", "test_drawing_draws_both_edges", "the arrows are",
    ),
    "a gradcheck that is content": (
        append("gradcheck = lambda f, inputs, **options: True\n"),
        "graph", "test_gradcheck_finds_a_gradient_that_is_slightly_wrong", "must not pass",
    ),
    "a counter that threads share": (
        append("import time\nfrom faulty import engine\n"
               "class Shared:\n    serial = 0\n"
               "    def __next__(self):\n        now = self.serial\n        now % 100 or time.sleep(1e-5)\n"
               "        self.serial = now + 1\n        return self.serial\n"
               "engine.numbering = Shared()\n"),
        "threads_and_processes", "test_threads_with_graphs_of_their_own", "disturb each other",
    ),
    "threads that walk at once": (
        append("import time\nfrom contextlib import nullcontext\nfrom faulty import engine\nengine.walking = nullcontext()\n"
               "below = engine.operations_below\n"
               "def pausing(*args, **options):\n    found = below(*args, **options)\n    time.sleep(1e-5)\n    return found\n"
               "engine.operations_below = pausing\n"),
        "threads_and_processes", "test_one_graph_in_several_threads", "hold a lock while backward runs",
    ),
    "a diagnose that is content": (
        append("diagnose = lambda root, parameters=None: []\n"),
        "graph", "test_a_script_that_forgets_zero_grad", "expected 'not zeroed' alone",
    ),
    "a diagnose that takes a step for a mistake": (
        lambda package: replace(package / "graph" / "mistakes.py", "    if not follow(graph, given):\n        return False\n", ""),
        "graph", "test_nothing_is_found_while_a_network_learns[faulty-1-relu]", "data changed",
    ),
    "data that are never computed anew": (
        append("Value._recomputed = lambda self, memo: self.data\n"),
        "graph", "test_a_fused_operation_is_computed_anew[faulty-a loss]", "data changed",
    ),
    "another default": (
        append("def softplus(self, beta): return self\nValue.softplus = softplus\n"),
        "names", "test_signature[faulty-Value-softplus]", "asks for `beta`",
    ),
}  # fmt: skip


def part(chapter: str, test: str) -> str:
    """The test, with all of its parameters."""
    return f"{chapter}::{test.partition('[')[0]}"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(fault, tmp_path):
    plant, chapter, test, words = FAULTS[fault]
    plant(copy_of_the_engine(tmp_path))
    run = run_suite(tmp_path, "faulty", part(chapter, test))
    assert run.code == 1, f"pytest ended with {run.code}:\n{run.text[-2000:]}"
    message = run.message_of(test)
    assert words in message, (
        f"{test} failed, and its message is {message!r}: it should say {words!r}"
    )


LEAK = "test_memory_stays_what_it_was[faulty-custom operations, no_grad, copies]"


def test_a_leak_is_measured(tmp_path):
    """A reference cycle in every node: the memory tests have to see it."""
    package = copy_of_the_engine(tmp_path)
    append(
        "made = Value.__init__\n"
        "class Cycle(list):\n    pass\n"
        "def init(self, *args, **options):\n"
        "    made(self, *args, **options)\n    cycle = Cycle([self, [0.0] * 1000])\n    cycle.append(cycle)\n    self.label = Text(self.label)\n"
        "    self.label.cycle = cycle\n"
        "class Text(str):\n    pass\n"
        "Value.__init__ = init\n"
    )(package)
    run = run_suite(tmp_path, "faulty", part("depth_and_memory", LEAK))
    assert "memory grew by" in run.message_of(LEAK)


def test_the_copy_without_a_fault_passes(tmp_path):
    """The other side of the above: what fails there fails because of the fault."""
    copy_of_the_engine(tmp_path)
    named = {part(chapter, test) for _, chapter, test, _ in FAULTS.values()}
    run = run_suite(tmp_path, "faulty", "names", *sorted(named), part("depth_and_memory", LEAK))
    assert run.code == 0 and not run.failures, run.text[-2000:]
    assert "faulty: names " in run.text and "next:" not in run.text
