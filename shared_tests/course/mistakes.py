"""The classic mistakes, each with a small experiment that shows it.

An experiment is not satisfied with a wrong number: it looks for the very number that the mistake gives,
so that one mistake is not taken for another. It returns what it saw, or None. Whatever it raises means
that the engine cannot do this yet, and shows no mistake.
"""

import math
import random
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cases.numbers import close
from course.limits import time_limit
from course.line import Line
from course.steps import STEPS

SECONDS = 2  # for one experiment

Experiment = Callable[[Any], str | None]


@dataclass(frozen=True)
class Mistake:
    name: str  # as the report for teachers calls it
    step: int
    says: str  # as the page of the step says it
    experiment: Experiment


@dataclass(frozen=True)
class Suspicion:
    mistake: Mistake
    seen: str

    @property
    def lines(self) -> tuple[str, ...]:
        step = STEPS[self.mistake.step - 1]
        return (
            f"It looks like this: {self.mistake.says}.",
            f"  Seen: {self.seen}.",
            f"  See step {step.number}: {step.page}",
        )


MISTAKES: list[Mistake] = []


def mistake(name: str, step: int, says: str) -> Callable[[Experiment], Experiment]:
    def note(experiment: Experiment) -> Experiment:
        MISTAKES.append(Mistake(name, step, says, experiment))
        return experiment

    return note


def suspicions(engine: Any, step: int) -> list[Suspicion]:
    """The mistakes of steps 1 to `step` that an engine shows, in the order of the steps."""
    found = []
    state = random.getstate()
    for known in MISTAKES:
        if known.step > step:
            continue
        try:
            with warnings.catch_warnings(), time_limit(SECONDS, "an experiment that does not end"):
                warnings.simplefilter("ignore")
                seen = known.experiment(engine)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:  # a learner's engine may raise anything, SystemExit too
            continue
        if seen:
            found.append(Suspicion(known, seen))
    random.setstate(state)
    return found


def grads(engine: Any, apply: Callable[..., Any], *numbers: float) -> tuple[float, ...]:
    """The gradients of fresh Values of these numbers, after backward of what is made of them."""
    leaves = [engine.Value(number) for number in numbers]
    apply(*leaves).backward()
    return tuple(leaf.grad for leaf in leaves)


# Step 1 --------------------------------------------------------------------------------------

WITHOUT_RETURN = (
    "nothing is returned",
    "a result is computed and not returned: return Value(…)",
)


def missing_of(**results: Callable[[], Any]) -> str | None:
    """Which of these is None."""
    missing = []
    for method, apply in results.items():
        try:
            if apply() is None:
                missing.append(method)
        except Exception:  # it is not there yet, or is made of one that is missing
            continue
    return f"{' and '.join(missing)} gave None" if missing else None


@mistake(WITHOUT_RETURN[0], 1, WITHOUT_RETURN[1])
def sum_or_product_without_return(engine):
    a, b = engine.Value(2.0), engine.Value(3.0)
    return missing_of(__add__=lambda: a + b, __mul__=lambda: a * b)


@mistake(WITHOUT_RETURN[0], 6, WITHOUT_RETURN[1])
def operator_without_return(engine):
    v = engine.Value(2.0)
    return missing_of(
        __neg__=lambda: -v,
        __sub__=lambda: v - 1,
        __truediv__=lambda: v / 2,
        __pow__=lambda: v**2,
        __radd__=lambda: 1 + v,
        __rsub__=lambda: 1 - v,
        __rmul__=lambda: 2 * v,
        __rtruediv__=lambda: 2 / v,
    )


@mistake(WITHOUT_RETURN[0], 7, WITHOUT_RETURN[1])
def function_without_return(engine):
    v = engine.Value(2.0)
    return missing_of(
        relu=lambda: v.relu(),
        exp=lambda: v.exp(),
        log=lambda: v.log(),
        tanh=lambda: v.tanh(),
        sigmoid=lambda: v.sigmoid(),
    )


