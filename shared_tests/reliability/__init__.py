"""Runs that are too long for the suite. Their last figures stand in docs/reliability.md.

Each module is a command, run by the nox session of its name: `python -m reliability.accuracy`. It prints
what it found, ends with 1 where a limit is missed, and with `--record` writes its figures into the page.
"""
