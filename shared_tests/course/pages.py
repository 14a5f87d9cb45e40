"""The pages of the course as programs: what is to be written, one solution, and the examples.

On each page the last Python block before `<details>` is where the learner starts, the block inside it is
one solution, and the others are examples. Blocks add to what there was: a class whose body has a line
`...` goes on from the class of that name, and a function takes the place of one of its name.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from course.steps import STEPS, Step

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    step: Step
    path: Path
    start: str
    solution: str
    examples: tuple[tuple[str, str | None], ...]  # code, what it prints


def page_of(step: Step) -> Page:
    path = ROOT / step.page
    text = path.read_text(encoding="utf-8")
    before, opened, after = text.partition("<details>")
    assert opened, f"{path.name} has no solution in <details>"
    hidden, closed, rest = after.partition("</details>")
    (solution,) = [code for language, code in FENCE.findall(hidden) if language == "python"]
    blocks = FENCE.findall(before)
    *others, start = [i for i, (language, _) in enumerate(blocks) if language == "python"]
    following = FENCE.findall(rest)
    examples = [
        (blocks[i][1], blocks[i + 1][1] if blocks[i + 1][0] == "text" else None) for i in others
    ]
    examples += [
        (
            code,
            following[i + 1][1]
            if following[i + 1 : i + 2] and following[i + 1][0] == "text"
            else None,
        )
        for i, (language, code) in enumerate(following)
        if language == "python"
    ]
    return Page(step, path, blocks[start][1], solution, tuple(examples))


def merged(engine: str, block: str) -> str:
    """An engine with the code of a block put in: what a learner does by hand."""
    old, new = ast.parse(engine), ast.parse(block)
    body = merged_body(old.body, new.body)
    front = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom | ast.Assign)]
    rest = [node for node in body if node not in front]
    return ast.unparse(ast.Module(front + rest, type_ignores=[])) + "\n"


def merged_body(old: list[ast.stmt], new: list[ast.stmt]) -> list[ast.stmt]:
    body = list(old)
    for node in new:
        if is_ellipsis(node):
            continue
        place = next((i for i, there in enumerate(body) if key(there) == key(node)), None)
        if place is None:
            body.append(node)
            continue
        if isinstance(node, ast.ClassDef) and any(map(is_ellipsis, node.body)):
            node.body = merged_body(body[place].body, node.body)
        body[place] = node
    return body


def is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and getattr(node.value, "value", None) is ...


def key(node: ast.stmt) -> str:
    """What a statement defines."""
    return getattr(node, "name", "") or ast.unparse(node)


def engines() -> list[str]:
    """The engine of one who takes the solutions, after each step; before the first there is none."""
    made = [""]
    for step in STEPS:
        made.append(merged(made[-1], page_of(step).solution))
    return made
