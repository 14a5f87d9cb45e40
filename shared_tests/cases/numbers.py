"""How numbers are compared: with a tolerance, or bit for bit."""

import math


def same(a: float, b: float) -> bool:
    """The same float: 0.0 is not -0.0, and nan is nan."""
    if a != a or b != b:
        return a != a and b != b
    return a == b and math.copysign(1.0, a) == math.copysign(1.0, b)


def close(a: float, b: float, rtol: float = 1e-12, atol: float = 0.0) -> bool:
    """a and b agree within rtol of the larger; inf and nan only with themselves."""
    if a != a or b != b:
        return a != a and b != b
    if math.isinf(a) or math.isinf(b):
        return a == b
    # 4 * 5e-324: below the normal range the last digit alone is more than rtol.
    return abs(a - b) <= max(atol, rtol * max(abs(a), abs(b)), 2e-323)


def floats(x) -> list[float]:
    """All numbers of a float, a (nested) sequence, an array, a tensor, a Value or a Vector."""
    if isinstance(x, int | float):
        return [float(x)]
    if hasattr(x, "tolist"):
        return floats(x.tolist())
    if hasattr(x, "data") and not isinstance(x, list | tuple):
        return floats(x.data)
    return [number for part in x for number in floats(part)]


def nested(x):
    """Nested lists of floats of the same shape."""
    if isinstance(x, int | float):
        return float(x)
    if hasattr(x, "tolist"):
        return x.tolist()
    if hasattr(x, "data") and not isinstance(x, list | tuple):
        return nested(x.data)
    return [nested(part) for part in x]


def all_close(a, b, rtol: float = 1e-12, atol: float = 0.0) -> bool:
    a, b = floats(a), floats(b)
    return len(a) == len(b) and all(close(x, y, rtol, atol) for x, y in zip(a, b, strict=True))


def worst(a, b) -> str:
    """Where two lists of numbers differ most, for a message."""
    a, b = floats(a), floats(b)
    if len(a) != len(b):
        return f"{len(a)} numbers, expected {len(b)}"

    def distance(i: int) -> float:
        if same(a[i], b[i]):
            return -1.0
        d = abs(a[i] - b[i]) / max(abs(b[i]), 1e-300)
        return d if d == d else math.inf

    i = max(range(len(a)), key=distance)
    return f"number {i} is {a[i]!r}, expected {b[i]!r}"
