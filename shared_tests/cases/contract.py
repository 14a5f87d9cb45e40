"""What docs/interface.md promises, read where tests need it whole."""

import re
from pathlib import Path

CONTRACT = (Path(__file__).parents[2] / "docs/interface.md").read_text("utf-8")


def rule(number: str) -> str:
    """The text of a rule, such as 1.7, up to the next rule or heading."""
    found = re.search(
        rf"^\*\*{re.escape(number)}\b.+?(?=^\*\*\d|^#|\Z)", CONTRACT, re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/interface.md has no rule {number}"
    return found[0]


# relu tanh …: in the order in which messages list them.
ACTIVATIONS = tuple(rule("3.2").split("`")[1].split())
