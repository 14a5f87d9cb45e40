"""Mistakes that people make, found in a graph."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pure_python.graph.tracing import Node

if TYPE_CHECKING:
    from pure_python.graph.mistakes import Diagnosis


def diagnose(root: Node | Sequence[Node], parameters: Any = None) -> "Diagnosis":
    """What is wrong with this graph, in plain words: `print(diagnose(loss, model))`.

    Call it after `loss.backward()`, before or after the step of the optimiser. It finds:

    - "not finite": the first number that is nan or inf, and how it came about
    - "gradient not finite": the same of a gradient, where all data are finite
    - "not zeroed": gradients that hold more than one backward pass of this root gives
    - "backward again": gradients that are a multiple of it
    - "data changed": numbers that no longer follow from what they were computed from
    - "dead relu": a unit that gave 0 for every sample, far from ever giving more
    - "saturated": a tanh or sigmoid unit that no longer answers to its inputs
    - "vanishing gradients", "exploding gradients": by layer, compared with the last
    - "not reached": parameters that the root does not depend on

    root: a Value, a Vector or a sequence of them, all losses whose gradients were added up.
    parameters: a model, its `named_parameters()`, or a sequence of Values. Without it the weights
    and biases of dot products count, or, where there are none, all leaves.
    The result is a sequence of findings, empty where nothing is found. Nothing changes, and the
    result holds no node of the graph. TypeError for what is no Value.

    A step, a clipped gradient or gradients set to zero are no mistakes. Data that were changed are
    reported after backward only where the gradients show that backward saw them so; where nothing
    but biases is trained, name them as parameters. A parameter that is a Vector counts as reached
    where one of its elements is.

    The thresholds stand in pure_python.graph.mistakes, with what healthy runs came to: trainings on
    the data sets of `train`, with several seeds, activations, optimisers and first weights, and the
    GPT of the examples, looked at from the first step to the last. Each is far from all of these.
    """
    # Loaded by those who ask: importing a backend takes no longer for it.
    from pure_python.graph.mistakes import look_for_mistakes

    return look_for_mistakes(root, parameters)
