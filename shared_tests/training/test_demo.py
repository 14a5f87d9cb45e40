"""The demo: the main job with every backend, side by side."""

import json

from pure_python.training import demo


def test_the_demo_compares_backends(backends, folder, capsys):
    names = [backend.name for backend in backends]
    args = [f"--backend={name}" for name in names]
    assert demo.main([*args, "--out", "out", "--epochs", "2"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)
    told = json.loads((folder / "out" / "demo.json").read_text())
    for dataset in ("moons", "digits"):
        assert [row["backend"] for row in told[dataset]] == names
        assert max(row["largest_difference"] for row in told[dataset]) < 1e-9
        assert (folder / "out" / f"{dataset}.png").stat().st_size > 10_000
        for name in names:
            assert (folder / "out" / f"{dataset}-{name}" / "weights.safetensors").exists()


def test_a_backend_that_is_not_there(folder, capsys):
    assert demo.main(["--backend", "pure_python", "--backend", "no_such_engine"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "error: no backend 'no_such_engine': it is not installed\n"
    assert printed.out == "" and not list(folder.iterdir())
