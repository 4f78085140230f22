"""What the phone and its developer process say to each other, and how.

Messages are MessagePack maps with a tag, each after its length (4 bytes, little endian), over a
Unix stream socket; the raw of a still goes beside its job as a file descriptor.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from typing import Literal

import msgspec

from modoptic.calibration import Calibration


class DevelopJob(msgspec.Struct, frozen=True, kw_only=True, tag="develop"):
    """Turn the raw in the descriptor that comes along into files. Its rows arrive later."""

    job: int
    name: str
    meta: bytes
    """`encode_meta` of the frame."""
    calibration: Calibration | None
    folder: str
    save_dng: bool
    dng_compression: Literal["jpeg", "jpegxl"]


class Rows(msgspec.Struct, frozen=True, kw_only=True, tag="rows"):
    """The first ``rows`` rows are valid now."""

    job: int
    rows: int


class Whole(msgspec.Struct, frozen=True, kw_only=True, tag="whole"):
    """Every row has come, and ``meta`` is final."""

    job: int
    meta: bytes


class Abandon(msgspec.Struct, frozen=True, kw_only=True, tag="abandon"):
    """No more rows will come: keep what is there as a partial raw."""

    job: int
    reason: str


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    job: int
    phase: Literal["developing", "saving"]
    fraction: float


class Saved(msgspec.Struct, frozen=True, kw_only=True, tag="saved"):
    """The files of a job are on disk, synced."""

    job: int
    jpeg: str
    dng: str | None
    develop_s: float
    """From the last row to the JPEG."""
    problem: str = ""
    """Why the DNG that was asked for is not there, for people."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, tag="kept"):
    """An abandoned job: where its partial raw lies, or None where nothing could be kept."""

    job: int
    partial: str | None


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """A job came to nothing; ``text`` is fit for people."""

    job: int
    text: str
    disk: bool
    """It was the disk's or the folder's fault, not the picture's."""


ToDeveloper = DevelopJob | Rows | Whole | Abandon
ToPhone = Progress | Saved | Kept | Failed

_LENGTH = struct.Struct("<I")
_MESSAGE_MAX = 4 << 20


class Pipe:
    """One end. `send` from any thread; `receive` from one."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._sending = threading.Lock()

    def send(self, message: ToDeveloper | ToPhone, descriptor: int | None = None) -> None:
        """Send whole; raises `OSError` where the other end is gone."""
        body = msgspec.msgpack.encode(message)
        head = _LENGTH.pack(len(body))
        with self._sending:
            # the descriptor rides on the length, so that it arrives with the start of its message
            if descriptor is None:
                self._socket.sendall(head + body)
            else:
                socket.send_fds(self._socket, [head], [descriptor])
                self._socket.sendall(body)

    def receive(self) -> tuple[bytes, int | None] | None:
        """(message, descriptor) or None when the other end is gone."""
        head, descriptor = b"", None
        while len(head) < _LENGTH.size:
            try:
                part, descriptors, _, _ = socket.recv_fds(self._socket, _LENGTH.size - len(head), 1)
            except OSError:
                return None
            if not part:
                return None
            head += part
            descriptor = descriptors[0] if descriptors else descriptor
        body = self._exactly(_LENGTH.unpack(head)[0])
        if body is None:
            if descriptor is not None:
                os.close(descriptor)
            return None
        return body, descriptor

    def _exactly(self, size: int) -> bytes | None:
        if size > _MESSAGE_MAX:
            return None
        body = bytearray(size)
        view, done = memoryview(body), 0
        while done < size:
            try:
                count = self._socket.recv_into(view[done:])
            except OSError:
                return None
            if not count:
                return None
            done += count
        return bytes(body)

    def hang_up(self) -> None:
        """Let both ends see the end; a `receive` that waits returns None."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        self._socket.close()
