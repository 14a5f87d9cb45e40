from collections.abc import Iterable, Iterator, Sequence
from contextlib import ContextDecorator
from types import TracebackType
from typing import Any, Self, SupportsFloat, SupportsIndex, TypeAlias, final, overload

Number: TypeAlias = SupportsFloat | SupportsIndex

class Value:
    def __init__(
        self,
        data: Number,
        operands: Iterable[Value] = (),
        op: str = "",
        label: str = "",
        local_grads: Iterable[Number] | None = None,
    ) -> None: ...
