"""What one open page has running: its settings, its points, and a process for each network."""

from __future__ import annotations

import asyncio
import importlib.util
import multiprocessing
import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from pure_python.training.errors import InputError

from . import points as samples
from . import trainer
from .messages import Refused
from .points import Points, Upload
from .settings import BACKENDS, OF_THE_POINTS, Settings

SECONDS_FOR_AN_ANSWER = 60.0
# spawn: a fork of a process with threads may never come to life.
PROCESSES = multiprocessing.get_context("spawn")


def installed_backends() -> tuple[str, ...]:
    return tuple(name for name in BACKENDS if importlib.util.find_spec(name) is not None)


class Process:
    """A trainer, seen from the server. `receive` is called in the server's loop with what it says."""

    def __init__(
        self, settings: Settings, points: Points, receive: Callable[[Process, Any], None]
    ) -> None:
        self.connection, theirs = PROCESSES.Pipe()
        # daemon: ended when the server ends, whatever becomes of the session.
        self.process = PROCESSES.Process(
            target=trainer.main, args=(theirs, settings, points), daemon=True
        )
        self.process.start()
        theirs.close()
        self.listener = threading.Thread(
            target=listen,
            args=(self.connection, asyncio.get_running_loop(), partial(receive, self)),
            daemon=True,
        )
        self.listener.start()

    def tell(self, command: str, *arguments: Any) -> None:
        try:
            self.connection.send((command, arguments))
        except OSError:
            pass  # it has ended, which its listener tells

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.listener.join()  # it hears the end of the pipe, and lets go of it
        self.connection.close()


def listen(
    connection: Connection, loop: asyncio.AbstractEventLoop, receive: Callable[[Any], None]
) -> None:
    """Pass on what a trainer says, in a thread: waiting for a pipe would hold the server up."""
    said: Any = ()
    while said is not None:
        try:
            said = connection.recv()
        except (EOFError, OSError):
            said = None
        loop.call_soon_threadsafe(receive, said)


