"""Ctrl-C ends a run cleanly and keeps what was learnt."""

import gc
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from pure_python.training import checkpoint, cli, demo, figures
from pure_python.training.interruption import Interruption
from pure_python.training.run import Run, Source
from pure_python.training.trainer import Trainer

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="signals are sent as POSIX has them"
)


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """Tests that a shell runs in the background begin with Ctrl-C ignored."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


# `python -m BACKEND …` that says when it has taken its first step.
PROGRAM = """
import runpy, sys
from pure_python.training.terminal import Watch
step = Watch.step
def first_step(*args):
    print("the first step", flush=True)
    Watch.step = step
    step(*args)
Watch.step = first_step
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def test_ctrl_c_keeps_the_weights(backend, folder):
    args = ["train", "digits", "--epochs", "100000", "--out", "out", "--save", "weights"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, backend.name, *args],
        cwd=folder,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests may ignore Ctrl-C, and a child inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout.readline() == "the first step\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, err
    told = r"error: stopped by Ctrl-C in epoch \d+; what was learnt is kept\n"
    assert re.fullmatch(told, err), err
    assert "held-out accuracy" in out
    names = ["confusion_matrix.png", "loss.png", "metrics.json", "run.toml", "weights.safetensors"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == names
    saved = checkpoint.read(str(folder / "weights"))
    assert saved.epochs >= 1 and saved.optimizer["step"] > 0


def test_where_nothing_was_to_be_written_nothing_is_said_to_be_kept(run, folder, monkeypatch):
    step = Trainer._step

    def step_and_stop(self, *args):
        result = step(self, *args)
        signal.raise_signal(signal.SIGINT)
        return result

    monkeypatch.setattr(Trainer, "_step", step_and_stop)
    done = run("train", "moons", "--no-out")
    assert (done.code, done.err) == (
        130,
        "error: stopped by Ctrl-C in epoch 1; nothing was written\n",
    )
    done = run("train", "moons", "--no-out", "--save", "w")
    assert done.err == "error: stopped by Ctrl-C in epoch 1; what was learnt is kept\n"


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
    step, taken = Trainer._step, []

    def interrupted(self, *args):
        taken.append(1)
        if len(taken) == 13:
            signal.raise_signal(signal.SIGINT)
        return step(self, *args)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    done = run("train", "moons", "--save", "w", "--no-out")
    assert done.code == 130 and "stopped by Ctrl-C in epoch 2; what was learnt is kept" in done.err
    assert len(taken) == 13 and checkpoint.read("w").optimizer["step"] == 13


def test_ctrl_c_before_the_first_step(run, folder, monkeypatch):
    from pure_python.training import datasets

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "load", interrupted)
    monkeypatch.setattr("pure_python.training.configuration.load", interrupted)
    assert run("train", "moons").failed(130) == "stopped by Ctrl-C; nothing was written"
    assert not list(folder.iterdir())


@pytest.mark.parametrize("where", ["cli._run", "configuration.load"])
def test_a_terminal_that_shows_a_ctrl_c_gets_a_line_of_its_own(
    where, folder, terminal, monkeypatch
):
    """It writes ^C where it stands, with no end of the line."""

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"pure_python.training.{where}", interrupted)
    with terminal() as shown:
        assert cli.main("pure_python", ["train", "moons"]) == 130
    assert shown[0] == "\r\nerror: stopped by Ctrl-C; nothing was written\r\n"


def test_ctrl_c_while_the_libraries_are_loaded(run, folder, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("pure_python.training.cli._run", interrupted)
    done = run("train", "moons")
    assert done.failed(130) == "stopped by Ctrl-C; nothing was written"


def test_ctrl_c_after_the_start_and_before_the_first_step(run, folder, monkeypatch):
    batches = Trainer._batches

    def interrupted(self, *args):
        signal.raise_signal(signal.SIGINT)
        return batches(self, *args)

    monkeypatch.setattr(Trainer, "_batches", interrupted)
    message = run("train", "moons").failed(130)
    assert message == "stopped by Ctrl-C before the first step; nothing was written"
    assert not list(folder.iterdir())


def test_where_ctrl_c_is_ignored_it_stays_so():
    """As in a job in the background of a shell."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
        assert not interruption.requested
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, handler)


def test_a_run_in_another_thread(backend, folder):
    """Which no signal reaches, and which may not ask for any."""
    handler = signal.getsignal(signal.SIGINT)
    run = Run.prepare(
        backend.module, Source("moons", samples=20), {"epochs": 1}, save="w", files=False
    )
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(run.carry_out, quiet=True).result(60)
    assert checkpoint.read("w").epochs == 1
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("run_number, kept", [(1, []), (2, ["moons-pure_python"])])
def test_ctrl_c_in_the_demo_says_what_is_kept(run_number, kept, folder, monkeypatch, capsys):
    """Runs that were done are; of the one under way, what was learnt, if anything was."""
    batches, begun = Trainer._batches, []

    def interrupted(self, n, epoch):
        begun.extend([1] if epoch == 1 else [])
        if len(begun) == run_number:
            signal.raise_signal(signal.SIGINT)
        return batches(self, n, epoch)

    monkeypatch.setattr(Trainer, "_batches", interrupted)
    monkeypatch.setattr(figures, "save", lambda figure, path: None)  # which takes half a second
    args = ["--backend=pure_python", "--backend=pure_python", "--out=out", "--epochs=1"]
    assert demo.main(args) == 130
    told = "what was learnt is kept in out" if kept else "nothing was written"
    assert capsys.readouterr().err.split() == f"error: stopped by Ctrl-C; {told}".split()
    assert [path.name for path in folder.glob("out/*")] == kept


def test_ctrl_c_in_a_step_of_the_demo(folder, monkeypatch, capsys):
    step = Trainer._step

    def interrupted(self, *args):
        signal.raise_signal(signal.SIGINT)
        return step(self, *args)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    monkeypatch.setattr(figures, "save", lambda figure, path: None)
    assert demo.main(["--backend=pure_python", "--out=out"]) == 130
    assert capsys.readouterr().err == "error: stopped by Ctrl-C; what was learnt is kept in out\n"
    assert checkpoint.read("out/moons-pure_python/weights.safetensors").optimizer["step"] == 1


def test_ctrl_c_while_the_demo_draws(folder, monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(figures, "save", lambda figure, path: None)
    monkeypatch.setattr("pure_python.training.demonstration.moons_figure", interrupted)
    assert demo.main(["--backend=pure_python", "--out=out", "--epochs=1"]) == 130
    assert capsys.readouterr().err == "error: stopped by Ctrl-C; what was learnt is kept in out\n"


def test_ctrl_c_ends_the_playground_and_its_line(terminal, monkeypatch):
    """Also in its first moment, when its server has only been made."""

    def interrupted(server, sockets):
        coroutine = server.serve(sockets)
        assert coroutine is not None
        raise KeyboardInterrupt

    monkeypatch.setattr("uvicorn.Server.run", interrupted)
    with terminal() as shown:
        assert cli.main("pure_python", ["playground", "--no-open"]) == 0
    gc.collect()  # a warning that nobody awaits the coroutine would be an error
    assert shown[0].endswith("or with Ctrl-C.\r\n\r\n"), "the shell goes on below the ^C"
