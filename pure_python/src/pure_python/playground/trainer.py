"""The process that trains: steps as fast as asked for, and now and then a frame for the page.

It has a process of its own because a scalar engine in a thread would starve the server. Frames are
never queued: a new one is made when the page has shown the last but one.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import math
import os
import queue
import signal
import struct
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from .points import Points
from .script import script_of
from .settings import Settings
from .training import Training

FRAMES_PER_SECOND = 36
# While it trains, the share of the time that goes into pictures of what has been learnt.
SHARE_OF_PICTURES = 0.4
SIDES = (8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)
# The heat map of a neuron is small.
SIDE_OF_NEURONS = 24
FRAMES_UNDER_WAY = 2
SECONDS_BETWEEN_JUDGEMENTS = 0.2
SECONDS_BETWEEN_LISTENING = 0.005


class BrokenOff(Exception):
    """Raised in the middle of a step that a command has to wait for; the step is begun again."""


def main(connection: Connection, settings: Settings, points: Points) -> None:
    """What the process runs, until the other end of the connection is closed."""
    with contextlib.suppress(ConnectionError):  # which a frame may notice before the listener does
        Trainer(connection, settings, points).run()


class Trainer:
    """The loop of one process. Commands are (name, arguments), answers (kind, ...)."""

    def __init__(self, connection: Connection, settings: Settings, points: Points) -> None:
        self.connection = connection
        self.training = Training(settings, points)
        self.commands: queue.SimpleQueue[tuple[str, tuple[Any, ...]]] = queue.SimpleQueue()
        self.running = False
        self.breakable = False
        self.revision = 0  # of settings and points; a frame says which it belongs to
        self.frame = self.shown = 0
        self.next_frame = self.next_step = self.next_listening = 0.0
        self.seconds_per_place = 1e-5
        # What the last frame showed, and how finely.
        self.pictured: tuple[int, int] | None = None
        self.side = 0
        self.judged = (-1, -1)
        self.next_judgement = 0.0
        self.loss = self.accuracy = math.nan
        self.rate_began, self.rate_steps, self.rate = time.perf_counter(), 0, 0.0

    def run(self) -> None:
        # A Ctrl-C of the terminal reaches every process; the server ends this one in good order.
        signal.signal(signal.SIGINT, self._break_off)
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            self._let_listen()
            self._obey()
            # Before the step: what a command has changed is seen at once, however long a step takes.
            waiting = self.frame - self.shown
            if time.perf_counter() >= self.next_frame and waiting < FRAMES_UNDER_WAY:
                self._publish()
            if self.running:
                self._step()

    # Commands

    def _listen(self) -> None:
        """Runs in a thread of its own, so that a command is heard in the middle of a step."""
        while True:
            try:
                command = self.connection.recv()
            except (EOFError, OSError):
                os._exit(0)  # the server is gone
            self.commands.put(command)
            if self.breakable and command[0] != "shown":
                _thread.interrupt_main()

    def _let_listen(self) -> None:
        """Sleep so long that the listener wakes. It waits for the interpreter, and a thread that lets
        go of it often for a moment, as short steps do, starves one that waits."""
        now = time.perf_counter()
        if now >= self.next_listening:
            time.sleep(1e-4)
            self.next_listening = now + SECONDS_BETWEEN_LISTENING

    def _break_off(self, number: int, frame: FrameType | None) -> None:
        if self.breakable:
            self.breakable = False
            raise BrokenOff

    def _obey(self) -> None:
        """Carry out all commands there are; wait for one if there is nothing else to do."""
        while True:
            try:
                name, arguments = self.commands.get(timeout=self._leisure())
            except queue.Empty:
                return
            getattr(self, f"on_{name}")(*arguments)
            if name != "shown":
                self.next_frame = 0.0

    def _leisure(self) -> float | None:
        """Seconds until something is to be done without a command; None for never."""
        now = time.perf_counter()
        times = []
        if self.running:
            times.append(self.next_step)
        if self._something_to_show() and self.frame - self.shown < FRAMES_UNDER_WAY:
            times.append(self.next_frame)
        return max(0.0, min(times) - now) if times else None

    def on_shown(self, frame: int) -> None:
        self.shown = max(self.shown, min(frame, self.frame))

    def on_run(self, running: bool) -> None:
        self.running = running and len(self.training.points) > 0
        self.next_step = time.perf_counter()
        self._begin_rate()

    def on_step(self) -> None:
        self.running = False
        self._learn()

    def on_reset(self, revision: int) -> None:
        self.revision = revision
        self.training.restart()
        self._begin_rate()

    def on_change(self, revision: int, settings: Settings, points: Points) -> None:
        self.revision = revision
        if settings.speed != self.training.settings.speed:
            self.next_step = time.perf_counter()
        self.training.change(settings, points)
        self.running = self.running and len(points) > 0
        self._begin_rate()

    def on_weights(self, request: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "weights.safetensors")
            self.training.model.save(path)
            self.connection.send(("answer", request, path.read_bytes()))

    def on_script(self, request: int) -> None:
        self.connection.send(("answer", request, script_of(self.training).encode()))

    def on_explore(self, request: int, index: int) -> None:
        page = self.training.backend.explore(self.training.graph_of(index))
        self.connection.send(("answer", request, page.html.encode()))

    # Steps

    def _step(self) -> None:
        now = time.perf_counter()
        if now < self.next_step:
            return
        speed = self.training.settings.speed
        # At full speed some steps in a row: to look for commands takes longer than a short step.
        until = now + (0.0 if speed else 0.002)
        while True:
            if not self._learn():
                return
            if speed:
                self.next_step = max(self.next_step + 1 / speed, time.perf_counter() - 0.1)
            if time.perf_counter() >= until:
                return

    def _learn(self) -> bool:
        """One step; False if it was broken off, or led nowhere."""
        try:
            loss = self._gradients()
        except BrokenOff:
            return False
        if loss is None:
            return False
        self.training.update(loss)
        self.rate_steps += 1
        return True

    def _gradients(self) -> float | None:
        """The loss of the next batch; None if it is no number, which ends the run."""
        self.breakable = True
        try:
            return self.training.gradients()
        except ArithmeticError as error:
            self.breakable = self.running = False
            text = (
                f"Training diverged at step {self.training.step + 1} ({error}). "
                "Choose a smaller learning rate and reset."
            )
            self.connection.send(("notice", text))
            return None
        finally:
            self.breakable = False

    def _begin_rate(self) -> None:
        self.rate_began, self.rate_steps, self.rate = time.perf_counter(), 0, 0.0

    # Frames

    def _something_to_show(self) -> bool:
        now = (self.revision, self.training.step)
        return (
            self.pictured != now
            or (not self.running and self.side < SIDES[-1])
            or self.judged != now
        )

    def _publish(self) -> None:
        began = time.perf_counter()
        self.next_frame = began + 1 / FRAMES_PER_SECOND
        if not self._something_to_show():
            return
        state = (self.revision, self.training.step)
        finest = not self.running and self.pictured == state
        side = SIDES[-1] if finest else self._affordable()
        # Diverging, numbers may be larger than those of 32 bits.
        with np.errstate(all="ignore"):
            layers = self.training.picture(side, lambda: finest and not self.commands.empty())
            if layers is None:
                return
            seconds = (time.perf_counter() - began) / side**2
            self.seconds_per_place += 0.3 * (seconds - self.seconds_per_place)
            if not self.running or time.perf_counter() >= self.next_judgement:
                self.loss, self.accuracy = self.training.judge()
                self.judged = state
                self.next_judgement = time.perf_counter() + SECONDS_BETWEEN_JUDGEMENTS
        self.pictured, self.side = state, side
        self.frame += 1
        if began - self.rate_began > 1.0:
            self.rate = self.rate_steps / (began - self.rate_began)
            self.rate_began, self.rate_steps = began, 0
        with np.errstate(all="ignore"):
            packed = self._packed(layers)
        self.connection.send(("frame", packed))

    def _affordable(self) -> int:
        """The finest grid that leaves training its share of the time."""
        places = SHARE_OF_PICTURES / FRAMES_PER_SECOND / self.seconds_per_place
        return max([side for side in SIDES if side**2 <= places], default=SIDES[0])

    def _packed(self, layers: list[np.ndarray]) -> bytes:
        """A header in JSON, and arrays one after the other: scores, parameters, losses, neurons."""
        training, curve = self.training, self.training.curve
        outputs = layers[-1].astype("<f4")
        stride = max(1, self.side // SIDE_OF_NEURONS)
        maps = [neuron_map(y, self.side, stride) for layer in layers[:-1] for y in layer]
        neurons = np.concatenate(maps) if maps else np.zeros(0, np.int8)
        parameters, losses = training.parameters().astype("<f4"), np.array(curve.means, "<f8")
        header = {
            "backend": training.settings.backend,
            "frame": self.frame,
            "revision": self.revision,
            "running": self.running,
            "step": training.step,
            "rate": self.rate,
            "loss": finite(self.loss),
            "accuracy": finite(self.accuracy),
            "side": self.side,
            "small": len(range(0, self.side, stride)),
            "sizes": [2, *training.settings.hidden, len(outputs)],
            "width": curve.width,
            "losses": len(losses),
        }
        text = json.dumps(header).encode()
        text += b" " * (-(len(text) + 4) % 8)  # arrays of numbers begin at multiples of their size
        return b"".join(
            [
                struct.pack("<I", len(text)),
                text,
                losses.tobytes(),
                outputs.tobytes(),
                parameters.tobytes(),
                neurons.tobytes(),
            ]
        )


def neuron_map(responses: np.ndarray, side: int, stride: int) -> np.ndarray:
    """The responses of a neuron in steps of 1/127 of the largest."""
    small = responses.reshape(side, side)[::stride, ::stride]
    largest = float(np.abs(small).max())
    if not 0 < largest < math.inf:
        return np.zeros(small.size, np.int8)
    return np.asarray(small / largest * 127, dtype=np.int8).ravel()


def finite(number: float) -> float | None:
    """JSON has no nan."""
    return number if math.isfinite(number) else None
