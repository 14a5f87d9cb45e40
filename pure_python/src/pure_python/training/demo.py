"""The main job with every backend from one seed: `python -m pure_python.training.demo`."""

from __future__ import annotations

from collections.abc import Sequence

from .cli import with_libraries


def main(args: Sequence[str] | None = None) -> int:
    """Train each backend on moons and digits, print tables, write figures; the exit code."""
    return with_libraries("trigrad-pure-python", lambda: _demo(args))


def _demo(args: Sequence[str] | None) -> int:
    from .commands import carry_out
    from .demonstration import demo

    return carry_out(demo, args, "python -m pure_python.training.demo")


if __name__ == "__main__":
    raise SystemExit(main())
