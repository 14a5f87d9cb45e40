"""How a bad input is checked, once for all chapters."""

import pytest

from cases.bad_inputs import BadInput


def refusal(backend, case: BadInput) -> Exception:
    """The exception that a bad input raises; no exception is a failure."""
    try:
        got = case.call(backend)
    except (AttributeError, NotImplementedError) as error:
        if isinstance(error, case.error):
            return error
        raise
    except Exception as error:
        return error
    pytest.fail(
        f"{case.name} (rule {case.rule}) gave {got!r}, expected {case.error.__name__}",
        pytrace=False,
    )


def check_refusal(backend, case: BadInput) -> None:
    error = refusal(backend, case)
    try:
        assert isinstance(error, case.error), (
            f"{case.name} (rule {case.rule}) raised {type(error).__name__}: {error}, "
            f"expected {case.error.__name__}"
        )
        if case.exactly:
            assert str(error) == case.exactly, (
                f"{case.name} (rule {case.rule}) says {str(error)!r}, expected {case.exactly!r}"
            )
        for part in case.says:
            assert part in str(error), (
                f"{case.name} (rule {case.rule}) says {str(error)!r}: it should name {part!r}"
            )
    except AssertionError as failure:
        # Where the engine has no such operator yet, the report says that and no more.
        raise failure from error
