"""The faults that mutation testing plants."""

import ast

from reliability.mutants import mutants_of

SOURCE = '''
LIMIT = 3


def within(x: int, low: float = 0.0) -> bool:
    """Whether x is below the limit."""
    if low <= x and not x == LIMIT:
        raise ValueError(f"too large: {x + 1}")
    return x < LIMIT
'''

EXPECTED = """
module: LIMIT = 3 -> LIMIT = None
module: LIMIT = 3 -> LIMIT = 4
within: def within(x: int, low: float = 0.0) -> bool: -> def within(x: int, low: float = 1.0) -> bool:
within: if low <= x and not x == LIMIT: -> if True:
within: if low <= x and not x == LIMIT: -> if False:
within: if low <= x and not x == LIMIT: -> if low <= x or not x == LIMIT:
within: if low <= x and not x == LIMIT: -> if not x == LIMIT:
within: if low <= x and not x == LIMIT: -> if low <= x:
within: if low <= x and not x == LIMIT: -> if (low < x) and not x == LIMIT:
within: if low <= x and not x == LIMIT: -> if (low > x) and not x == LIMIT:
within: if low <= x and not x == LIMIT: -> if low <= x and (x == LIMIT):
within: if low <= x and not x == LIMIT: -> if low <= x and not (x != LIMIT):
within: raise ValueError(f"too large: {x + 1}") -> pass
within: raise ValueError(f"too large: {x + 1}") -> raise ValueError(f'XXtoo large: {x + 1}')
within: raise ValueError(f"too large: {x + 1}") -> raise ValueError(f'too large: {x - 1}')
within: raise ValueError(f"too large: {x + 1}") -> raise ValueError(f'too large: {x + 2}')
within: return x < LIMIT -> return None
within: return x < LIMIT -> return x <= LIMIT
within: return x < LIMIT -> return x >= LIMIT
"""


def test_every_fault_is_planted_alone():
    mutants = list(mutants_of(SOURCE))
    assert [mutant.name for mutant in mutants] == EXPECTED.strip().splitlines()
    for mutant in mutants:
        ast.parse(mutant.source)
        differing = [
            (old, new)
            for old, new in zip(SOURCE.splitlines(), mutant.source.splitlines(), strict=True)
            if old != new
        ]
        assert len(differing) == 1, f"{mutant.name} changes {differing}"


def test_where_a_fault_is():
    """The lines that tell which tests execute it, and whether Python executes it on import."""
    mutants = {mutant.name: mutant for mutant in mutants_of(SOURCE)}
    last = mutants["within: return x < LIMIT -> return None"]
    assert (last.lines, last.around, last.at_import) == (range(9, 10), range(5, 10), False)
    first = mutants["module: LIMIT = 3 -> LIMIT = 4"]
    assert (first.lines, first.around, first.at_import) == (range(2, 3), range(2, 3), True)
    default = next(m for name, m in mutants.items() if "low: float = 1.0" in name)
    assert default.at_import


def test_the_same_fault_twice_on_one_line():
    names = [mutant.name for mutant in mutants_of("def f(): g(1, 1)\n")]
    assert names == [
        "f: def f(): g(1, 1) -> def f(): pass",
        "f: def f(): g(1, 1) -> def f(): g(2, 1)",
        "f: def f(): g(1, 1) -> def f(): g(1, 2)",
    ]
    names = [mutant.name for mutant in mutants_of("def f():\n    x += 1\n    x += 1\n")]
    assert len(set(names)) == len(names) and names[-1].endswith("x += 2 (2)")
