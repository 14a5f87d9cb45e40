"""What can be done with a graph that an engine has built: trace it, draw it, take its backward
pass step by step, check its gradients.

Nothing here imports an engine. It works on whatever has `data grad label op operands backward`.
"""

from pure_python.graph.diagnosis import diagnose
from pure_python.graph.drawing import draw, draw_dot
from pure_python.graph.explanation import Explanation, Path, explain
from pure_python.graph.gradient_check import GradientCheck, gradcheck
from pure_python.graph.model_drawing import draw_model
from pure_python.graph.steps import Step, backward_steps
from pure_python.graph.tracing import Scalar, trace
from pure_python.graph.tree import Tree, tree

__all__ = [
    "Explanation",
    "GradientCheck",
    "Path",
    "Scalar",
    "Step",
    "Tree",
    "backward_steps",
    "diagnose",
    "draw",
    "draw_dot",
    "draw_model",
    "explain",
    "gradcheck",
    "trace",
    "tree",
]
