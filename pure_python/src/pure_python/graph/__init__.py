"""What can be done with a graph that an engine has built: trace it, draw it, check its gradients.

Nothing here imports an engine. It works on whatever has `data grad label op operands backward`.
"""

from pure_python.graph.drawing import draw, draw_dot
from pure_python.graph.gradient_check import GradientCheck, gradcheck
from pure_python.graph.model_drawing import draw_model
from pure_python.graph.tracing import Scalar, trace

__all__ = ["GradientCheck", "Scalar", "draw", "draw_dot", "draw_model", "gradcheck", "trace"]
