"""A training step of a multilayer perceptron: two moons as a micrograd user writes it, and others.

Every contestant starts from the same weights, on the same data, and its numbers are all parameters after
two steps: layer by layer the weights, a neuron's together, then the biases.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cases.moons import moons

from .chain import in_place, value_of
from .worker import Steps, load

CHECKED_STEPS = 2


@dataclass(frozen=True)
class Problem:
    """Sizes, samples and how to step. `labels` are -1 and 1 for the hinge loss of one output, classes
    for the cross entropy of several."""

    sizes: list[int]
    inputs: Any
    labels: Any
    weights: list[Any]  # of each layer, (n_out, n_in); the biases start at zero
    lr: float
    l2: float  # times the sum of all squares, added to the loss
    dtype: str = "float64"

    @property
    def hinge(self) -> bool:
        return self.sizes[-1] == 1


def two_moons(l2: float = 1e-4) -> Problem:
    """100 points, weights as micrograd draws them from seed 1337. Plain lists of floats."""
    X, y = moons()
    sizes = [2, 16, 16, 1]
    generator = random.Random(1337)
    weights = [
        [[generator.uniform(-1, 1) for _ in range(n_in)] for _ in range(n_out)]
        for n_in, n_out in zip(sizes, sizes[1:], strict=False)
    ]
    return Problem(sizes, X, y, weights, lr=0.1, l2=l2)


def drawn(sizes: list[int], batch: int, dtype: str) -> Problem:
    """Random samples and classes, and weights of a common size. NumPy arrays."""
    if sizes[-1] == 1:
        return two_moons(l2=0.0)
    import numpy as np

    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((batch, sizes[0])).astype(dtype)
    labels = generator.integers(0, sizes[-1], batch)
    weights = [
        (generator.standard_normal((n_out, n_in)) * (2.0 / n_in) ** 0.5).astype(dtype)
        for n_in, n_out in zip(sizes, sizes[1:], strict=False)
    ]
    return Problem(sizes, inputs, labels, weights, lr=0.01, l2=0.0, dtype=dtype)


def problem_of(name: str, **of: Any) -> Problem:
    return two_moons(**of) if name == "moons" else drawn(**of)


def steps_of(step: Callable[[], Any], parameters: Callable[[], list[Any]]) -> Steps:
    def check() -> list[float]:
        for _ in range(CHECKED_STEPS):
            step()
        return flat(parameters())

    return Steps(step, check)


def flat(numbers: Any) -> list[float]:
    """Nested sequences or arrays as one list."""
    if hasattr(numbers, "ravel"):
        return numbers.ravel().tolist()
    if isinstance(numbers, list | tuple):
        return [x for part in numbers for x in flat(part)]
    return [float(numbers)]


# Ours -----------------------------------------------------------------------------------------


def ours(backend: Any, p: Problem, **settings: Any) -> Any:
    """A backend's MLP with the problem's weights."""
    model = backend.MLP(p.sizes[0], p.sizes[1:], **settings)
    state: dict[str, Any] = {}
    for k, weight in enumerate(p.weights):
        state[f"layers.{k}.weight"] = weight
        state[f"layers.{k}.bias"] = [0.0] * len(weight)
    model.load_state_dict(state)
    return model


def state_of(model: Any) -> list[Any]:
    return list(model.state_dict().values())


def script(engine: str) -> Steps:
    """Two moons as a micrograd user writes it: only the imports are the engine's."""
    p = two_moons()
    names = {"micrograd": ("micrograd.engine", "micrograd.nn")}.get(engine, (engine, engine))
    Value, MLP = load(names[0]).Value, load(names[1]).MLP
    random.seed(1337)
    model = MLP(2, [16, 16, 1])

    def step() -> None:
        inputs = [list(map(Value, row)) for row in p.inputs]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * score).relu() for yi, score in zip(p.labels, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        if engine == "numpy_vectorized":  # its parameters are tensors
            squares = sum((w * w).sum() for w in model.parameters())
        else:
            squares = sum(w * w for w in model.parameters())
        loss = data_loss + p.l2 * squares
        model.zero_grad()
        loss.backward()
        for w in model.parameters():
            w.data -= p.lr * w.grad

    def parameters() -> list[Any]:
        if engine != "micrograd":
            return state_of(model)
        neurons = [layer.neurons for layer in model.layers]
        return [
            part
            for layer in neurons
            for part in ([[w.data for w in n.w] for n in layer], [n.b.data for n in layer])
        ]

    return steps_of(step, parameters)


def vector_style(engine: str) -> Steps:
    """The whole batch at once; loss and L2 in Vectors."""
    backend, p = load(engine), two_moons()
    model = ours(backend, p)
    X, y = data_for(engine, p)
    tensors = engine == "numpy_vectorized"

    def step() -> None:
        data_loss = (1 - y * model(X)).relu().mean()
        weights = model.parameters()
        if tensors:
            squares = sum((w * w).sum() for w in weights)
        else:
            squares = backend.dot(weights, weights)
        loss = data_loss + p.l2 * squares
        model.zero_grad()
        loss.backward()
        for w in weights:
            w.data -= p.lr * w.grad

    return steps_of(step, lambda: state_of(model))


def data_for(engine: str, p: Problem) -> tuple[Any, Any]:
    """Lists for the scalar backends, arrays for the one that computes with arrays."""
    if engine != "numpy_vectorized":
        return p.inputs, p.labels
    import numpy as np

    return np.asarray(p.inputs, p.dtype), np.asarray(p.labels)


def batched(engine: str, problem: dict[str, Any]) -> Steps:
    """`model(X)`, a loss and an optimiser: the L2 term is its weight decay."""
    backend, p = load(engine), problem_of(**problem)
    settings = {"dtype": p.dtype} if engine == "numpy_vectorized" else {}
    model = ours(backend, p, **settings)
    X, y = data_for(engine, p)
    optimizer = backend.SGD(model.parameters(), lr=p.lr, weight_decay=2.0 * p.l2)
    measure = backend.hinge_loss if p.hinge else backend.cross_entropy

    def step() -> None:
        loss = measure(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return steps_of(step, lambda: state_of(model))


def tape(engine: str, problem: dict[str, Any], style: str) -> Steps:
    """The graph recorded once and replayed: that of the batched step, of the micrograd user's script,
    or with every multiply and add its own node."""
    backend, p = load(engine), problem_of(**problem)
    settings = {"dtype": p.dtype} if engine == "numpy_vectorized" else {}
    model = ours(backend, p, **settings)
    X, y = data_for(engine, p)
    optimizer = backend.SGD(model.parameters(), lr=p.lr, weight_decay=2.0 * p.l2)
    if style == "batched":
        loss = (backend.hinge_loss if p.hinge else backend.cross_entropy)(model(X), y)
    elif style == "script":
        scores = [model([backend.Value(x) for x in row]) for row in X]
        losses = [(1 + -yi * score).relu() for yi, score in zip(y, scores, strict=True)]
        loss = sum(losses) * (1.0 / len(losses))
    else:
        layers = [(layer.weight, layer.bias) for layer in model.layers]
        loss = atomic_loss(layers, X, y, backend.Value)
    recorded = backend.Tape(loss)

    def step() -> None:
        recorded.forward()
        optimizer.zero_grad()
        recorded.backward()
        optimizer.step()

    return steps_of(step, lambda: state_of(model))


def atomic_loss(layers: Any, X: Any, y: Any, Value: Any) -> Any:
    """The hinge loss of a batch, every multiply and add an operation of its own."""
    losses = []
    for row, yi in zip(X, y, strict=True):
        activations = [Value(x) for x in row]
        for k, (weight, bias) in enumerate(layers):
            sums = []
            for w, b in zip(weight, bias, strict=True):
                total = b
                for wi, xi in zip(w, activations, strict=True):
                    total = total + wi * xi
                sums.append(total)
            activations = sums if k == len(layers) - 1 else [s.relu() for s in sums]
        losses.append((1 + -yi * activations[0]).relu())
    return sum(losses) * (1.0 / len(losses))


def atomic(engine: str) -> Steps:
    """Two moons with every multiply and add an operation, by whatever Value; L2 likewise."""
    Value, p = value_of(engine), two_moons()
    layers = [
        ([[Value(w) for w in row] for row in weight], [Value(0.0) for _ in weight])
        for weight in p.weights
    ]
    parameters = [v for weight, bias in layers for row in (*weight, bias) for v in row]

    def step() -> None:
        loss = atomic_loss(layers, p.inputs, p.labels, Value) + p.l2 * sum(
            v * v for v in parameters
        )
        for v in parameters:
            v.grad = 0.0
        loss.backward()
        for v in parameters:
            v.data -= p.lr * v.grad

    return steps_of(step, lambda: [v.data for v in parameters])


# Peers ----------------------------------------------------------------------------------------


def by_hand(problem: dict[str, Any]) -> Steps:
    """What one writes without an engine: forward, backward and update in one function of NumPy,
    in place wherever that is as short."""
    import numpy as np

    p = problem_of(**problem)
    X, y = np.asarray(p.inputs, p.dtype), np.asarray(p.labels)
    (w1, w2, w3), lr, decay = [np.array(w, p.dtype) for w in p.weights], p.lr, 2.0 * p.l2
    b1, b2, b3 = (np.zeros(len(w), p.dtype) for w in (w1, w2, w3))
    n, rows = len(X), np.arange(len(X))

    def step() -> Any:
        h1 = X @ w1.T
        h1 += b1
        np.maximum(h1, 0, out=h1)
        h2 = h1 @ w2.T
        h2 += b2
        np.maximum(h2, 0, out=h2)
        z = h2 @ w3.T
        z += b3
        if p.hinge:
            margin = 1.0 - y * z[:, 0]
            loss = np.maximum(margin, 0.0).mean()
            dz = ((margin > 0.0) * (y / -n))[:, None]
        else:
            z -= z.max(axis=1, keepdims=True)
            dz = np.exp(z)
            total = dz.sum(axis=1, keepdims=True)
            loss = (np.log(total[:, 0]) - z[rows, y]).mean()
            dz /= total
            dz[rows, y] -= 1
            dz /= n
        d2 = dz @ w3
        d2 *= h2 > 0
        d1 = d2 @ w2
        d1 *= h1 > 0
        gradients = (
            (w1, d1.T @ X),
            (b1, d1.sum(axis=0)),
            (w2, d2.T @ h1),
            (b2, d2.sum(axis=0)),
            (w3, dz.T @ h2),
            (b3, dz.sum(axis=0)),
        )
        for parameter, gradient in gradients:
            if decay:
                gradient += decay * parameter
            gradient *= lr
            parameter -= gradient
        return loss

    return steps_of(step, lambda: [w1, b1, w2, b2, w3, b3])


def of_torch(problem: dict[str, Any], decay: bool = True) -> Steps:
    """PyTorch, the batch at once. decay: L2 by the optimiser's weight decay, as in `batched`; else
    as a term of the loss, as in `script`."""
    import torch
    from torch.nn import functional as F

    p = problem_of(**problem)
    dtype = getattr(torch, p.dtype)
    X = torch.tensor(p.inputs, dtype=dtype)
    y = torch.tensor(p.labels, dtype=dtype if p.hinge else torch.long)
    parameters = []
    for weight in p.weights:
        parameters.append(torch.tensor(weight, dtype=dtype, requires_grad=True))
        parameters.append(torch.zeros(len(weight), dtype=dtype, requires_grad=True))
    optimizer = torch.optim.SGD(
        parameters, lr=p.lr, weight_decay=2.0 * p.l2 if decay else 0.0, foreach=True
    )

    def step() -> None:
        w1, b1, w2, b2, w3, b3 = parameters
        z = F.linear(F.linear(F.linear(X, w1, b1).relu(), w2, b2).relu(), w3, b3)
        loss = (1 - y * z[:, 0]).relu().mean() if p.hinge else F.cross_entropy(z, y)
        if p.l2 and not decay:
            loss = loss + p.l2 * sum((w * w).sum() for w in parameters)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return steps_of(step, lambda: [w.detach().numpy() for w in parameters])


def array_loss(np: Any, parameters: Any, X: Any, y: Any, p: Problem) -> Any:
    """The loss in the terms that NumPy, JAX, autograd and MyGrad share."""
    w1, b1, w2, b2, w3, b3 = parameters
    h = np.maximum(np.matmul(X, w1.T) + b1, 0.0)
    h = np.maximum(np.matmul(h, w2.T) + b2, 0.0)
    z = np.matmul(h, w3.T) + b3
    if p.hinge:
        loss = np.mean(np.maximum(1 - y * z[:, 0], 0.0))
    else:
        z = z - np.max(z, axis=1, keepdims=True)
        chosen = z[np.arange(len(y)), y]
        loss = np.mean(np.log(np.sum(np.exp(z), axis=1)) - chosen)
    if p.l2:
        loss = loss + p.l2 * sum(np.sum(w * w) for w in parameters)
    return loss


def arrays_of(p: Problem) -> tuple[list[Any], Any, Any]:
    import numpy as np

    parameters = []
    for weight in p.weights:
        parameters += [np.array(weight, p.dtype), np.zeros(len(weight), p.dtype)]
    return parameters, np.asarray(p.inputs, p.dtype), np.asarray(p.labels)


def of_jax(problem: dict[str, Any]) -> Steps:
    """JAX, the whole step compiled, update included, the old parameters given to be overwritten."""
    import jax
    from jax import numpy as jnp

    p = problem_of(**problem)
    jax.config.update("jax_enable_x64", True)
    parameters, X, y = arrays_of(p)
    now = [jnp.asarray(w) for w in parameters]
    X, y = jnp.asarray(X), jnp.asarray(y)

    def update(parameters: list[Any], X: Any, y: Any) -> tuple[Any, list[Any]]:
        loss, gradients = jax.value_and_grad(lambda ws: array_loss(jnp, ws, X, y, p))(parameters)
        pairs = zip(parameters, gradients, strict=True)
        return loss, [w - (p.lr * g).astype(w.dtype) for w, g in pairs]

    compiled = jax.jit(update, donate_argnums=0)

    def step() -> None:
        nonlocal now
        loss, now = compiled(now, X, y)
        loss.block_until_ready()

    return steps_of(step, lambda: [w.__array__() for w in now])


def of_autograd(problem: dict[str, Any]) -> Steps:
    from autograd import numpy as np
    from autograd import value_and_grad

    p = problem_of(**problem)
    parameters, X, y = arrays_of(p)
    both = value_and_grad(lambda ws: array_loss(np, ws, X, y, p))

    def step() -> None:
        _, gradients = both(parameters)
        for w, g in zip(parameters, gradients, strict=True):
            w -= p.lr * g

    return steps_of(step, lambda: parameters)


def of_mygrad(problem: dict[str, Any]) -> Steps:
    import mygrad

    p = problem_of(**problem)
    arrays, X, y = arrays_of(p)
    parameters = [mygrad.tensor(w) for w in arrays]

    def step() -> None:
        array_loss(mygrad, parameters, X, y, p).backward()
        for w in parameters:
            w.data -= p.lr * w.grad
            w.null_grad()

    return steps_of(step, lambda: [w.data for w in parameters])


def of_casadi() -> Steps:
    """Every operation one of CasADi's SX expression graph, run by its virtual machine."""
    import casadi
    import numpy as np

    p = two_moons()
    arrays, X, y = arrays_of(p)
    theta = casadi.SX.sym("theta", sum(w.size for w in arrays))
    parts, start = [], 0
    for w in arrays:
        rows = w.shape[0]
        part = theta[start : start + w.size]
        parts.append(casadi.reshape(part, w.size // rows, rows).T)  # its order is by columns
        start += w.size
    h = casadi.DM(X).T
    for k in range(3):
        h = casadi.mtimes(parts[2 * k], h) + casadi.repmat(parts[2 * k + 1], 1, len(X))
        h = casadi.fmax(h, 0) if k < 2 else h
    loss = casadi.sum2(casadi.fmax(1 - casadi.DM(y).T * h, 0)) / len(X)
    loss = loss + p.l2 * casadi.sumsqr(theta)
    function = casadi.Function("step", [theta], [loss, casadi.gradient(loss, theta)])
    now = np.concatenate([w.ravel() for w in arrays])
    call, (_, gradient) = in_place(function, now)

    def step() -> None:
        nonlocal now
        call()
        now -= p.lr * gradient

    return steps_of(step, lambda: now)
