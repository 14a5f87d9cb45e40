"""Ctrl-C ends a run cleanly and keeps what was learnt."""

import os
import signal
import subprocess
import sys
import time

import pytest

from pure_python.training import checkpoint
from pure_python.training.interruption import Interruption

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="signals are sent as POSIX has them"
)


def test_ctrl_c_keeps_the_weights(backend, folder):
    args = ["train", "digits", "--epochs", "100000", "--out", "out", "--save", "weights"]
    process = subprocess.Popen(
        [sys.executable, "-m", backend.name, *args],
        cwd=folder,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests may ignore Ctrl-C, and a child inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        time.sleep(3.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err.startswith("error: stopped by Ctrl-C") and len(err.splitlines()) == 1
    if "nothing was written" in err:  # a machine so slow that it had not begun
        assert not list(folder.iterdir())
        return
    assert "held-out accuracy" in out
    names = ["confusion_matrix.png", "loss.png", "metrics.json", "weights.safetensors"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == names
    saved = checkpoint.read(str(folder / "weights"))
    assert saved.epochs >= 1 and saved.optimizer["step"] > 0


def test_the_first_ctrl_c_is_a_request_and_the_second_is_not():
    handler = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
        interruption.unbreakable = True
        signal.raise_signal(signal.SIGINT)  # in the middle of an update it waits
        interruption.unbreakable = False
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_in_the_middle_of_a_step(backend, run, folder, monkeypatch):
    """The step is finished, and the run is written."""
    from pure_python.training import trainer

    step, taken = trainer.Trainer._step, []

    def interrupted(self, *args):
        taken.append(1)
        if len(taken) == 13:
            signal.raise_signal(signal.SIGINT)
        return step(self, *args)

    monkeypatch.setattr(trainer.Trainer, "_step", interrupted)
    done = run("train", "moons", "--save", "w", "--no-out")
    assert done.code == 130 and "stopped by Ctrl-C in epoch 2; what was learnt is kept" in done.err
    assert len(taken) == 13 and checkpoint.read("w").optimizer["step"] == 13


def test_ctrl_c_before_the_first_step(run, folder, monkeypatch):
    from pure_python.training import datasets

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "load", interrupted)
    monkeypatch.setattr("pure_python.training.run.load", interrupted)
    done = run("train", "moons")
    assert done.code == 130 and done.err.strip() == "error: stopped by Ctrl-C; nothing was written"
    assert not list(folder.iterdir())
