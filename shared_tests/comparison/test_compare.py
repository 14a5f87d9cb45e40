"""The comparison of engines: the same losses, and the figures that it says it writes."""

import json

import pytest

from comparison import compare


@pytest.fixture(scope="module")
def results(backends):
    return compare.run_each([*(backend.name for backend in backends), "torch"], 10, 30.0)


def test_the_losses_are_the_known_ones(results):
    for result in results:
        known = {0: 0.8958441028683222, 1: 1.7235905336972022, 4: 0.3692793385976538}
        for step, loss in known.items():
            assert result["losses"][step] == pytest.approx(loss, abs=1e-9), result["engine"]
        assert max(compare.differences(result, results[0])) < 1e-12


def test_what_is_measured_is_plausible(results):
    for result in results:
        assert result["steps_per_second"] > 0.05 and result["nodes"] > 10
        assert 2**20 < result["imported_bytes"] <= result["peak_bytes"] < 2**33


def test_the_scalar_backends_have_the_same_nodes(results):
    nodes = {result["engine"]: result["nodes"] for result in results}
    scalar = {nodes[engine] for engine in ("pure_python", "cython_core") if engine in nodes}
    assert len(scalar) <= 1, f"one graph, counted differently: {nodes}"


def test_the_page_and_the_figure(results, tmp_path):
    page = compare.markdown(results)
    assert all(f"| {result['engine']} |" in page for result in results)
    compare.figure(results).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 20_000
    assert json.loads(json.dumps(results)) == results


def test_an_engine_that_is_not_installed(capsys, monkeypatch):
    monkeypatch.setattr(compare.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        compare.main(["--engine", "micrograd"])
    assert stopped.value.code == 2 and "not installed: micrograd" in capsys.readouterr().err
