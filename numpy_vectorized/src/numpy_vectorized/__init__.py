"""trigrad on NumPy arrays: the backend to train arrays with.

`engine` has Value and the backward pass, `functional` the functions of many Values, `nn` the
modules and `optim` the optimisers. What computes nothing comes from pure_python.
"""

from typing import TYPE_CHECKING

from numpy_vectorized.engine import Tape, Value, Vector, concatenate, no_grad, stack, where
from numpy_vectorized.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    dot,
    hinge_loss,
    linear,
    log_softmax,
    logsumexp,
    mean,
    mse_loss,
    rms_norm,
    scaled_dot_product_attention,
    softmax,
)
from numpy_vectorized.nn import MLP, Layer, Net, Neuron
from numpy_vectorized.optim import SGD, Adam, AdamW
from pure_python.on_demand import on_demand

if TYPE_CHECKING:
    from pure_python.explorer import explore
    from pure_python.graph import (
        backward_steps,
        diagnose,
        draw,
        draw_dot,
        draw_model,
        explain,
        gradcheck,
        trace,
        tree,
    )
else:
    __getattr__, __dir__ = on_demand(__name__)

__version__ = "0.1.0"
__interface_version__ = "1.0"

__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "AdamW",
    "Layer",
    "Net",
    "Neuron",
    "Tape",
    "Value",
    "Vector",
    "__interface_version__",
    "__version__",
    "backward_steps",
    "binary_cross_entropy_with_logits",
    "concatenate",
    "cross_entropy",
    "diagnose",
    "dot",
    "draw",
    "draw_dot",
    "draw_model",
    "explain",
    "explore",
    "gradcheck",
    "hinge_loss",
    "linear",
    "log_softmax",
    "logsumexp",
    "mean",
    "mse_loss",
    "no_grad",
    "rms_norm",
    "scaled_dot_product_attention",
    "softmax",
    "stack",
    "trace",
    "tree",
    "where",
]
