"""Networks of this backend to and from PyTorch, which is imported when one is converted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cython_core.nn import MLP, Layer, Neuron
from pure_python.state.torch_modules import mlp_of, sequential_of

if TYPE_CHECKING:
    from torch import nn

__all__ = ["from_torch", "to_torch"]


def to_torch(model: MLP | Layer | Neuron) -> nn.Sequential:
    """A torch.nn.Sequential of float64 that computes what a model does, with a copy of its weights.

    Its Linear and activation modules are those of a network written in PyTorch by hand; where an
    activation is linear there is none. TypeError for what is no such model.
    """
    module: nn.Sequential = sequential_of(model)
    return module


def from_torch(module: nn.Module) -> MLP:
    """An MLP that computes what a torch.nn.Sequential of Linear and activation modules does.

    The weights are copied, as float64. TypeError and ValueError say which module cannot be converted.
    """
    model: MLP = mlp_of(module, MLP)
    return model
