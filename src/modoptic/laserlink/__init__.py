"""The link between module and phone: packets, messages, both ends' machines, carriers.

The specification is ``docs/spec/laserlink.md``. The phone uses `HostEnd`; the module's end runs in
`modoptic.module`.
"""

from modoptic.laserlink._address import MemoryAddress, TcpAddress, parse_address
from modoptic.laserlink._buffers import (
    StillBuffer,
    fill_pages,
    finder_bytes,
    map_still,
    plain_memory,
)
from modoptic.laserlink._carrier import HangUp, ModuleCarrier, ModuleListener, Wake, wait
from modoptic.laserlink._connect import connect, listen
from modoptic.laserlink._dock import Dock, Signal, SignalKind
from modoptic.laserlink._faults import LineFaults
from modoptic.laserlink._features import FEATURES, Feature, features_of
from modoptic.laserlink._host_end import HostEnd
from modoptic.laserlink._host_machine import HostListener, HostMachine
from modoptic.laserlink._manifest import (
    Manifest,
    ManifestStore,
    decode_manifest,
    encode_manifest,
    manifest_digest,
)
from modoptic.laserlink._module_machine import (
    Check,
    Free,
    Job,
    ModuleMachine,
    MoveLens,
    Order,
    Prepare,
)
from modoptic.laserlink._packets import (
    HEADER_BYTES,
    MAX_PAYLOAD,
    Header,
    PacketReader,
    checksum,
    pack_header,
    parse_header,
)
from modoptic.laserlink._send import Line, Outgoing, Packet

__all__ = [
    "FEATURES",
    "HEADER_BYTES",
    "MAX_PAYLOAD",
    "Check",
    "Dock",
    "Feature",
    "Free",
    "HangUp",
    "Header",
    "HostEnd",
    "HostListener",
    "HostMachine",
    "Job",
    "Line",
    "LineFaults",
    "Manifest",
    "ManifestStore",
    "MemoryAddress",
    "ModuleCarrier",
    "ModuleListener",
    "ModuleMachine",
    "MoveLens",
    "Order",
    "Outgoing",
    "Packet",
    "PacketReader",
    "Prepare",
    "Signal",
    "SignalKind",
    "StillBuffer",
    "TcpAddress",
    "Wake",
    "checksum",
    "connect",
    "decode_manifest",
    "encode_manifest",
    "features_of",
    "fill_pages",
    "finder_bytes",
    "listen",
    "manifest_digest",
    "map_still",
    "pack_header",
    "parse_address",
    "parse_header",
    "plain_memory",
    "wait",
]
