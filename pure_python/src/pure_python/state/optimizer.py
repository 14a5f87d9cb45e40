"""OptimizerState: the parameters, step count and moments of an optimiser. It moves nothing."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pure_python.state.module import check_state, scalars_of

MOST_STEPS = 2**53  # more can be no count of steps, and floats no longer tell them apart


class OptimizerState:
    """The base of SGD, Adam and AdamW.

    A subclass names its hyperparameters and moments. A moment is one float for each scalar among
    the parameters, here a list; a backend with arrays overrides the hooks below.
    """

    hyperparameters: ClassVar[tuple[str, ...]] = ()
    moments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Iterable[Any], value_type: type[Any]) -> None:
        if isinstance(params, value_type) and not getattr(params, "ndim", 0):
            raise TypeError(f"params must be a sequence of Values, got the single {params!r}")
        if isinstance(params, str) or not isinstance(params, Iterable):
            hint = "; give model.parameters()" if hasattr(params, "parameters") else ""
            raise TypeError(f"params must be a sequence of Values, got {params!r}{hint}")
        self.params = tuple(p for entry in params for p in self._values_of(entry))
        if not self.params:
            raise ValueError("an optimiser needs at least one parameter, got none")
        for p in self.params:
            if not isinstance(p, value_type):
                raise TypeError(f"a parameter must be a Value, got {p!r} ({type(p).__name__})")
            if p.op:
                raise ValueError(f"a parameter must be a leaf, got {p!r}, made by {p.op!r}")
        if len({id(p) for p in self.params}) < len(self.params):
            raise ValueError("the same parameter was given twice")
        self.steps = 0
        for name in self.moments:
            setattr(self, name, self._zeros())

    @property
    def lr(self) -> float:
        """The learning rate. ValueError if set to a negative number, TypeError if to none."""
        return self._lr

    @lr.setter
    def lr(self, number: float) -> None:
        self._lr = self._at_least_zero("lr", number)

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero."""
        for p in self.params:
            p.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """The kind, hyperparameters, step count and moments, as plain numbers and lists."""
        state: dict[str, Any] = {"kind": type(self).__name__}
        state |= {name: getattr(self, name) for name in self.hyperparameters}
        state["step"] = self.steps
        state |= {name: self._flat(getattr(self, name)) for name in self.moments}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state_dict. ValueError if it does not fit; then nothing is changed.

        TypeError: a state that is no dictionary.
        """
        check_state(state)
        expected = set(self.state_dict())
        if state.get("kind", type(self).__name__) != type(self).__name__:
            raise ValueError(
                f"this is the state of {reprlib.repr(state['kind'])}, and the optimiser is "
                f"{type(self).__name__}"
            )
        if set(state) != expected:
            raise ValueError(
                f"the state of {type(self).__name__} has the entries {', '.join(sorted(expected))},"
                f" got {', '.join(sorted(map(str, state))) or 'none'}"
            )
        count = len(self._flat(self._zeros()))
        moments = {name: self._moment(name, state[name], count) for name in self.moments}
        step = state["step"]
        if type(step) is not int or not 0 <= step <= MOST_STEPS:
            raise ValueError(f"step must be an int from 0 to 2**53, got {reprlib.repr(step)}")
        # Building one of the same kind checks the hyperparameters before any is taken over.
        try:
            checked = type(self)(self.params, **{n: state[n] for n in self.hyperparameters})
        except TypeError as error:
            raise ValueError(str(error)) from None
        for name in self.hyperparameters:
            setattr(self, name, getattr(checked, name))
        self.steps = step
        for name, moment in moments.items():
            setattr(self, name, self._from_flat(moment))

    # Parameters and moments as this backend stores them -----------------------------------------------------

    def _values_of(self, entry: Any) -> Iterable[Any]:
        """The Values behind an entry of params: itself, or the scalars of a Vector."""
        raise NotImplementedError

    def _zeros(self) -> Any:
        return [0.0] * len(self.params)

    def _flat(self, moment: Any) -> list[float]:
        return list(moment)

    def _from_flat(self, numbers: list[float]) -> Any:
        return numbers

    # Checks ----------------------------------------------------------------------------------

    def _moment(self, name: str, entry: Any, count: int) -> list[float]:
        """A moment of a state as floats. ValueError if it is none of as many parameters."""
        numbers = list(scalars_of(list(entry))) if isinstance(entry, Iterable) else [entry]
        if len(numbers) != count or not all(isinstance(x, int | float) for x in numbers):
            raise ValueError(f"{name} must be {count} numbers, got {len(numbers)} entries")
        try:
            floats = [float(x) for x in numbers]
        except OverflowError:
            raise ValueError(f"{name} holds an int that is too large for a float") from None
        # A step takes the root of the mean of squares.
        if name == "second_moment" and any(x < 0.0 for x in floats):
            raise ValueError(f"{name} must be numbers of 0 or more, got {min(floats)!r}")
        return floats

    def _at_least_zero(self, name: str, number: Any) -> float:
        message = f"{name} must be a finite number of 0 or more, got {number!r}"
        if isinstance(number, str | bytes):
            raise TypeError(message)
        try:
            converted = float(number)
        except TypeError:
            raise TypeError(message) from None
        except OverflowError:
            raise ValueError(
                f"{name} must be a finite number, got one too large for a float"
            ) from None
        if 0.0 <= converted < math.inf:
            return converted
        raise ValueError(message)

    def _fractions(self, name: str, numbers: Any) -> tuple[float, float]:
        message = f"{name} must be two numbers from 0 to below 1, got {numbers!r}"
        if isinstance(numbers, str | bytes) or not isinstance(numbers, Iterable):
            raise TypeError(message)
        fractions = [self._at_least_zero(name, number) for number in numbers]
        if len(fractions) != 2 or max(fractions) >= 1.0:
            raise ValueError(message)
        return fractions[0], fractions[1]
