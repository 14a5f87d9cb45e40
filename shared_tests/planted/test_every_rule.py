"""Every rule of docs/interface.md is cited by a test that checks it."""

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
CONTRACT = TESTS.parent / "docs" / "interface.md"


def test_every_rule_is_cited():
    rules = re.findall(r"^\*\*(\d\.\d+)\b", CONTRACT.read_text(encoding="utf-8"), re.M)
    assert len(rules) > 50
    cited = set()
    for file in TESTS.rglob("*.py"):
        for first, last in re.findall(
            r"\b(\d\.\d+)(?: to (\d\.\d+))?", file.read_text(encoding="utf-8")
        ):
            cited.add(first)
            if last and last.partition(".")[0] == first.partition(".")[0]:
                section, low = first.split(".")
                cited |= {f"{section}.{n}" for n in range(int(low), int(last.split(".")[1]) + 1)}
    missing = [rule for rule in rules if rule not in cited]
    assert not missing, f"no test cites {', '.join(missing)}"
