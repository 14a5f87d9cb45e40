"""A limit of time for what a learner's engine is asked to do."""

import contextlib
import signal

import pytest


@contextlib.contextmanager
def time_limit(seconds: float, sentence: str):
    """Fail what computes for longer. Not the clock but the processor's time counts, so a busy machine
    does no harm. Windows has no such timer: there Ctrl-C ends it.
    """

    def stop(number, frame):
        pytest.fail(sentence, pytrace=False)

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