@mistake(
    "operands in a set",
    1,
    "operands are kept in a set, where one that is used twice is there once: keep them in a tuple",
)
def operands_in_a_set(engine):
    a = engine.Value(2.0)
    kept = (a + a).operands
    return f"(a + a).operands is {kept!r}" if len(kept) == 1 else None


@mistake(
    "a number cuts the graph",
    1,
    "an operation with a plain number does not remember the Value beside it (its constant is "
    "treated as if all were constant), so no gradient gets past it",
)
def a_number_cuts_the_graph(engine):
    a = engine.Value(2.0)
    if not any(operand is a for operand in (a + engine.Value(3.0)).operands):
        return None
    for text, result in (("a + 3.0", a + 3.0), ("a * 3.0", a * 3.0)):
        if isinstance(result, engine.Value) and all(o is not a for o in result.operands):
            return f"the operands of {text} are {tuple(result.operands)!r}, without a"
    return None


@mistake(
    "operands are copied",
    1,
    "an operation remembers a copy of its operand, and the copy gets the gradient: a Value goes in "
    "as it is, only a plain number is made into a new one",
)
def operands_are_copied(engine):
    a, b = engine.Value(2.0), engine.Value(3.0)
    kept = tuple((a + b).operands)
    if [v.data for v in kept] == [2.0, 3.0] and not (kept[0] is a and kept[1] is b):
        return "the operands of a + b have the data of a and b, and are not a and b"
    return None


# Step 2 --------------------------------------------------------------------------------------


@mistake(
    "the root's gradient is not set",
    2,
    "the gradient of the Value that backward() is called on is not set to 1, so zeros go down",
)
def no_gradient_at_the_root(engine):
    root = engine.Value(2.0) * engine.Value(3.0)
    root.backward()
    if root.grad == 0.0 and grads(engine, lambda a, b: a * b, 2.0, 3.0) == (0.0, 0.0):
        return "after c.backward() of c = a * b, c.grad is 0.0"
    return None


@mistake(
    "the slopes of a product are swapped",
    2,
    "the slopes of a product are swapped: in a * b, the slope to a is b, and to b it is a",
)
def swapped_slopes(engine):
    if grads(engine, lambda a, b: a * b, 2.0, 3.0) == (2.0, 3.0):
        return "for a = 2 and b = 3, (a * b).backward() left a.grad at 2.0 and b.grad at 3.0"
    return None


# Step 3 --------------------------------------------------------------------------------------


@mistake(
    "overwritten gradients (= for +=)",
    3,
    "a gradient is overwritten (`=`) where it has to be added (`+=`): a Value that is used twice "
    "gets a part from each use",
)
def overwritten(engine):
    if operands_in_a_set(engine):
        return None
    for text, apply, slope in (("a + a", lambda a: a + a, 1.0), ("a * a", lambda a: a * a, 3.0)):
        (got,) = grads(engine, apply, 3.0)
        if got == slope:
            return f"({text}).backward() at a = 3 left a.grad at {got!r}, not {2 * slope!r}"
    # Both uses may be of different nodes, and the overwriting elsewhere.
    (got,) = grads(engine, lambda a: a * 2.0 + a * 5.0, 3.0)
    if got in (2.0, 5.0):
        return f"(a * 2.0 + a * 5.0).backward() left a.grad at {got!r}, one of 2.0 and 5.0, not 7.0"
    return None


@mistake(
    "leaves start from zero in each call",
    3,
    "backward() sets the gradients of leaves to zero, too: they add up over calls, and only "
    "zero_grad() clears them",
)
def leaves_are_zeroed(engine):
    x = engine.Value(3.0)
    (x * 2.0).backward()
    first = x.grad
    (x * 5.0).backward()
    if (first, x.grad) == (2.0, 5.0) and not overwritten(engine):
        return "(x * 2.0).backward(), then (x * 5.0).backward() left x.grad at 5.0, not 7.0"
    return None


