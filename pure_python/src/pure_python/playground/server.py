"""Who may see the page and talk to what is behind it."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import count
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from pure_python.training.errors import InputError

from . import messages
from .messages import Refused
from .session import Session
from .settings import CHOICES, Settings

STATIC = Path(__file__).parent / "static"
# Pages open at once, each with processes of its own.
MOST_PAGES = 4
# A page that is loaded anew is gone for a moment.
SECONDS_WITHOUT_A_PAGE = 3.0
# Of what is sent to it, a page that does not read may leave so much.
MOST_UNSENT = 1000

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# A page of `explore` has its script and its style in it, and reaches nothing.
HEADERS_OF_EXPLORE = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'self'; "
    "sandbox allow-scripts allow-downloads",
}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Guard:
    """Lets through what comes from the page itself: from this machine, with the token in its path.

    Host is checked because a foreign name can be made to lead to 127.0.0.1, Origin because any page
    that is open in the browser can open a WebSocket to it.
    """

    def __init__(self, app: Any, port: int, token: str) -> None:
        self.app = app
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.origins = {f"http://{host}" for host in self.hosts}
        self.path = f"/{token}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self.admits(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403})  # before it is accepted: 403
        else:
            refusal = PlainTextResponse(
                "Open the address that the playground has printed.\n", 403, HEADERS
            )
            await refusal(scope, receive, send)

    def admits(self, scope: Scope) -> bool:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        host, origin = headers.get("host", []), headers.get("origin", [])
        if len(host) != 1 or host[0] not in self.hosts:
            return False
        if scope["type"] == "websocket" or origin:
            if origin != [f"http://{host[0]}"]:
                return False
        path = scope["path"][: len(self.path)]
        return secrets.compare_digest(path.encode(), self.path.encode())


class Playground:
    """The application: pages, their sessions, and what they ask for besides messages."""

    def __init__(self, backend: str, port: int, token: str, on_end: Callable[[], None]) -> None:
        self.settings = Settings(backend=backend)
        self.token = token
        self.on_end = on_end
        self.sessions: dict[int, Session] = {}
        self.numbers = count()
        self.explored: dict[tuple[int, int], bytes] = {}
        self.ending: asyncio.TimerHandle | None = None
        routes = [
            Route("/{session:int}/weights.safetensors", self.weights),
            Route("/{session:int}/playground.py", self.script),
            Route("/{session:int}/explore/{page:int}", self.explore),
            WebSocketRoute("/socket", self.socket),
            Mount("/", StaticFiles(directory=STATIC, html=True)),
        ]
        self.app = Guard(
            WithHeaders(Starlette(routes=[Mount(f"/{token}", routes=routes)])), port, token
        )

    # One page

    async def socket(self, websocket: WebSocket) -> None:
        try:
            await websocket.accept()
            if len(self.sessions) >= MOST_PAGES:
                text = f"There are {MOST_PAGES} pages open; close one of them."
                await websocket.send_text(json.dumps({"type": "error", "message": text}))
                await websocket.close()
                return
        except (WebSocketDisconnect, RuntimeError, OSError):
            return  # the page is gone already
        self._keep_going()
        outbox = Outbox(websocket)
        number = next(self.numbers)
        session = Session(self.settings, outbox.put)
        self.sessions[number] = session
        sending = asyncio.create_task(outbox.deliver())
        try:
            choices = {"activation": CHOICES["activation"], "backend": session.installed}
            outbox.put({"type": "hello", "session": number, "choices": choices})
            session.tell_state()
            await self._converse(websocket, number, session, outbox)
        finally:
            sending.cancel()
            del self.sessions[number]
            for key in [key for key in self.explored if key[0] == number]:
                del self.explored[key]
            session.refuse_answers("the page is closed")
            await asyncio.to_thread(session.end)
            if not self.sessions:
                self._keep_going()
                loop = asyncio.get_running_loop()
                self.ending = loop.call_later(SECONDS_WITHOUT_A_PAGE, self.on_end)

    def _keep_going(self) -> None:
        if self.ending is not None:
            self.ending.cancel()

    async def _converse(
        self, websocket: WebSocket, number: int, session: Session, outbox: Outbox
    ) -> None:
        while True:
            event = await websocket.receive()
            if event["type"] == "websocket.disconnect":
                return
            try:
                message = messages.read(event.get("text") or event.get("bytes") or "")
                if message["type"] == "explore":
                    await self._explore(number, session, outbox, message)
                else:
                    session.obey(message)
            except (Refused, InputError) as error:
                outbox.put({"type": "error", "message": str(error)})
            await outbox.not_too_full()

    async def _explore(
        self, number: int, session: Session, outbox: Outbox, message: dict[str, Any]
    ) -> None:
        if message["data"] != session.data or message["index"] >= len(session.points):
            raise Refused("the points are others by now")
        page = await session.ask("explore", message["index"])
        # One a page is kept: the dialog shows one.
        for key in [key for key in self.explored if key[0] == number]:
            del self.explored[key]
        key = number, next(self.numbers)
        self.explored[key] = page
        outbox.put({"type": "explored", "address": f"{number}/explore/{key[1]}"})

    # Files

    def _session(self, request: Request) -> Session | None:
        return self.sessions.get(request.path_params["session"])

    async def weights(self, request: Request) -> Response:
        return await self._file(request, "weights", "application/octet-stream")

    async def script(self, request: Request) -> Response:
        return await self._file(request, "script", "text/x-python; charset=utf-8")

    async def _file(self, request: Request, command: str, media_type: str) -> Response:
        session = self._session(request)
        if session is None:
            return PlainTextResponse("The page of this is closed.\n", 404)
        try:
            content = await session.ask(command)
        except InputError as error:
            return PlainTextResponse(f"{error}\n", 503)
        name = request.url.path.rpartition("/")[2]
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, 200, disposition, media_type)

    async def explore(self, request: Request) -> Response:
        key = request.path_params["session"], request.path_params["page"]
        if key not in self.explored:
            return PlainTextResponse("This graph is not kept any more.\n", 404)
        return Response(self.explored[key], 200, HEADERS_OF_EXPLORE, "text/html")


class WithHeaders:
    """Puts HEADERS on every answer that does not have its own."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(event: MutableMapping[str, Any]) -> None:
            if event["type"] == "http.response.start":
                there = {name for name, _ in event["headers"]}
                event["headers"] = [
                    *event["headers"],
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in HEADERS.items()
                        if name.lower().encode() not in there
                    ),
                ]
            await send(event)

        await self.app(scope, receive, send_with_headers)


class Outbox:
    """What is to be sent to a page, in order."""

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self.closed = False
        self.waiting: asyncio.Queue[dict[str, Any] | bytes] = asyncio.Queue()

    def put(self, content: dict[str, Any] | bytes) -> None:
        # A trainer sends its next frame when the page has shown the last but one, so few wait here.
        self.waiting.put_nowait(content)

    async def deliver(self) -> None:
        try:
            while True:
                content = await self.waiting.get()
                if isinstance(content, bytes):
                    await self.websocket.send_bytes(content)
                else:
                    await self.websocket.send_text(json.dumps(content))
        except (WebSocketDisconnect, RuntimeError):
            self.closed = True  # which the conversation notices too

    async def not_too_full(self) -> None:
        """Wait until a page that floods the server with messages reads its answers."""
        while self.waiting.qsize() > MOST_UNSENT and not self.closed:
            await asyncio.sleep(0.01)


def new_token() -> str:
    return secrets.token_urlsafe(24)
