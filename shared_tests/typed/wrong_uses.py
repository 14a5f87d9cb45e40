"""Mistakes that a type checker has to see. `nox -s types` checks it with each backend's import line.

Each line is refused by mypy and by pyright: both are told to complain where there is nothing to ignore.
"""

from pure_python import (
    MLP,
    SGD,
    Adam,
    Tape,
    Value,
    Vector,
    draw,
    explain,
    hinge_loss,
    no_grad,
)
from pure_python.estimators import MLPClassifier, MLPRegressor
from pure_python.pytorch import from_torch, to_torch


def values(a: Value, b: Value) -> None:
    Value("2.0")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Value(2.0, label=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Value(2.0, name="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    a + "1"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    a @ b  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    a.data = "1"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    a.op = "+"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    _ = a.gradient  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    a.tanh(2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    a.backward("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    number: float = a  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    operands: list[Value] = a.operands  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(number, operands)


def networks(model: MLP, v: Vector) -> None:
    MLP(2, 16)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    MLP(2, [16, 1], activation=max)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SGD(model, 0.1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SGD(model.parameters(), rate=0.1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Adam(model.parameters(), betas=0.9)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    hinge_loss(v)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    model.load(3.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Vector(3.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def graphs(a: Value) -> None:
    Tape()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Tape(a).set(a)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    explain(a)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    draw(a, 300)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with no_grad:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


def estimators(X: list[list[float]], y: list[float]) -> None:
    MLPClassifier(hidden="16")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    MLPClassifier("16")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    MLPClassifier((8,), "tanh", "adam")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    MLPRegressor(batch_size="all")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    MLPRegressor(random_state="one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    MLPRegressor().fit(X)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    MLPRegressor().fit(X, y, sample_weight=y)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    MLPRegressor().partial_fit(X, y, classes=[0, 1])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    MLPClassifier().fit(None, y)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    MLPClassifier().score(X)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    text: str = MLPClassifier().score(X, y)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    model: Value = MLPRegressor().model_  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(text, model)


def bridges(model: MLP) -> None:
    to_torch(model, "cpu")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    to_torch([model])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    from_torch(model)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    from_torch("model.pt")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    number: float = to_torch(model)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(number)
