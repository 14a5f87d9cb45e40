"""Objects that do what no caller expects: they raise, lie, or use the engine while it is at work.

The programs that reliability.fuzz writes are run with these names. What an object does when it is
asked is an action, a function without arguments that the program gives it.
"""

from __future__ import annotations

import gc
import threading
from array import array
from typing import Any

import cython_core as m

ACTIONS = 40  # that one program may take, so that none calls itself for ever
taken = 0


class Boom(Exception):
    """What hostile objects raise."""


def boom() -> None:
    raise Boom("boom")


def begin() -> None:
    """Before a program."""
    global taken
    taken = 0


def act(action: Any) -> None:
    global taken
    taken += 1
    if taken <= ACTIONS:
        action()


def in_thread(action: Any) -> None:
    """Take an action in another thread, and wait for it."""

    def run() -> None:
        try:
            action()
        except Exception:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


class Hostile:
    def __init__(self, action: Any, number: Any = 1.0) -> None:
        self.action, self.number = action, number


class Floating(Hostile):
    def __float__(self) -> Any:
        act(self.action)
        return self.number


class Indexing(Hostile):
    def __index__(self) -> Any:
        act(self.action)
        return int(self.number)


class Iterating(Hostile):
    """Without a length; `number` are the items."""

    def __iter__(self) -> Any:
        act(self.action)
        for item in self.number if isinstance(self.number, list | tuple) else [self.number]:
            yield item
            act(self.action)


class Sequencing(Hostile):
    """The old protocol, with a length that is wrong."""

    def __len__(self) -> int:
        act(self.action)
        return 3

    def __getitem__(self, index: Any) -> Any:
        act(self.action)
        if index == 2:
            raise IndexError
        return self.number


class Comparing(Hostile):
    def __eq__(self, other: object) -> Any:
        act(self.action)
        return True

    def __hash__(self) -> int:
        act(self.action)
        return 1

    def __lt__(self, other: object) -> Any:
        act(self.action)
        return self.number

    __gt__ = __le__ = __ge__ = __lt__

    def __bool__(self) -> bool:
        act(self.action)
        return False

    def __repr__(self) -> str:
        act(self.action)
        return "comparing"

    __str__ = __repr__

    def __add__(self, other: Any) -> Any:
        act(self.action)
        return other

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__


class Pretending(Hostile):
    """Looks like an array from outside; each look is an action."""

    @property
    def ndim(self) -> Any:
        act(self.action)
        return self.number

    @property
    def shape(self) -> Any:
        act(self.action)
        return (2, self.number)

    def tolist(self) -> Any:
        act(self.action)
        return [self.number, self.number]

    detach = tolist

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return m.Value


class Dying(Hostile):
    """Acts when it dies."""

    def __del__(self) -> None:
        act(self.action)


def garbage(action: Any) -> None:
    """Leave a cycle behind that acts when the collector comes."""
    dying = Dying(action)
    dying.itself = dying  # type: ignore[attr-defined]


class Word(str):
    action: Any = None

    def __ne__(self, other: object) -> Any:
        act(self.action or boom)
        return True

    def __eq__(self, other: object) -> Any:
        act(self.action or boom)
        return True

    def __hash__(self) -> int:
        return 1

    def __len__(self) -> int:
        act(self.action or boom)
        return 0

    def __del__(self) -> None:
        if self.action:
            act(self.action)


def word(action: Any, text: Any = "w") -> Word:
    result = Word(text)
    result.action = action
    return result


class Double(float):
    action: Any = None

    def __float__(self) -> Any:
        act(self.action or boom)
        return 2.0

    __index__ = __float__

    def __eq__(self, other: object) -> Any:
        act(self.action or boom)
        return False

    __hash__ = None  # type: ignore[assignment]


class Whole(int):
    def __float__(self) -> Any:
        raise Boom("boom")

    def __eq__(self, other: object) -> Any:
        raise Boom("boom")

    __hash__ = None  # type: ignore[assignment]


class Row(list):  # type: ignore[type-arg]
    """Of a length that is not its own."""

    says = 0

    def __len__(self) -> int:
        return self.says

    def __iter__(self) -> Any:
        for i in range(self.says % 7):
            yield float(i)


def row(items: Any, says: Any) -> Row:
    result = Row(items)
    result.says = int(says)
    return result


class Table(array):  # type: ignore[type-arg]
    """An array that says to be a table."""

    ndim = 2
    shape: Any = (1, 2)

    def __len__(self) -> int:
        return 5

    def tolist(self) -> Any:
        return [list(self), 1.0]


def table(items: Any, shape: Any) -> Table:
    result = Table("d", items)
    result.shape = shape
    return result


class V(m.Value):
    """A Value whose methods are not its own."""

    action: Any = None

    def detach(self) -> Any:
        return 1.0

    def backward(self, grad: Any = 1.0) -> Any:
        act(self.action or boom)

    def zero_grad(self) -> Any:
        act(self.action or boom)

    @property
    def data(self) -> Any:
        act(self.action or boom)
        return "data"

    @data.setter
    def data(self, number: Any) -> None:
        act(self.action or boom)

    def __float__(self) -> Any:
        act(self.action or boom)
        return "float"

    def __hash__(self) -> int:
        act(self.action or boom)
        return 1

    def __eq__(self, other: object) -> Any:
        act(self.action or boom)
        return True

    def __del__(self) -> None:
        act(self.action or gc.collect)


class Slotted(m.Value):
    __slots__ = ()


class Lazy(m.Value):
    """Whose __init__ calls nothing."""

    def __init__(self, *arguments: Any) -> None:
        pass


class W(m.Vector):
    """A Vector of a length that is not its own."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Any:
        return iter([1.0, None])

    def __getitem__(self, index: Any) -> Any:
        return "item"

    def detach(self) -> Any:
        return self


class Network(m.MLP):
    """Of parameters and layers that are what `parts` says."""

    parts: Any = ()

    def named_parameters(self) -> Any:
        for i, part in enumerate(self.parts):
            yield str(i), part

    def _as_layers(self) -> Any:
        return self.parts


def network(parts: Any) -> Network:
    result = Network(2, [1])
    result.parts = parts
    return result


class Odd(m.Adam):
    """Whose second moment changes the first while it is looked up."""

    action: Any = None

    @property
    def second_moment(self) -> Any:
        act(self.action or boom)
        return self._second

    @second_moment.setter
    def second_moment(self, moment: Any) -> None:
        self._second = moment
