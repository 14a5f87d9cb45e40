"""`python -m BACKEND playground`: the options, and the server from its first to its last moment."""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
import threading
import webbrowser
from collections.abc import Sequence

import uvicorn

from .messages import MOST_BYTES
from .server import Playground, new_token


def run(backend: str, args: Sequence[str]) -> int:
    """Serve the page until it is closed or Ctrl-C is pressed; the exit code."""
    try:
        options = parser(backend).parse_args(list(args))
    except SystemExit as end:  # argparse has printed help, or what is wrong
        return int(end.code or 0)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port in the last moments of its last use is free; on Windows this would share any port.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, sys.platform != "win32")
        listening.bind(("127.0.0.1", options.port))
        listening.listen()  # so that a browser that is quicker than the server waits
    except OSError as error:
        listening.close()
        return _failed(
            f"--port {options.port}: {error.strerror or error}; leave it out for a free one"
        )
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
    with contextlib.suppress(KeyboardInterrupt):  # the ordinary way to end it
        print(f"The playground is at {address}", flush=True)
        print("It ends when its page is closed, or with Ctrl-C.", flush=True)
        if options.open:
            # A browser that starts may keep this waiting.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server.run(sockets=[listening])
    return 0


def parser(backend: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {backend} playground",
        description="Open a page on this machine in which a network trains live.",
    )
    parser.add_argument(
        "--port",
        type=port_number,
        default=0,
        help="where the page is served [default: a free port]",
    )
    parser.add_argument(
        "--no-open",
        dest="open",
        action="store_false",
        help="print the address and open no browser",
    )
    return parser


def port_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no port: 0 to 65535 is expected")
    return int(text)


def _failed(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2
