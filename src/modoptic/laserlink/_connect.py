"""From an address to a carrier."""

from __future__ import annotations

from modoptic.laserlink._address import MemoryAddress, parse_address
from modoptic.laserlink._carrier import HostCarrier, ModuleListener
from modoptic.laserlink._memory import MemoryHost, MemoryListener
from modoptic.laserlink._tcp import TcpHost, TcpListener


def listen(address: str) -> ModuleListener:
    """Wait for a phone at ``address``; raises `AddressError` if that cannot be."""
    parsed = parse_address(address)
    if isinstance(parsed, MemoryAddress):
        return MemoryListener(parsed)
    return TcpListener(parsed)


def connect(address: str) -> HostCarrier:
    """Connect to the module at ``address``.

    Raises
    ------
    OSError : nobody listens there
    AddressError : the address cannot be used
    """
    parsed = parse_address(address)
    if isinstance(parsed, MemoryAddress):
        return MemoryHost(parsed)
    return TcpHost(parsed)
