"""Draws the pictures of README.md from its own example and from the demo: `nox -s images`."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pure_python import MLP, SGD, draw_dot, draw_model, hinge_loss

IMAGES = Path(__file__).parent
README = IMAGES.parents[1] / "README.md"


def draw_expression() -> None:
    """The graph of the first example on the page."""
    example = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    if example is None:
        raise SystemExit(f"{README} has no Python example to draw")
    names: dict[str, object] = {}
    exec(example[1], names)
    draw_dot(names["y"]).render(outfile=IMAGES / "expression.svg", cleanup=True)


def draw_network() -> None:
    """A network that has learnt which one of two inputs is 1, and not both."""
    model = MLP(2, [4, 1], activation="tanh", seed=1)
    optimizer = SGD(model.parameters(), lr=0.1)
    for _ in range(200):
        loss = hinge_loss(model([[0, 1], [1, 0], [1, 1], [0, 0]]), [1, 1, -1, -1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    draw_model(model).render(outfile=IMAGES / "network.svg", cleanup=True)


def draw_moons() -> None:
    """The decision boundaries that the demo writes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pure_python.training.demo", "--out", folder]
        subprocess.run(command, check=True)
        picture = Path(folder, "moons.png").read_bytes()
    (IMAGES / "moons.png").write_bytes(picture)


if __name__ == "__main__":
    draw_expression()
    draw_network()
    draw_moons()
