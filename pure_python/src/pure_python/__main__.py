"""`python -m pure_python`, or `trigrad-pure-python`: the command line."""

from pure_python.training import cli


def main() -> int:
    """Run the command line; the exit code."""
    return cli.main("pure_python")


if __name__ == "__main__":
    raise SystemExit(main())
