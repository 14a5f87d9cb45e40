"""A playground as a person starts it, in a process of its own, and a page that is no browser."""

import contextlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

LINUX = Path("/proc/self/stat").exists()
# Seconds within which anything happens, however busy the machine is. What is quick waits no longer.
PATIENCE = 120.0


@dataclass
class Playground:
    """A running `python -m BACKEND playground`."""

    process: subprocess.Popen
    url: str
    descendants_seen: set = field(default_factory=set)

    @property
    def origin(self) -> str:
        return self.url.rsplit("/", 2)[0]

    @property
    def token(self) -> str:
        return self.url.rsplit("/", 2)[1]

    def get(self, path: str = "", headers=None, url=None) -> tuple[int, dict, bytes]:
        """The status, the headers and the body of an answer."""
        try:
            with urlopen(
                Request((url or self.url) + path, headers=headers or {}), timeout=PATIENCE
            ) as a:
                return a.status, dict(a.headers), a.read()
        except HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def note_processes(self) -> set[int]:
        """The processes that have come from this one, by their ids."""
        self.descendants_seen |= descendants(self.process.pid)
        return set(self.descendants_seen)

    def remaining(self) -> set[int]:
        """Those of the noted processes that do not end."""
        end = time.monotonic() + PATIENCE
        while True:
            left = {pid for pid in self.descendants_seen if alive(pid)}
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.05)


@contextlib.contextmanager
def started(backend: str, browser: Path | None = None):
    """With a program that it opens its page with, or without."""
    command = [sys.executable, "-m", backend, "playground", *([] if browser else ["--no-open"])]
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONSAFEPATH": "1"} | ({"BROWSER": str(browser)} if browser else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests may ignore Ctrl-C, and a child inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)
        assert found, f"no address: {line!r} {process.stderr.read() if not line else ''}"
        yield Playground(process, found[0])
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()


def descendants(pid: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, new = set(), [pid]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found |= set(new)
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Page:
    """What the page's script does, without a browser: it shows every frame at once."""

    def __init__(self, playground: Playground) -> None:
        from websockets.sync.client import connect

        address = playground.url.replace("http", "ws", 1) + "socket"
        self.connection = connect(
            address, origin=playground.origin, max_size=None, open_timeout=PATIENCE
        )
        self.state: dict = {}
        self.hello: dict = {}
        self.points: dict = {}
        self.frames: dict[str, dict] = {}
        self.errors: list[str] = []
        self.answers: list[dict] = []

    def __enter__(self):
        self.socket = self.connection.__enter__()
        self.until(lambda: self.points)
        return self

    def __exit__(self, *exception):
        self.connection.__exit__(*exception)

    def say(self, type: str, **fields) -> None:
        self.socket.send(json.dumps({"type": type} | fields))

    def hear(self, timeout: float = PATIENCE) -> None:
        """Take in one message."""
        message = self.socket.recv(timeout)
        if isinstance(message, bytes):
            (length,) = struct.unpack_from("<I", message)
            header = json.loads(message[4 : 4 + length])
            self.frames[header["backend"]] = header
            self.say("shown", backend=header["backend"], frame=header["frame"])
            return
        message = json.loads(message)
        match message["type"]:
            case "error":
                self.errors.append(message["message"])
            case "state" | "hello" | "points" as kind:
                setattr(self, kind, message)
            case _:
                self.answers.append(message)

    def until(self, condition):
        """Take in messages until the condition holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"not within {PATIENCE:.0f} s; errors: {self.errors}"
            with contextlib.suppress(TimeoutError):
                self.hear(0.5)
        return condition()

    def frame(self, backend: str | None = None) -> dict:
        """The newest frame of the settings as they are now."""
        name = backend or self.state["settings"]["backend"]

        def current():
            found = self.frames.get(name)
            return found if found and found["revision"] == self.state["revision"] else None

        return self.until(current)

    def change(self, **changes) -> dict:
        """Change settings and wait until they are in the state."""
        before = self.state["revision"]
        self.say("settings", changes=changes)
        self.until(lambda: self.state["revision"] > before)
        return self.state["settings"]

    def refused(self, text: str) -> str:
        """The sentence that answers a message that is none."""
        before = len(self.errors)
        self.socket.send(text)
        self.until(lambda: len(self.errors) > before)
        return self.errors[-1]