class Session:
    """The state behind one page. Messages change it, and `send` tells the page what has become.

    A message that cannot be followed raises Refused or InputError and has changed nothing.
    """

    def __init__(self, settings: Settings, send: Callable[[dict[str, Any] | bytes], None]) -> None:
        self.settings = settings
        self.send = send
        self.installed = installed_backends()
        self.points = self._generated(settings)
        self.data = 0  # the number of the points: a new one when they are others altogether
        self.upload: Upload | None = None
        self.target = ""  # the column of the upload that holds the class
        self.told = -1  # the number of the points that the page was sent last
        self.running = self.comparing = False
        self.revision = 0
        self.processes: dict[str, Process] = {}
        self.answers: dict[int, asyncio.Future[bytes]] = {}
        self.requests = count()
        self._start(settings.backend)

    def _start(self, backend: str) -> None:
        settings = self.settings.changed({"backend": backend})
        self.processes[backend] = Process(settings, self.points, self._receive)
        self.processes[backend].tell("change", self.revision, settings, self.points)

    def end(self) -> None:
        """End every process of this page."""
        processes, self.processes = self.processes, {}
        for process in processes.values():
            process.end()

    # From the trainers

    def _receive(self, process: Process, said: Any) -> None:
        backend = next((name for name, p in self.processes.items() if p is process), None)
        if backend is None:
            return  # it was ended meanwhile
        if said is None:
            # Killed from outside, or out of memory.
            self.processes.pop(backend).end()
            self._stop()
            self.refuse_answers("the process that trains has ended")
            self._start(backend)
            self.send(
                {
                    "type": "error",
                    "message": f"The process of {backend} has ended; a new one begins.",
                }
            )
            self.tell_state()
            return
        kind, *content = said
        if kind == "frame":
            self.send(content[0])
        elif kind == "notice":
            self._stop()
            self.send({"type": "error", "message": content[0]})
            self.tell_state()
        else:
            request, answer = content
            future = self.answers.pop(request, None)
            if future is not None and not future.done():  # else nobody waits for it any more
                future.set_result(answer)

    def _stop(self) -> None:
        """Stop all, those too that have not met what one of them did, or were told to go on since."""
        self.running = False
        self._tell_all("run", False)

    def refuse_answers(self, why: str) -> None:
        """InputError to all who wait for an answer."""
        for answer in self.answers.values():
            if not answer.done():
                answer.set_exception(InputError(why))

    async def ask(self, command: str, *arguments: Any) -> bytes:
        """What the trainer of the chosen backend answers. InputError if it does not."""
        request = next(self.requests)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.answers[request] = future
        self.processes[self.settings.backend].tell(command, request, *arguments)
        try:
            async with asyncio.timeout(SECONDS_FOR_AN_ANSWER):
                return await future
        except TimeoutError:
            raise InputError("the network did not answer in time") from None
        finally:
            self.answers.pop(request, None)

    # From the page

    def obey(self, message: dict[str, Any]) -> None:
        """Follow a message that `messages.read` has let through."""
        arguments = {name: x for name, x in message.items() if name != "type"}
        if "class" in arguments:
            arguments["target"] = arguments.pop("class")
        getattr(self, f"on_{message['type']}")(**arguments)

    def on_shown(self, backend: str, frame: int) -> None:
        # A process keeps counting its frames when it takes another backend.
        process = self.processes.get(backend) or self.processes[self.settings.backend]
        process.tell("shown", frame)

    def on_run(self, running: bool) -> None:
        if running and not len(self.points):
            raise Refused("there are no points to learn from: click into the plane to add some")
        self.running = running
        self._tell_all("run", running)
        self.tell_state()

    def on_step(self) -> None:
        if not len(self.points):
            raise Refused("there are no points to learn from: click into the plane to add some")
        self.running = False
        self._tell_all("step")
        self.tell_state()

    def on_reset(self) -> None:
        self.revision += 1
        self._tell_all("reset", self.revision)
        self.tell_state()

    def on_settings(self, changes: dict[str, Any]) -> None:
        settings = self.settings.changed(changes)
        if settings.backend not in self.installed:
            raise Refused(f"{settings.backend} is not installed")
        if any(getattr(settings, name) != getattr(self.settings, name) for name in OF_THE_POINTS):
            self._regenerate(settings, "dataset" in changes)
        before, self.settings = self.settings.backend, settings
        if not self.comparing and before != settings.backend:
            self.processes[settings.backend] = self.processes.pop(before)
        self._tell_changes()

    def _regenerate(self, settings: Settings, chosen: bool) -> None:
        """The points of these settings. Those of one's own stay, unless an empty plane is asked for."""
        if settings.dataset != "own":
            self.points = self._generated(settings)
        elif chosen:
            self.points = samples.nothing()
        else:
            return
        self.data += 1
        self.upload = None

    def _generated(self, s: Settings) -> Points:
        return samples.generated(s.dataset, s.samples, s.noise, s.classes, s.seed)

    def on_compare(self, on: bool) -> None:
        if on == self.comparing:
            return
        if on and len(self.installed) < 2:
            raise Refused("there is one backend alone: install another to compare with")
        self.comparing, self.running = on, False
        for backend in [*self.processes]:
            if backend != self.settings.backend:
                self.processes.pop(backend).end()
        if on:
            # Side by side, each as fast as it can, from the same seed.
            self.settings = self.settings.changed({"speed": 0})
            for backend in self.installed:
                if backend not in self.processes:
                    self._start(backend)
        self._tell_all("run", False)
        self._tell_changes()
        self.on_reset()

    def on_add(self, data: int, x: float, y: float, target: int) -> None:
        self._check(data)
        self._edited(self.points.added(x, y, target))

    def on_move(self, data: int, index: int, x: float, y: float) -> None:
        self._check(data)
        self._edited(self.points.moved(index, x, y))

    def on_recolour(self, data: int, index: int, target: int) -> None:
        self._check(data)
        self._edited(self.points.recoloured(index, target))

    def on_delete(self, data: int, index: int) -> None:
        self._check(data)
        self._edited(self.points.deleted(index))

    def _check(self, data: int) -> None:
        if data != self.data:
            raise Refused("the points are others by now")

    def _edited(self, points: Points) -> None:
        """The page has made the same change, so it is not sent its points anew."""
        self.points = points
        self.settings = self.settings.changed({"dataset": "own"})
        self._tell_changes()

    def on_csv(self, name: str, content: bytes) -> None:
        upload = Upload.read(name, content)
        self._use(upload, upload.likely_columns())

    def on_columns(self, x: str, y: str, target: str) -> None:
        if self.upload is None:
            raise Refused("there is no CSV file whose columns could be chosen")
        self._use(self.upload, (x, y, target))

    def _use(self, upload: Upload, columns: tuple[str, str, str]) -> None:
        points = upload.points(*columns)
        self.upload, self.points, self.data = upload, points, self.data + 1
        self.target = columns[2]
        self.settings = self.settings.changed({"dataset": "own"})
        self._tell_changes()

    def _tell_changes(self) -> None:
        self.revision += 1
        self.running = self.running and len(self.points) > 0
        for backend, process in self.processes.items():
            settings = self.settings.changed({"backend": backend})
            process.tell("change", self.revision, settings, self.points)
        self.tell_state()

    def _tell_all(self, command: str, *arguments: Any) -> None:
        for process in self.processes.values():
            process.tell(command, *arguments)

    # To the page

    def tell_state(self) -> None:
        self.send(
            {
                "type": "state",
                "revision": self.revision,
                "settings": self.settings.as_json(),
                "running": self.running,
                "comparing": self.comparing,
                "data": self.data,
                "count": len(self.points),
            }
        )
        self._tell_points()

    def _tell_points(self) -> None:
        """The points, where the page cannot have them."""
        if self.told == self.data:
            return
        self.told = self.data
        points, upload = self.points, self.upload
        self.send(
            {
                "type": "points",
                "data": self.data,
                "points": [
                    [x, y, int(k)]
                    for (x, y), k in zip(points.inputs.tolist(), points.targets, strict=True)
                ],
                "classes": points.classes,
                "axes": points.axes,
                "ranges": points.ranges,
                "columns": None
                if upload is None
                else {
                    "name": upload.table.path,
                    "rows": len(upload.table.rows),
                    "all": upload.table.columns,
                    "numeric": upload.numeric,
                    "target": self.target,
                },
            }
        )
