"""PyTorch, the reference of the tests, and what stands for it in a run `--without-pytorch`.

A test that compares with PyTorch has the mark `pytorch`. A run without PyTorch leaves those out and
says how many; one that has lost its mark fails there, for nothing can be computed with what stands here.
"""

from __future__ import annotations

from typing import Any

__all__ = ["torch"]


class Absent:
    """A name of PyTorch: it can be passed around, but not called."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Absent:
        return Absent(f"{self.__name__}.{name}")

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        raise ModuleNotFoundError(
            f"{self.__name__} was called, and PyTorch is not installed: mark the test with "
            "@pytest.mark.pytorch"
        )


try:
    import torch
except ModuleNotFoundError:
    torch = Absent("torch")
