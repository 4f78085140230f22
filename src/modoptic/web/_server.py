"""The server behind the viewfinder page."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from starlette.websockets import WebSocket

from modoptic.errors import AddressError, ModopticError
from modoptic.host.state import FinderFrame
from modoptic.web._access import AccessGuard
from modoptic.web._contracts import HandsLike, PhoneLike
from modoptic.web._figures import Draw, PageFigures
from modoptic.web._hands import HandsDesk
from modoptic.web._messages import state_text
from modoptic.web._photos import Photos, problem_response
from modoptic.web._viewers import Hub

STATIC = Path(__file__).parent / "static"
_PORTS_TRIED = 50
_MAX_MESSAGE = 16 * 1024
_MAX_CONNECTIONS = 128
_START_S = 15.0


class Server:
    """A running viewfinder server; made by `serve`.

    It runs in a thread of its own until `stop`; ``url`` is where the page is.
    """

    def __init__(
        self, phone: PhoneLike, hands: HandsLike | None, sock: socket.socket, host: str
    ) -> None:
        port: int = sock.getsockname()[1]
        shown = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self.url = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
        self.port = port
        self._phone = phone
        self._socket = sock
        self._hub = Hub(phone)
        if hands is not None:
            self._hub.hands = HandsDesk(hands, self._hub.hands_changed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        self._unsubscribe: list[Callable[[], object]] = []
        self._uvicorn = uvicorn.Server(self._config(host))
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Begin to serve; returns when the page can be opened."""
        self._thread.start()
        if not self._started.wait(_START_S):
            self.stop()
            raise AddressError(f"the server at {self.url} did not start within {_START_S:g} s")
        if not self._uvicorn.started:
            raise AddressError(f"the server at {self.url} did not start; the log says why")

    def wait(self) -> None:
        """Block until the server is stopped (Ctrl-C gets through)."""
        self._ended.wait()

    def stop(self) -> None:
        """Close all connections and give the port back. Safe to call twice, from any thread."""
        self._uvicorn.should_exit = True
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            self._thread.join(5.0)
        self._ended.set()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def viewers(self) -> int:
        """How many pages are connected now."""
        return self._hub.viewers

    def figures(self) -> PageFigures:
        """Readout-end to drawn, over the finder frames that pages drew since `reset_figures`."""
        return self._hub.book.figures()

    def draws(self) -> list[Draw]:
        """Every frame that pages drew since `reset_figures` (the last 8192), oldest first."""
        return self._hub.book.draws()

    def reset_figures(self) -> None:
        """Forget what was measured so far."""
        self._hub.book.reset()

    def hands_changed(self) -> None:
        """The hands moved by other means than a page (a script); pages are told."""
        if (desk := self._hub.hands) is not None and (loop := self._loop) is not None:
            asyncio.run_coroutine_threadsafe(desk.refresh(), loop)

    def _config(self, host: str) -> uvicorn.Config:
        async def problem(request: Request, error: Exception) -> Response:
            return problem_response(request, error)

        kinds = (ModopticError, KeyError, OSError, ValueError, Exception)
        handlers: dict[Any, Any] = dict.fromkeys(kinds, problem)
        app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/api/state", self._state),
                WebSocketRoute("/ws", self._websocket),
                *Photos(self._phone.gallery).routes(),
                Mount("/static", _Static(directory=STATIC)),
            ],
            middleware=[Middleware(AccessGuard, host=host)],
            exception_handlers=handlers,
            lifespan=self._lifespan,
        )
        return uvicorn.Config(
            app,
            ws="websockets-sansio",
            ws_per_message_deflate=False,  # JPEGs do not get smaller
            ws_max_size=_MAX_MESSAGE,
            ws_max_queue=64,
            ws_ping_interval=5.0,
            ws_ping_timeout=10.0,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=1,
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="warning",
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncGenerator[None]:
        loop = self._loop = asyncio.get_running_loop()
        hub = self._hub

        def picture(frame: FinderFrame) -> None:
            with contextlib.suppress(RuntimeError):  # the loop ended while the phone goes on
                loop.call_soon_threadsafe(hub.offer, frame)

        def changed(*_: object) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(hub.state_changed)

        for ask, callback in ((self._phone.on_finder, picture), (self._phone.subscribe, changed)):
            undo = ask(callback)
            if callable(undo):
                self._unsubscribe.append(undo)
        yield
        for undo in self._unsubscribe:
            undo()
        hub.close()

    def _run(self) -> None:
        async def main() -> None:
            serving = asyncio.create_task(self._uvicorn.serve(sockets=[self._socket]))
            while not self._uvicorn.started and not serving.done():
                await asyncio.sleep(0.005)
            self._started.set()
            await serving

        try:
            asyncio.run(main())
        finally:
            self._socket.close()
            self._started.set()
            self._ended.set()

    async def _page(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def _state(self, request: Request) -> Response:
        state = state_text(self._phone.state(), hands=self._hub.hands is not None)
        return Response(state, media_type="application/json", headers={"cache-control": "no-store"})

    async def _websocket(self, socket: WebSocket) -> None:
        await socket.accept()
        await self._hub.serve(socket)


class _Static(StaticFiles):
    """The page's own files: always asked for again, so that an update shows at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


def serve(
    phone: PhoneLike,
    *,
    hands: HandsLike | None = None,
    host: str = "127.0.0.1",
    port: int = 8035,
    port_asked: bool = False,
    on_ready: Callable[[str], object] | None = None,
) -> Server:
    """Serve the viewfinder page of ``phone``; returns the running `Server`.

    Parameters
    ----------
    hands : moves the module's twin; None where the module is real, and the page hides them
    host : where to listen; loopback unless the user asked for more
    port : 0 lets the system choose
    port_asked : the user named this port, so no other will do; else the next free one is taken
    on_ready : called once with the address of the page, when it can be opened

    Raises
    ------
    AddressError : the port is taken, or the address does not belong to this machine
    """
    sock = _bind(host, port, tries=1 if port_asked or port == 0 else _PORTS_TRIED)
    server = Server(phone, hands, sock, host)
    server.start()
    if on_ready is not None:
        on_ready(server.url)
    return server


def _bind(host: str, port: int, *, tries: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + tries, 65536)):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, candidate))
            sock.listen(128)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise AddressError(
                f"cannot listen on {host} port {candidate}: {error.strerror}. Choose an address "
                "of this machine with --listen, and a port above 1023 with --port"
            ) from error
        sock.setblocking(False)
        return sock
    if tries == 1:
        raise AddressError(
            f"port {port} of {host} is taken by another program; choose another with --port, "
            "or leave it out and the next free one is used"
        )
    raise AddressError(
        f"ports {port} to {port + tries - 1} of {host} are all taken; name one with --port"
    )