# Step 4 --------------------------------------------------------------------------------------


def depths(engine: Any) -> dict[int, int]:
    """Of so many sums in a row, how many from the last on have handed their gradient down."""
    found, chains = {}, []  # all are kept, so that no other lies at the same addresses
    for n in range(4, 20):
        one, chain = engine.Value(1.0), [engine.Value(1.0)]
        for _ in range(n):
            chain.append(chain[-1] + one)
        chains.append(chain)
        chain[-1].backward()
        below = [v.grad != 0.0 for v in chain[-2::-1]]
        found[n] = (*below, False).index(False)
    return found


@mistake(
    "only the root hands its gradient down",
    4,
    "only the root hands its gradient down: either backward() goes no further, or the others have "
    "their turn too early, in the order in which they were made instead of the reverse",
)
def one_operation_deep(engine):
    a = engine.Value(2.0)
    b = a * 3.0
    (b * 5.0).backward()
    # In the order of a set some go further, by chance.
    if (b.grad, a.grad) == (5.0, 0.0) and set(depths(engine).values()) == {1}:
        return "in (a * 3.0) * 5.0 the product in the middle has its gradient, and a.grad is 0.0"
    return None


@mistake(
    "the gradient from above is not multiplied in",
    4,
    "a node hands down its local gradient alone: multiply it by the gradient from above, node.grad",
)
def without_the_gradient_from_above(engine):
    got = grads(engine, lambda a, b, c: (a * b) * c, 2.0, 3.0, 5.0)
    if got == (3.0, 2.0, 6.0):
        return "in (a * b) * c with 2, 3, 5 a.grad is 3.0, the slope of a * b alone, not 3·5"
    return None


def chain_by_recursion(engine: Any) -> bool:
    a = engine.Value(1.0)
    v = a
    for _ in range(2 * sys.getrecursionlimit()):
        v = v + 1.0
    try:
        v.backward()
    except RecursionError:
        return True
    return False


@mistake(
    "recursion",
    4,
    "the graph is walked by recursion, and Python allows about a thousand calls within calls: use a "
    "loop with a list as its stack",
)
def recursion(engine):
    if chain_by_recursion(engine):
        return f"backward() of {2 * sys.getrecursionlimit()} sums in a row raised RecursionError"
    return None


