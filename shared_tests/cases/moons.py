"""The two moons of the known losses, 100 points, and the losses."""

from pathlib import Path

FILE = Path(__file__).parent.parent / "data" / "moons.csv"
# Micrograd's losses before the first five steps, from random.seed(1337).
LOSSES = dict(
    enumerate(
        [
            0.8958441028683222,
            1.7235905336972022,
            0.742900631385113,
            0.7705641260584202,
            0.3692793385976538,
        ]
    )
)


def moons() -> tuple[list[list[float]], list[float]]:
    """X, 100 rows of two features, and y, labels -1 and 1."""
    lines = FILE.read_text().splitlines()[2:]
    rows = [[float(cell) for cell in line.split(",")] for line in lines]
    return [row[:2] for row in rows], [row[2] for row in rows]


def learning_rate(step: int) -> float:
    return 1.0 - 0.9 * step / 100
