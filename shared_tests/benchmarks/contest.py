"""Contests: things that compute the same, checked against each other and then timed in turn.

Each contestant has a process of its own, so that neither its imports nor its threads, its garbage
or its collector's setting touch another's figures. All of them are started first and wait; then round
by round each takes one short turn, A B C A B C, so that what slows the machine slows them alike. A
figure is the ratio of two contestants within a round; of all rounds the median and the quartiles.

Calibration, units and the file of raw times follow pyperf; its own runner measures one thing to the
end before the next, which is not what a ratio needs.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Settings of BLAS libraries that a machine may carry; only our own number of threads is passed on.
BLAS_SETTINGS = ("OPENBLAS_", "OMP_", "GOMP_", "KMP_", "MKL_", "BLIS_", "NVPL_BLAS_", "VECLIB_")
# The threads of OpenBLAS and OpenMP spin on for some time after their work, on the next one's core:
# without a rest, who came after two threads took up to twice as long.
REST = 0.15


@dataclass(frozen=True)
class Contestant:
    """Who takes part: what makes its workload in its process, and that process's settings."""

    name: str
    make: str  # "module:function" of this package
    arguments: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    collector: bool = True
    peer: bool = True  # from elsewhere: may be missing


@dataclass(frozen=True)
class Contest:
    """Contestants that do the same work. Their numbers may differ by `tolerance` of the larger of
    the first one's number and `floor`."""

    workload: str
    case: str
    contestants: list[Contestant]
    tolerance: float = 1e-9
    floor: float = 1.0
    rounds: int | None = None
    fresh: bool = False  # a new process, and one repetition, each round


@dataclass
class Outcome:
    """What a contest gave: of each contestant and phase, the seconds of every round."""

    contest: Contest
    times: dict[str, dict[str, list[float]]]
    loops: dict[str, int]
    missing: dict[str, str]
    failed: dict[str, str]
    differences: dict[str, float]  # the largest from the first contestant's numbers
    pools: dict[str, Any]


@dataclass(frozen=True)
class Ratio:
    """The median over the rounds, and the quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Ratio:
        values = sorted(values)
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


class Process:
    """A contestant's process."""

    def __init__(self, threads: int) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(BLAS_SETTINGS)}
        for name in ("OMP", "OPENBLAS", "MKL"):
            environment[f"{name}_NUM_THREADS"] = str(threads)
        environment["NPROC"] = str(threads)  # the size of XLA's pool
        environment["JAX_PLATFORMS"] = "cpu"
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        environment["PYTHONHASHSEED"] = "0"
        self.errors = tempfile.TemporaryFile("w+")  # a pipe that nobody reads would fill up
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )

    def tell(self, *order: Any) -> None:
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # what it died of is asked for in `answer`

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        code = self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip()[-2000:]
        return {"failed": f"{said}\nthe process ended with code {code}"}

    def end(self) -> None:
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class Stage:
    """The processes of one workload's contestants, kept over all its cases."""

    def __init__(self, seconds: float, rounds: int, say: Callable[[str], None]) -> None:
        self.seconds = seconds
        self.rounds = rounds
        self.say = say
        self.processes: dict[str, Process] = {}

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        for process in self.processes.values():
            process.end()
        self.processes = {}

    def run(self, contest: Contest) -> Outcome:
        if contest.fresh:
            self.end()
        outcome = Outcome(contest, {}, {}, {}, {}, {}, {})
        playing = list(contest.contestants)

        def ask(order: Callable[[Contestant], tuple[Any, ...]], together: bool) -> dict[str, Any]:
            """Every contestant's answer, by name; who fails is out."""
            answers = {}
            for c in playing if together else ():
                self.processes[c.name].tell(*order(c))
            for c in tuple(playing):
                if not together:
                    self.processes[c.name].tell(*order(c))
                answer = self.processes[c.name].answer()
                if not together and c.threads > 1:
                    time.sleep(REST)
                if "answer" in answer:
                    answers[c.name] = answer["answer"]
                    continue
                playing.remove(c)
                self.processes.pop(c.name).end()
                reason = "missing" if "missing" in answer else "failed"
                getattr(outcome, reason)[c.name] = answer[reason]
                self.say(f"  {c.name}: {reason}: {answer[reason].strip().splitlines()[-1]}")
            return answers

        def prepare() -> None:
            for c in playing:
                if c.name not in self.processes:
                    self.processes[c.name] = Process(c.threads)
            ask(lambda c: ("make", c.make, c.arguments, c.collector), together=True)

        prepare()
        numbers = ask(lambda c: ("check",), together=True)
        for c in tuple(playing):
            gap = difference(numbers[c.name], numbers[playing[0].name], contest.floor)
            outcome.differences[c.name] = gap
            if not gap <= contest.tolerance:
                playing.remove(c)
                outcome.failed[c.name] = f"its numbers differ by {gap:.1e} from {playing[0].name}"
                self.say(f"  {c.name}: {outcome.failed[c.name]}")
        outcome.loops = dict.fromkeys(numbers, 1)
        if not contest.fresh:
            outcome.loops = ask(lambda c: ("calibrate", self.seconds), together=False)
        outcome.pools = ask(lambda c: ("pools",), together=True)
        outcome.times = {c.name: {} for c in playing}
        for number in range(contest.rounds or self.rounds):
            if contest.fresh and number > 0:
                self.end()
                prepare()
            turns = ask(lambda c: ("turn", outcome.loops[c.name]), together=False)
            for name, phases in turns.items():
                for phase, seconds in phases.items():
                    outcome.times[name].setdefault(phase, []).append(seconds)
        return outcome


def difference(numbers: list[float], reference: list[float], floor: float) -> float:
    """The largest, relative to the reference where that is above `floor`; inf for another count.
    Who computes no gradients gives one number, the result."""
    if len(numbers) not in (1, len(reference)):
        return math.inf
    gaps = [abs(a - b) / max(floor, abs(b)) for a, b in zip(numbers, reference, strict=False)]
    return math.nan if any(g != g for g in gaps) else max(gaps, default=0.0)
