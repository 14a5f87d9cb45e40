"""Mutants of a module: its source, each time with one small fault in it."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
OTHER_FUNCTION = {"any": "all", "all": "any", "min": "max", "max": "min"}
UNWRAPPED = {"reversed", "sorted", "list", "float", "abs"}
OPERATORS = (ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Lambda)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Mutant:
    name: str  # where it is, the line before and after: the same as long as that line stays
    source: str = field(repr=False)
    lines: range = field(repr=False)  # of the original that differ
    around: range = field(repr=False)  # the function or statement that they are part of
    at_import: bool = field(
        repr=False
    )  # outside of functions: executed when the module is imported
    in_function: bool = field(repr=False)  # in one with a name


def mutants_of(source: str) -> Iterator[Mutant]:
    """Every mutant, in the order of the source. Annotations, docstrings and __all__ have none."""
    seen: Counter[str] = Counter()
    for mutant in Mutation(source).everywhere():
        seen[mutant.name] += 1
        if seen[mutant.name] > 1:
            mutant = Mutant(**{**vars(mutant), "name": f"{mutant.name} ({seen[mutant.name]})"})
        yield mutant


class Mutation:
    """A walk over the syntax tree that puts other nodes in the place of each in turn."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines = source.splitlines(keepends=True)
        self.above: list[ast.AST] = []

    def everywhere(self) -> Iterator[Mutant]:
        yield from self.visit(ast.parse(self.source))

    def visit(self, node: ast.AST) -> Iterator[Mutant]:
        self.above.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            children = value if isinstance(value, list) else [value]
            for child in children:
                if not isinstance(child, ast.AST) or is_declaration(node, child):
                    continue
                for other in others(child, node):
                    yield self.mutant(child, other)
                yield from self.visit(child)
        self.above.pop()

    def mutant(self, node: ast.AST, other: ast.AST) -> Mutant:
        # Nodes within an f-string have no places of their own in the source.
        path = [*self.above, node]
        whole = next((n for n in path if isinstance(n, ast.JoinedStr)), node)
        first, last = whole.lineno, whole.end_lineno  # type: ignore[attr-defined]
        text = ast.unparse(replaced(whole, node, other))
        before = self.lines[first - 1].encode()[: whole.col_offset].decode()  # type: ignore[attr-defined]
        after = self.lines[last - 1].encode()[whole.end_col_offset :].decode()  # type: ignore[attr-defined]
        if isinstance(whole, OPERATORS) and isinstance(self.above[-1], OPERATORS):
            text = f"({text})"  # holds together as what it takes the place of
        changed = before + text + after
        where = [n.name for n in path if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        old = "".join(self.lines[first - 1 : last])
        return Mutant(
            name=f"{'.'.join(where) or 'module'}: {one_line(old)} -> {one_line(changed)}",
            source="".join(self.lines[: first - 1]) + changed + "".join(self.lines[last:]),
            lines=range(first, last + 1),
            around=self.around(path),
            in_function=any(
                isinstance(outer, ast.FunctionDef) and inner is not outer.args
                for outer, inner in zip(path, path[1:], strict=False)
            ),
            at_import=not any(
                isinstance(outer, FUNCTIONS) and inner is not outer.args
                for outer, inner in zip(path, path[1:], strict=False)
            ),
        )

    def around(self, path: list[ast.AST]) -> range:
        functions = [n for n in path if isinstance(n, ast.FunctionDef)]
        statements = [n for n in path if isinstance(n, ast.stmt)]
        widest = functions[-1] if functions else statements[-1]
        return range(widest.lineno, (widest.end_lineno or widest.lineno) + 1)


def is_declaration(parent: ast.AST, node: ast.AST) -> bool:
    """Whether it says something to readers and tools only."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id in ("__all__", "__slots__")
    if isinstance(parent, ast.Call) and getattr(parent.func, "id", "") == "cast":
        return node is parent.args[0]
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or isinstance(node, ast.ImportFrom | ast.Import)


def others(node: ast.AST, parent: ast.AST) -> Iterator[ast.AST]:
    """What is put in the place of a node."""
    nothing, none = ast.Pass(), ast.Constant(None)
    if node is getattr(parent, "test", None) or node in getattr(parent, "ifs", ()):
        if not isinstance(parent, ast.While):  # which would never end
            yield ast.Constant(True)
        yield ast.Constant(False)
    match node:
        case ast.Compare(ops=[operator]):
            for kind in COMPARISONS[type(operator)]:
                yield with_fields(node, ops=[kind()])
        case ast.Compare(ops=[first, second]):
            for kind in COMPARISONS[type(first)]:
                yield with_fields(node, ops=[kind(), second])
            for kind in COMPARISONS[type(second)]:
                yield with_fields(node, ops=[first, kind()])
        case ast.BoolOp(op=operator, values=values):
            yield with_fields(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
            for value in values:
                rest = [v for v in values if v is not value]
                yield with_fields(node, values=rest) if len(rest) > 1 else rest[0]
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):  # of types
            yield left
            yield right
        case ast.BinOp(op=operator):
            yield with_fields(node, op=ARITHMETIC[type(operator)]())
        case ast.AugAssign(op=operator, target=target, value=value):
            yield with_fields(node, op=ARITHMETIC[type(operator)]())
            yield ast.Assign([target], value, lineno=0)
            yield nothing
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str(value)) if isinstance(parent, ast.JoinedStr):
            if parent.values.index(node) == min(
                i for i, part in enumerate(parent.values) if isinstance(part, ast.Constant)
            ):
                yield ast.Constant(f"XX{value}")
        case ast.Constant(value=str(value)):
            yield ast.Constant(f"XX{value}")
        case ast.Call(func=ast.Name(id=name), args=arguments):
            if name in OTHER_FUNCTION:
                yield with_fields(node, func=ast.Name(OTHER_FUNCTION[name]))
            if name in UNWRAPPED and arguments:
                yield arguments[0]
        case ast.Return(value=ast.expr()) if not is_none(node.value):
            yield with_fields(node, value=none)
        case ast.Yield() | ast.Lambda():
            field_name = "value" if isinstance(node, ast.Yield) else "body"
            yield with_fields(node, **{field_name: none})
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield nothing
        case ast.Assign() | ast.AnnAssign(value=ast.expr()) if not is_none(node.value):
            yield with_fields(node, value=none)
        case ast.Expr() | ast.Raise() | ast.Break() | ast.Continue() | ast.Delete():
            yield nothing
        case ast.Tuple(elts=kinds) if isinstance(parent, ast.ExceptHandler):
            for kind in kinds:
                yield with_fields(node, elts=[k for k in kinds if k is not kind])


def is_none(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def with_fields(node: ast.AST, **fields: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def replaced(whole: ast.AST, node: ast.AST, other: ast.AST) -> ast.AST:
    """The tree with another node in the place of one of its own."""
    if whole is node:
        return other
    changed = copy.copy(whole)
    for name, value in ast.iter_fields(whole):
        if isinstance(value, ast.AST):
            setattr(changed, name, replaced(value, node, other))
        elif isinstance(value, list):
            setattr(
                changed,
                name,
                [replaced(v, node, other) if isinstance(v, ast.AST) else v for v in value],
            )
    return changed


def one_line(text: str) -> str:
    return " ".join(text.split())