def lines_executed(function: Callable[[], Any], most: int) -> int:
    """How many lines of Python a call takes, counted up to `most`: a time that no other load changes."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        if count > most:
            raise OverflowError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except OverflowError:
        pass
    finally:
        sys.settrace(before)
    return count


def doublings(engine: Any, n: int) -> Any:
    v = engine.Value(1.0)
    for _ in range(n):
        v = v + v
    return v


@mistake(
    "a node is visited once for each path",
    4,
    "a node is visited once for each path to it, and paths double with every v + v: remember in a "
    "set which nodes were visited",
)
def once_for_each_path(engine):
    few = lines_executed(doublings(engine, 5).backward, 100_000)
    many = lines_executed(doublings(engine, 10).backward, 100_000)
    if many > 8 * few:
        return f"backward() of 5 doublings takes {few} lines of Python, of 10 doublings {many}"
    return None


@mistake(
    "no topological order",
    4,
    "a node hands its gradient on before it has all of it, or does so again later: let the node made "
    "last give first",
)
def no_order(engine):
    for n, depth in depths(engine).items():
        if 1 < depth < n:
            return f"of {n} sums in a row only the last {depth} handed down a gradient"
    tree = grads(engine, lambda a, b, c, d: (a * b + c) * d, 2.0, -3.0, 10.0, -2.0)
    if tree != (6.0, -4.0, -2.0, 4.0) or overwritten(engine) or once_for_each_path(engine):
        return None

    def left(a):
        p = a * 2.0
        return p * (p + a)

    def right(a):
        p = a * 2.0
        return (p + a) * p

    for text, apply in (("p * (p + a)", left), ("(p + a) * p", right)):
        (got,) = grads(engine, apply, 3.0)
        if got != 36.0:
            return f"y = {text} with p = a * 2 and a = 3 left a.grad at {got!r}, not 36.0"
    return None


# Step 5 --------------------------------------------------------------------------------------


@mistake(
    "stale gradients",
    5,
    "gradients that an earlier backward() left in inner nodes are handed down once more: set all but "
    "the leaves' to zero at the start of each call",
)
def stale(engine):
    x = engine.Value(3.0)
    z = x * x * x
    z.backward()
    first = x.grad
    z.backward()
    # 72: the inner product started from 3. 99: and the root from 1.
    if first == 27.0 and x.grad in (72.0, 99.0):
        return (
            f"x.grad of x * x * x at 3 is 27.0, and after a second backward() {x.grad!r}, not 54.0"
        )
    x = engine.Value(3.0)
    y = x * 2.0
    y.backward()
    (y * 1.0 + x).backward()  # y has the 1.0 of the first call, unless it starts from zero
    if x.grad == 7.0:
        return "y = x * 2, y.backward(), then (y + x).backward() left x.grad at 7.0, not 5.0"
    return None


@mistake(
    "zero_grad leaves the gradient",
    5,
    "zero_grad() of a Value does not set its grad to 0.0",
)
def zero_grad_does_nothing(engine):
    x = engine.Value(3.0)
    x.grad = 2.0
    x.zero_grad()
    return f"x.grad is {x.grad!r} after x.zero_grad()" if x.grad != 0.0 else None


# Step 6 --------------------------------------------------------------------------------------


@mistake(
    "wrong __rsub__",
    6,
    "`2 - v` is computed as `v - 2`: Python calls v.__rsub__(2), and there v is the one on the right",
)
def wrong_rsub(engine):
    v = engine.Value(7.0)
    if (v - 2).data == 5.0 and (2 - v).data == 5.0:
        return "2 - Value(7.0) is 5.0, not -5.0"
    slopes = grads(engine, lambda v: v - 2, 7.0) + grads(engine, lambda v: 2 - v, 7.0)
    if (2 - v).data == -5.0 and slopes == (1.0, 1.0) and not sign_of_subtraction(engine):
        return "v.grad of 2 - v is 1.0, as of v - 2, not -1.0"
    return None


@mistake(
    "the sign of a subtraction",
    6,
    "in a - b the slope to b is -1, not 1",
)
def sign_of_subtraction(engine):
    v = engine.Value(5.0) - engine.Value(2.0)
    if v.data == 3.0 and grads(engine, lambda a, b: a - b, 5.0, 2.0) == (1.0, 1.0):
        return "(a - b).backward() left b.grad at 1.0"
    return None


@mistake(
    "the order of a division",
    6,
    "a division is turned round: in a / b, and in the 8 / v that Python hands to v.__rtruediv__(8), "
    "what stands on the left is divided by what stands on the right",
)
def order_of_division(engine):
    v = engine.Value(2.0)
    if (engine.Value(8.0) / v).data == 0.25:
        return "Value(8.0) / Value(2.0) is 0.25, not 4.0"
    if (8.0 / v).data == 0.25:
        return "8.0 / Value(2.0) is 0.25, not 4.0"
    if (v / 8.0).data == 4.0:
        return "Value(2.0) / 8.0 is 4.0, not 0.25"
    return None


@mistake(
    "the slope of a power",
    6,
    "the slope of x ** n is wrong: it is n · x ** (n - 1)",
)
def slope_of_a_power(engine):
    x, n = 2.0, 5
    if (engine.Value(x) ** n).data != x**n:
        return None
    (got,) = grads(engine, lambda v: v**n, x)
    wrong = {
        x ** (n - 1): "the factor n is missing",
        n * x**n: "it is n · x ** n",
        n * x: "it is n · x",
        (n - 1) * x ** (n - 1): "it is (n - 1) · x ** (n - 1)",
        (n - 1) * x**n: "it is (n - 1) · x ** n",
        x**n: "it is x ** n",
        x**n * math.log(x): "that is the slope to the exponent",
        0.0: "nothing arrives",
    }
    if close(got, n * x ** (n - 1)):
        return None
    how = next((how for number, how in wrong.items() if close(got, number)), "")
    return f"for 2 ** 5 the slope to 2 is {got!r}, not 80.0{': ' + how if how else ''}"


@mistake(
    "the slope of a division",
    6,
    "the slopes of a / b are wrong: to a it is 1 / b, and to b it is -a / b²",
)
def slope_of_a_division(engine):
    if (engine.Value(6.0) / engine.Value(2.0)).data != 3.0 or slope_of_a_power(engine):
        return None
    to_a, to_b = grads(engine, lambda a, b: a / b, 6.0, 2.0)
    if not (close(to_a, 0.5) and close(to_b, -1.5)):
        return f"for 6 / 2 the slopes are {to_a!r} and {to_b!r}, not 0.5 and -1.5"
    return None


# Step 7 --------------------------------------------------------------------------------------


@mistake(
    "relu'(0) is 1",
    7,
    "the slope of relu at exactly 0 is 1: it is 0 there, as in PyTorch, so ask for x > 0, not x >= 0",
)
def slope_of_relu_at_zero(engine):
    slopes = [grads(engine, lambda v: v.relu(), x)[0] for x in (0.0, 1.0, -1.0)]
    return "Value(0.0).relu() has the slope 1.0" if slopes == [1.0, 1.0, 0.0] else None


@mistake(
    "relu passes every gradient",
    7,
    "relu hands the gradient on where its input is negative: its slope is 0 there",
)
def slope_of_relu_below_zero(engine):
    if engine.Value(-2.0).relu().data == 0.0 and grads(engine, lambda v: v.relu(), -2.0) == (1.0,):
        return "Value(-2.0).relu() has the slope 1.0"
    return None


def overflows(function: Callable[[], Any]) -> str | None:
    try:
        got = function().data
    except OverflowError as error:
        return f"raises OverflowError ({error})"
    return "is nan" if got != got else None


@mistake(
    "tanh overflows",
    7,
    "tanh computes e^x of a large number, which no float can hold, though tanh itself is 1 there: use "
    "math.tanh",
)
def tanh_overflows(engine):
    for x in (1000.0, -1000.0):
        if not close(engine.Value(0.5).tanh().data, math.tanh(0.5), 1e-6):
            return None
        how = overflows(lambda: engine.Value(x).tanh())  # noqa: B023 - called at once
        if how:
            return f"Value({x}).tanh() {how}"
    return None


@mistake(
    "sigmoid overflows",
    7,
    "sigmoid computes e^x of a large number, which no float can hold: take the exponent of a negative "
    "number, e^-x for x >= 0 and e^x for x < 0",
)
def sigmoid_overflows(engine):
    for x in (1000.0, -1000.0):
        if not close(engine.Value(0.5).sigmoid().data, 1 / (1 + math.exp(-0.5)), 1e-6):
            return None
        how = overflows(lambda: engine.Value(x).sigmoid())  # noqa: B023 - called at once
        if how:
            return f"Value({x}).sigmoid() {how}"
    return None


@mistake(
    "sigmoid loses digits",
    7,
    "sigmoid is computed as 1 minus a number that is nearly 1, and few digits are left of such a "
    "difference: for x < 0 take e^x / (1 + e^x)",
)
def sigmoid_loses_digits(engine):
    got, right = engine.Value(-30.0).sigmoid().data, math.exp(-30) / (1 + math.exp(-30))
    close_at_the_middle = close(engine.Value(-0.5).sigmoid().data, 1 / (1 + math.exp(0.5)))
    if close_at_the_middle and not close(got, right) and close(got, right, 0.01):
        return f"Value(-30.0).sigmoid() is {got!r}, not {right!r}"
    return None


@mistake(
    "the slope of tanh",
    7,
    "the slope of tanh is 1 - y², where y is what tanh gives, not what it is given",
)
def slope_of_tanh(engine):
    (got,) = grads(engine, lambda v: v.tanh(), 0.5)
    if close(engine.Value(0.5).tanh().data, math.tanh(0.5), 1e-9) and close(got, 0.75):
        return "the slope of tanh at x = 0.5 is 0.75 = 1 - x²"
    return None


@mistake(
    "the slope of sigmoid",
    7,
    "the slope of sigmoid is y·(1 - y), where y is what sigmoid gives, not what it is given",
)
def slope_of_sigmoid(engine):
    (got,) = grads(engine, lambda v: v.sigmoid(), 0.5)
    right = 1 / (1 + math.exp(-0.5))
    if close(engine.Value(0.5).sigmoid().data, right, 1e-9) and close(got, 0.25):
        return "the slope of sigmoid at x = 0.5 is 0.25 = x·(1 - x)"
    return None


# Step 8 --------------------------------------------------------------------------------------


@mistake(
    "a bias that is not learnt",
    8,
    "parameters() gives the weights without the biases",
)
def biases_are_no_parameters(engine):
    count = len(list(engine.Layer(3, 10).parameters()))
    return (
        f"Layer(3, 10) has {count} parameters, not 30 weights and 10 biases"
        if count == 30
        else None
    )


@mistake(
    "a bias that is not added",
    8,
    "a neuron leaves out its bias: it is w·x + b",
)
def bias_is_not_added(engine):
    neuron = engine.Neuron(1, activation="linear")
    before = neuron([1.0]).data
    neuron.bias.data += 2.0
    if before == neuron([1.0]).data:
        return "the output of a neuron is the same with a bias of 0 and of 2"
    return None


@mistake(
    "weights that are alike",
    8,
    "neurons start with the same weights, and so they learn the same: draw each at random, and do not "
    "set the seed in between",
)
def weights_are_alike(engine):
    one, other = ([w.data for w in engine.Neuron(5).weight] for _ in range(2))
    return f"the weights of two neurons are both {one!r}" if one and one == other else None


@mistake(
    "one neuron, many times",
    8,
    "a layer has one neuron several times over ([Neuron(…)] * n repeats one and the same object): "
    "make a new one in each turn of a loop",
)
def one_neuron_many_times(engine):
    layer = engine.Layer(4, 5, activation="linear")
    outputs = {y.data for y in layer([1.0, 2.0, 3.0, 4.0])}
    if len(outputs) == 1 and len({id(p) for p in layer.parameters()}) == 5:
        return "Layer(4, 5) has five parameters, and gives the same number five times"
    return None


@mistake(
    "an activation on the output",
    8,
    "the last layer of the network bends, too, so that relu cuts off every negative answer: the last "
    "layer is linear",
)
def activation_on_the_output(engine):
    random.seed(3)
    models = [engine.MLP(2, [4, 1], activation="relu") for _ in range(30)]
    outputs = [model([1.0, -2.0]).data for model in models]
    if min(outputs) == 0.0 and max(outputs) > 0.0:
        return "thirty networks with relu, and none has a negative output"
    return None


# Step 9 --------------------------------------------------------------------------------------


def after_a_step(engine):
    """1.0 with the gradient 3.0, after a step of lr 0.5."""
    p = engine.Value(1.0)
    p.grad = 3.0
    engine.SGD([p], lr=0.5).step()
    return p.data


@mistake(
    "uphill",
    9,
    "the step goes uphill: the gradient points to where the loss grows, so it is subtracted",
)
def uphill(engine):
    came = after_a_step(engine)
    return "1.0 with the gradient 3.0 became 2.5 by a step of lr 0.5" if came == 2.5 else None


@mistake(
    "a step that changes nothing",
    9,
    "a step leaves the parameters as they were: `p -= …` makes a new Value and calls it p, but it is "
    "p.data that has to change",
)
def nothing_changes(engine):
    came = after_a_step(engine)
    return "1.0 with the gradient 3.0 is 1.0 after a step of lr 0.5" if came == 1.0 else None


@mistake(
    "zero_grad of SGD leaves gradients",
    9,
    "SGD.zero_grad() leaves gradients as they are",
)
def sgd_zeroes_nothing(engine):
    p, q = engine.Value(1.0), engine.Value(2.0)
    p.grad = q.grad = 3.0
    engine.SGD([p, q], lr=0.5).zero_grad()
    if p.grad or q.grad:
        return f"gradients of two parameters are {p.grad!r} and {q.grad!r} after it"
    return None


@mistake(
    "a sum for a mean",
    9,
    "the loss is the sum of the squares: divide it by how many there are, or the learning rate "
    "depends on the number of samples",
)
def sum_for_a_mean(engine):
    loss = engine.mse_loss([engine.Value(x) for x in (3.0, -1.0, 2.0)], [1.0, 1.0, 1.0])
    return "mse_loss([3, -1, 2], [1, 1, 1]) is 9.0, not 3.0" if loss.data == 9.0 else None


# Step 10 -------------------------------------------------------------------------------------


def trained(engine: Any, w: float, steps: int) -> tuple[Line, list[float]]:
    """A line after some steps of train(), from w, and the losses."""
    model = Line(engine, w)
    return model, engine.train(model, [[1.0]], [1.0], steps=steps, lr=0.1)


@mistake(
    "zero_grad forgotten",
    10,
    "zero_grad() is forgotten, so each step takes the gradients of all steps before it once more: "
    "call it before backward()",
)
def zero_grad_forgotten(engine):
    first = trained(engine, 0.0, 1)[0].w.data
    second = trained(engine, first, 1)[0].w.data - first
    # With the gradients of both steps, the second goes as far as both together.
    if first and close(trained(engine, 0.0, 2)[0].w.data, first + (first + second)):
        return "the second step of train() goes as far as the first and the second together"
    return None


@mistake(
    "backward forgotten",
    10,
    "backward() is not called, so there is no gradient to step by",
)
def backward_forgotten(engine):
    model, _ = trained(engine, 0.0, 1)
    if model.w.data == 0.0 and model.outputs and model.outputs[-1].grad == 0.0:
        return "train() leaves the weight of a line where it was, and its outputs have no gradient"
    return None


@mistake(
    "zero_grad between backward and step",
    10,
    "zero_grad() comes between backward() and step(), so there is no gradient left to step by: call "
    "it before backward()",
)
def zero_grad_too_late(engine):
    model, _ = trained(engine, 0.0, 1)
    if (model.w.data, model.w.grad) == (0.0, 0.0) and model.outputs[-1].grad != 0.0:
        return (
            "train() goes backward, and leaves the weight of a line where it was, without gradient"
        )
    return None


@mistake(
    "step forgotten",
    10,
    "step() is not called: there are gradients, and nobody goes against them",
)
def step_forgotten(engine):
    model, _ = trained(engine, 0.0, 1)
    if model.w.data == 0.0 and model.w.grad != 0.0:
        return "train() leaves the weight of a line where it was, though it has a gradient"
    return None


@mistake(
    "the loss is computed once",
    10,
    "the predictions and their loss are computed before the loop, and tell of the first weights for "
    "ever: compute them anew in each step",
)
def loss_computed_once(engine):
    model, losses = trained(engine, 0.0, 3)
    if len(model.outputs) == 1 and model.w.data != 0.0 and len(set(losses)) == 1:
        return "in three steps of train() the model is asked once"
    return None
