"""How a bad input is checked, once for all chapters."""

import pytest

from cases.bad_inputs import BadInput
from cases.unfinished import not_there_yet


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
    named = f"{case.name} (rule {case.rule})"
    unsaid = [part for part in case.says if part not in str(error)]
    if not isinstance(error, case.error):
        came = f"raised {type(error).__name__}: {error}, expected {case.error.__name__}"
    elif case.exactly and str(error) != case.exactly:
        came = f"says {str(error)!r}, expected {case.exactly!r}"
    elif unsaid:
        came = f"says {str(error)!r}: it should name {unsaid[0]!r}"
    else:
        return
    # Where the engine has no such operator yet, the report says that and no more.
    missing = not_there_yet(backend, error)
    raise missing or pytest.fail.Exception(f"{named} {came}", pytrace=False)
