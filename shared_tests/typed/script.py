"""A typed script as a user writes it. `nox -s types` checks it with each backend's import line."""

from pathlib import Path

from pure_python import (
    MLP,
    SGD,
    Adam,
    AdamW,
    Layer,
    Net,
    Neuron,
    Tape,
    Value,
    Vector,
    backward_steps,
    binary_cross_entropy_with_logits,
    cross_entropy,
    diagnose,
    dot,
    draw,
    draw_dot,
    draw_model,
    explain,
    explore,
    gradcheck,
    hinge_loss,
    linear,
    log_softmax,
    logsumexp,
    mean,
    mse_loss,
    no_grad,
    rms_norm,
    scaled_dot_product_attention,
    softmax,
    trace,
    tree,
)


def expression(a: Value, b: Value) -> Value:
    c = 2 * a - b / 3 + a**2 + 2**b - (1 - a) * (10.0 / b)
    return (c.tanh() + abs(b).sqrt() + -a.relu()).maximum(b).leaky_relu(negative_slope=0.1)


def gradient() -> float:
    a, b = Value(2.0, label="a"), Value(3)
    f = expression(a, b)
    f.backward()
    if f > 1.0 and a <= b:
        print(f"{f:.4f}", f.op, [operand.label for operand in f.operands])
    with no_grad():
        number: float = f.detach().data
    custom = Value(number, (a, b), "custom", local_grads=(1.0, 2.0))
    custom.backward(grad=2.0)
    a.data -= 0.1 * a.grad
    return float(a)


@no_grad()
def predict(model: MLP, sample: list[float]) -> float:
    return float(model(sample))


def vectors() -> Value:
    v = Vector([1.0, Value(2.0), 3])
    w = 1 - v * [1.0, 2.0, 3.0] + v / v[0]
    first: Value = w[0]
    for element in v[1:]:
        first = first + element
    total: Value = w.sum() + w.mean() + w.max() + v @ w + v.dot([1.0, 2.0, 3.0])
    outputs = linear([1.0, 2.0], [[0.1, 0.2], [0.3, 0.4]], bias=[0.0, 1.0])
    attended = scaled_dot_product_attention(v, [v, w], [[1.0, 2.0], [3.0, 4.0]])
    normed = softmax(v).sum() + log_softmax(v).sum() + rms_norm(v, eps=1e-6).sum()
    smooth: Value = logsumexp(v)
    return first + total + outputs.sum() + attended.sum() + normed + smooth + mean(v)


def train(samples: list[list[float]], labels: list[int], file: Path) -> list[float]:
    model = MLP(2, [16, 1], activation="tanh", init="xavier", seed=1337)
    optimizer = Adam(model.parameters(), lr=1e-2, betas=(0.9, 0.99))
    losses: list[float] = []
    for _ in range(10):
        scores = model(samples)
        loss = hinge_loss(scores, labels) + 1e-4 * mean([p.sum() for p in [scores]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        optimizer.lr *= 0.9
        losses.append(float(loss.data))
    model.load_state_dict(model.state_dict())
    model.save(file)
    model.load(file)
    return losses


def modules() -> int:
    neuron, layer, net = Neuron(2), Layer(2, 3, activation="relu"), Net([2, 3, 1])
    sizes = [neuron.nparams(), layer.nparams(), net.nparams()]
    names = [name for name, _ in net.named_parameters()]
    for p in net.parameters():
        p.data -= 0.1 * p.grad
    plain = SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    plain.load_state_dict(plain.state_dict())
    AdamW(layer.parameters()).step()
    losses = mse_loss([1.0, 2.0], [1.5, 2.5]) + cross_entropy([[1.0, 2.0]], [0])
    losses = losses + binary_cross_entropy_with_logits([0.5], [1.0])
    losses = losses + dot([Value(1.0)], [2.0], bias=0.5)
    nodes, edges = trace(losses)
    print(repr(losses), len(nodes), len(edges), draw_dot(losses).source, draw(losses, "png").format)
    print(draw_model(net, input_names=["x", "y"]).source)
    return sum(sizes) + len(names)


def replay(x: Value) -> float:
    tape = Tape(expression(x, x))
    tape.set([x], [0.5])
    number: float = tape.forward()
    tape.backward(grad=1.0)
    return number + len(tape)


def check() -> str:
    report = gradcheck(expression, [Value(0.5), Value(0.7)], eps=1e-6)
    return str(report) if report else "wrong"


def look(a: Value, b: Value) -> str:
    f = expression(a, b)
    gradient = sum(step.contribution for step in backward_steps(f) if step.operand is a)
    explanation = explain(f, a, most=3)
    print(len(explore(f, fused=True).html))
    for finding in diagnose(f, {"a": a}):
        print(finding.kind, finding.nodes, finding.seen, finding.advice)
    largest = max(path.product for path in explanation.paths)
    return f"{explanation} {explanation.grad - gradient + largest} {tree([f, a], fused=True)}"
