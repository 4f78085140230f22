"""Addresses of the link: ``memory:/path.sock`` and ``tcp://host:port``."""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from modoptic.errors import AddressError

DEFAULT_PORT: Final = 8036
_MAX_PATH: Final = 107  # sun_path of Linux, less the closing zero


class MemoryAddress(NamedTuple):
    path: str

    def __str__(self) -> str:
        return f"memory:{self.path}"


class TcpAddress(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


def parse_address(address: str) -> MemoryAddress | TcpAddress:
    """What ``address`` names.

    Raises
    ------
    AddressError : no address, of an unknown carrier, or of another machine
    """
    if address.startswith("memory:"):
        path = address.removeprefix("memory:")
        if not path.startswith("/"):
            raise AddressError(f"{address}: expected memory: and an absolute path of a socket")
        if len(path.encode()) > _MAX_PATH:
            raise AddressError(
                f"{address}: the path is longer than {_MAX_PATH} bytes; choose a shorter folder"
            )
        return MemoryAddress(path)
    if address.startswith("tcp://"):
        return _tcp(address)
    raise AddressError(f"{address}: expected memory:/path.sock or tcp://127.0.0.1:{DEFAULT_PORT}")


def _tcp(address: str) -> TcpAddress:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(
            f"{address}: {error}; expected tcp://127.0.0.1:{DEFAULT_PORT}"
        ) from error
    if not host or parts.path not in ("", "/"):
        raise AddressError(f"{address}: expected tcp://127.0.0.1:{DEFAULT_PORT}")
    host = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise AddressError(
            f"{address}: only addresses of this machine are allowed (127.0.0.1, ::1, "
            "localhost), because this version neither proves who is at the other end nor seals the "
            "pictures; to reach "
            f"another machine use an ssh tunnel to tcp://127.0.0.1:{DEFAULT_PORT}"
        )
    return TcpAddress(host, DEFAULT_PORT if port is None else port)
