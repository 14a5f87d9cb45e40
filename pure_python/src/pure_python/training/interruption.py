"""Ctrl-C as a request: the step under way is finished, and what was learnt is kept."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interruption:
    """While entered, the first Ctrl-C sets `requested` instead of raising KeyboardInterrupt.

    A second one raises, except while `unbreakable` is set: in the middle of an update of the
    weights, and while files are written.
    """

    def __init__(self) -> None:
        self.requested = False
        self.unbreakable = False
        self._previous: Any = None
        self._installed = False

    def __enter__(self) -> Interruption:
        # Signals reach the main thread alone. A background job that ignores them goes on so.
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.getsignal(signal.SIGINT)
            if self._previous is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, self._receive)
                self._installed = True
        return self

    def __exit__(self, *exception: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._previous)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.requested and not self.unbreakable:
            raise KeyboardInterrupt
        self.requested = True
