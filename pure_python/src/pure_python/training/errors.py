"""What a person asked for and cannot have."""


class InputError(ValueError):
    """Bad input from outside: one line for the person, exit code 2, nothing written."""
