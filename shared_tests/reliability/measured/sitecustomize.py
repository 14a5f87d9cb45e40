"""For the processes whose coverage is measured: what they do to each other leaves coverage time and locks."""

from multiprocessing.process import BaseProcess

import coverage

# A trainer of the playground breaks a step off by an exception at any moment, also while coverage
# holds this lock, which would be held for ever.
if (running := coverage.Coverage.current()) is not None:
    running._collector.data_lock = None

# One that is killed has no time to write what it counted.
kill = BaseProcess.kill


def end(process: BaseProcess) -> None:
    process.terminate()  # coverage writes on this signal
    process.join(60)
    kill(process)


BaseProcess.kill = end  # type: ignore[method-assign]
