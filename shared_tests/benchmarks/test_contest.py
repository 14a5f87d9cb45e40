"""The benchmark's own promises: who computes other numbers, breaks or is missing is not timed."""

import math

import pytest

from benchmarks.contest import Contest, Contestant, Ratio, Stage, difference
from benchmarks.plan import contests
from benchmarks.targets import judge, ratio, targets

CHAIN = {"kind": "chain", "nodes": 1000}


def contestant(name, make="chain:of_values", **arguments):
    return Contestant(name, make, {**CHAIN, **arguments})


@pytest.fixture
def stage():
    with Stage(seconds=0.001, rounds=3, say=lambda line: None) as stage:
        yield stage


def test_each_round_times_everyone_in_turn(stage):
    playing = [contestant("pure", engine="pure_python"), contestant("float", "chain:of_floats")]
    outcome = stage.run(Contest("chain", "10³", playing))
    assert not outcome.failed and not outcome.missing
    assert {len(values) for phases in outcome.times.values() for values in phases.values()} == {3}
    assert ratio(outcome, "all", "pure", "float").median > 5


def test_other_numbers_are_not_timed(stage):
    playing = [
        contestant("pure", engine="pure_python"),
        contestant("longer", "chain:of_values", engine="pure_python", nodes=1002),
    ]
    outcome = stage.run(Contest("chain", "10³", playing))
    assert list(outcome.times) == ["pure"]
    assert "differ" in outcome.failed["longer"]


def test_who_is_missing_or_breaks_leaves_the_others(stage):
    playing = [
        contestant("pure", engine="pure_python"),
        contestant("absent", "resources:Import", module="no_such_module"),
        contestant("broken", "chain:of_values", engine="no such engine"),
    ]
    playing[1].arguments.pop("kind"), playing[1].arguments.pop("nodes")
    outcome = stage.run(Contest("chain", "10³", playing))
    assert list(outcome.times) == ["pure"]
    assert "no_such_module" in outcome.missing["absent"]
    assert "KeyError" in outcome.failed["broken"]


def test_differences_are_relative_above_the_floor():
    assert difference([1.0, 200.0], [1.0, 100.0], floor=1.0) == 1.0
    assert difference([0.01], [0.02], floor=1.0) == pytest.approx(0.01)
    assert difference([1.0, 2.0], [1.0, 2.0, 3.0], floor=1.0) == math.inf
    assert math.isnan(difference([math.nan, 1.0], [1.0, 1.0], floor=1.0))


def test_a_ratio_is_the_median_with_its_quartiles():
    assert Ratio.of([5.0, 1.0, 2.0, 4.0, 3.0]) == Ratio(3.0, 2.0, 4.0)


@pytest.mark.parametrize("quick", [False, True])
def test_targets_name_contests_that_there_are(quick):
    planned = {
        (contest.workload, contest.case, c.name)
        for stage in contests(quick)
        for contest in stage
        for c in contest.contestants
    }
    for target in targets():
        named = [
            {(f.workload, f.case, name) for name in (f.name, f.other) if name}
            for f in target.figures
        ]
        # A quick run measures fewer sizes, but something of every target.
        assert any(names <= planned for names in named), target.what
        assert quick or all(names <= planned for names in named), target.what


def test_nothing_measured_is_no_verdict():
    assert judge([]) == targets()
