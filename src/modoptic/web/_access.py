"""Who may speak to the server, and what browsers are told to refuse.

A page elsewhere can make a browser connect here, and a foreign name can be pointed at this
address (DNS rebinding). So the ``Host`` must be an address or a name of this machine, and a
browser's ``Origin`` must be this very server.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE_METHODS = frozenset({"GET", "HEAD"})


class AccessGuard:
    """ASGI middleware: refuses foreign hosts, origins and bodies, adds security headers."""

    def __init__(self, app: ASGIApp, *, host: str) -> None:
        self._app = app
        self._host = host
        self._loopback = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        host = headers.get("host", "")
        problem = self._problem(scope, host, headers)
        if problem:
            await _refuse(scope, send, problem)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *security_headers(host)]
            await send(message)

        await self._app(scope, receive, guarded)

    def _problem(self, scope: Scope, host: str, headers: Mapping[str, str]) -> str:
        if not host_allowed(host, self._host, loopback=self._loopback):
            return "unknown host name; use the address that modoptic printed"
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if changes and origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "pages of other origins may not control the camera"
        if changes and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "pages of other origins may not control the camera"
        if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
            return "requests here have no body"
        return ""


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_allowed(header: str, bound: str, *, loopback: bool) -> bool:
    """Whether a ``Host`` header is an address, or a name that belongs to this machine.

    A rebinding attack needs a name of the attacker's, so any bare address is safe where the
    server was asked to listen beyond loopback.
    """
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:
        return False
    if not name:
        return False
    if name == "localhost":
        return True
    if loopback:
        return is_loopback(name)
    own = socket.gethostname().lower()
    if name in (bound.lower(), own, f"{own}.local"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def security_headers(host: str) -> list[tuple[bytes, bytes]]:
    """Nothing but our own files runs or is shown, and nobody else may frame or read them."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        f"connect-src 'self' ws://{host} wss://{host}; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return [
        (b"content-security-policy", policy.encode("latin-1")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    ]


async def _refuse(scope: Scope, send: Send, problem: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": problem})
        return
    body = problem.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
