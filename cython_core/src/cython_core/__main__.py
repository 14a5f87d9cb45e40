"""`python -m cython_core`, or `trigrad-cython-core`: the command line."""

from pure_python.training import cli


def main() -> int:
    """Run the command line; the exit code."""
    return cli.main("cython_core")


if __name__ == "__main__":
    raise SystemExit(main())
