"""The comparisons are tested: a difference planted in one backend must be found by the test that
looks for it.
"""

from pathlib import Path

import pytest

from cases.suite_runs import run_pytest

HERE = Path(__file__).parent

LAST_DIGIT = """
import math
import pure_python
from pure_python import Value
right = Value.{name}
def {name}(self):
    y = right(self)
    return Value(math.nextafter(y.data, 2.0), (self,), {name!r}, local_grads=(1.0,))
Value.{name} = {name}
"""

# name: (what is done to a backend, file of tests, the test that has to fail)
DIFFERENCES = {
    "a last digit of softplus": (LAST_DIGIT.format(name="softplus"), "scalar_programs", "test_the_same_bits"),
    "a zero that loses its sign": (
        "import pure_python\nneg = pure_python.Value.__neg__\n"
        "pure_python.Value.__neg__ = lambda self: self * 1.0 if self.data == 0.0 else neg(self)\n",
        "scalar_programs", "test_the_same_bits",
    ),
    "a gradient 1e-9 off in numpy_vectorized": (
        "from numpy_vectorized import Value\nright = Value.sin\n"
        "def sin(self):\n    y = right(self)\n"
        "    return Value(y.data, (self,), 'sin', local_grads=((1 + 1e-9) * self.cos().data,)) if y.ndim == 0 else y\n"
        "Value.sin = sin\n",
        "scalar_programs", "test_the_naive_reference_and_pytorch",
    ),
    "another step size in the last digit": (
        "import pure_python\nstep = pure_python.AdamW.step\n"
        "def other(self):\n    lr = self.lr\n    self.lr = lr * (1 + 3e-16)\n    step(self)\n    self.lr = lr\n"
        "pure_python.AdamW.step = other\n",
        "training_runs", "test_every_activation_and_optimiser[AdamW-relu]",
    ),
    "another word in a message": (
        "import pure_python\nright = pure_python.Value.maximum\n"
        "def maximum(self, other):\n"
        "    if isinstance(other, str):\n        raise TypeError(f'no number: {other!r}')\n"
        "    return right(self, other)\n"
        "pure_python.Value.maximum = maximum\n",
        "errors", "test_the_same_words[1.9 maximum('abc')]",
    ),
    "a drawing with another colour": (
        "import pure_python\nright = pure_python.draw_dot\n"
        "def draw_dot(root, **options):\n"
        "    dot = right(root, **options)\n    dot.attr(bgcolor='grey')\n    return dot\n"
        "pure_python.draw_dot = draw_dot\n",
        "drawings", "test_the_same_text[a neuron-]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_planted_difference_is_found(difference, tmp_path):
    code, file, test = DIFFERENCES[difference]
    (tmp_path / "planted_difference.py").write_text(code)
    where = f"{HERE / f'test_{file}.py'}::{test.partition('[')[0]}"
    run = run_pytest(tmp_path, where, "-p", "planted_difference")
    assert run.code == 1, f"pytest ended with {run.code}:\n{run.text[-2000:]}"
    run.message_of(test)
