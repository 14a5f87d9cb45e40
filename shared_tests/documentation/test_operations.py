"""An operation stands in every table: of the contract, of the stub, and of the tests."""

import re

import pytest

import interface_stub as stub
from cases import exact, operations
from cases.contract import rule


def named(row) -> str:
    return row.name.partition("(")[0]


FUNCTIONS = re.findall(r"\w+", re.sub(r"\(.*?\)", "", rule("1.7").split("`")[1]))
CELLS = re.findall(r"^\| (.+?) \|", rule("1.16"), re.MULTILINE)
PLACES = {
    "the table of rule 1.16 in docs/interface.md": [n for cell in CELLS for n in cell.split(", ")],
    "Value in shared_tests/interface_stub.py": vars(stub.Value),
    "Vector in shared_tests/interface_stub.py": vars(stub.Vector),
    "UNARY or BINARY in shared_tests/cases/operations.py": [
        named(row) for row in (*operations.UNARY, *operations.BINARY)
    ],
    "FUNCTIONS or OPERATIONS in shared_tests/cases/exact.py": [
        named(row) for row in (*exact.FUNCTIONS, *exact.OPERATIONS)
    ],
}


@pytest.mark.parametrize("place", PLACES)
def test_every_function_of_rule_1_7_is_there(place):
    assert len(FUNCTIONS) > 20
    missing = [name for name in FUNCTIONS if name not in PLACES[place]]
    assert not missing, f"{place} lacks {', '.join(missing)}"


def test_every_function_of_the_cases_is_in_rule_1_7():
    """So nothing is tested that the contract does not promise; the operators are those of 1.5."""
    promised = [*FUNCTIONS, *rule("1.5").split("`")[-2].split()]
    for row in (*operations.UNARY, *operations.BINARY):
        assert named(row) in promised, f"rule 1.7 of docs/interface.md lacks {named(row)}"
