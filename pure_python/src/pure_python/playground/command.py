"""What `python -m BACKEND playground` does: the server from its first to its last moment."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import warnings
import webbrowser

import uvicorn

from pure_python.training.errors import InputError

from .messages import MOST_BYTES
from .server import Playground, new_token


def serve(backend: str, port: int, opens: bool) -> None:
    """Serve the page until it is closed or Ctrl-C is pressed.

    port: 0 for a free one; opens: whether a browser is opened. InputError if the port cannot be had.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port in the last moments of its last use is free; on Windows this would share any port.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, sys.platform != "win32")
        listening.bind(("127.0.0.1", port))
        listening.listen()  # so that a browser that is quicker than the server waits
    except OSError as error:
        listening.close()
        raise InputError(
            f"--port {port}: {error.strerror or error}; leave it out for a free one"
        ) from None
    port, token = listening.getsockname()[1], new_token()
    address = f"http://127.0.0.1:{port}/{token}/"
    server: uvicorn.Server
    playground = Playground(backend, port, token, lambda: setattr(server, "should_exit", True))
    server = uvicorn.Server(
        uvicorn.Config(
            playground.app,
            # The other implementation is deprecated by websockets, and copies frames.
            ws="websockets-sansio",
            ws_max_size=MOST_BYTES,
            ws_ping_interval=None,  # to a page on the same machine a connection does not get lost
            ws_per_message_deflate=False,  # frames go no further than this machine
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,  # for the processes of pages to end on a busy machine
        )
    )
    with warnings.catch_warnings(), contextlib.closing(listening):
        # Ctrl-C may come when uvicorn has made its coroutine and not begun it.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        try:
            print(f"The playground is at {address}", flush=True)
            print("It ends when its page is closed, or with Ctrl-C.", flush=True)
            if opens:
                # A browser that starts may keep this waiting.
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
            server.run(sockets=[listening])
        except KeyboardInterrupt:  # the ordinary way to end it
            if sys.stdout.isatty():
                print()  # the end of the line in which the terminal shows ^C
