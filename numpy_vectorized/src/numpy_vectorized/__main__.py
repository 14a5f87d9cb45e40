"""`python -m numpy_vectorized`: the command line."""

from pure_python.training.cli import main

if __name__ == "__main__":
    raise SystemExit(main("numpy_vectorized"))
