"""What modules keep besides their arithmetic: parameters by name, and files of them."""

from pure_python.state.module import Module, chosen, sizes_of, whole
from pure_python.state.optimizer import OptimizerState
from pure_python.state.weights import read_safetensors, write_safetensors

__all__ = [
    "Module",
    "OptimizerState",
    "chosen",
    "read_safetensors",
    "sizes_of",
    "whole",
    "write_safetensors",
]
