"""Networks of this backend to and from PyTorch, which is imported when one is converted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pure_python.nn import MLP
from pure_python.state.torch_modules import mlp_of, to_torch

if TYPE_CHECKING:
    from torch import nn

__all__ = ["from_torch", "to_torch"]


def from_torch(module: nn.Module) -> MLP:
    """An MLP that computes what a torch.nn.Sequential of Linear and activation modules does.

    The weights are copied, as float64. TypeError and ValueError say which module cannot be converted.
    """
    model: MLP = mlp_of(module, MLP)
    return model
