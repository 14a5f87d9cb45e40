"""`python -m numpy_vectorized`, or `trigrad-numpy-vectorized`: the command line."""

from pure_python.training import cli


def main() -> int:
    """Run the command line; the exit code."""
    return cli.main("numpy_vectorized")


if __name__ == "__main__":
    raise SystemExit(main())
