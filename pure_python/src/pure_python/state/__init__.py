"""What modules keep besides their arithmetic: parameters by name, and files of them."""

from pure_python.state.module import ACTIVATIONS, Module, chosen, sizes_of, whole
from pure_python.state.optimizer import OptimizerState

__all__ = [
    "ACTIVATIONS",
    "Module",
    "OptimizerState",
    "chosen",
    "sizes_of",
    "whole",
]
