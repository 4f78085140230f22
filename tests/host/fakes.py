"""A link without a module: tests say what comes over it, and see what was asked."""

from __future__ import annotations

import itertools
import math
import os
import time

import msgspec
import numpy as np

from modoptic import pixels
from modoptic.calibration import Calibration, ColorCalibration
from modoptic.errors import DetachedError, LinkError
from modoptic.frame import Frame, FrameMeta, Settings
from modoptic.laserlink import Manifest
from modoptic.source import RingTurned

# D65, of the Canon EOS 550D as dcraw 9.28 has it
COLORS = (
    ColorCalibration(
        illuminant=21,
        color_matrix=(
            (0.6941, -0.1164, -0.0857),
            (-0.3825, 1.1597, 0.2482),
            (-0.0416, 0.154, 0.6039),
        ),
        forward_matrix=((0.72, 0.13, 0.1142), (0.27, 0.93, -0.20), (0.03, -0.14, 0.9352)),
    ),
)


class StillFrame(Frame):
    """As `laserlink.StillBuffer`: a frame over a memfd."""

    def __init__(self, meta, rows_valid=0):
        form = pixels.pixel_format(meta.pixel_format)
        self.size = form.row_bytes(meta.width) * meta.height
        self.fd = os.memfd_create("test-still")
        os.ftruncate(self.fd, self.size)
        values = np.full((meta.height, meta.width), 1000, np.uint16)
        os.pwrite(self.fd, pixels.pack(values, form).tobytes(), 0)
        super().__init__(meta, np.zeros(self.size, np.uint8), rows_valid=rows_valid)
        self.released = 0
        self._release = self._close

    def _close(self):
        self.released += 1
        os.close(self.fd)


class FakeLink:
    """Stands where a `laserlink.HostEnd` does. Made by `links()`."""

    def __init__(self, address, listener, *, cache_dir=None, built_in=False):
        self.address, self.listener, self.built_in = address, listener, built_in
        self.streams: dict[str, Settings] = {}
        self.asked: list[tuple] = []
        self.line_rate = 9e9
        self.attached = False
        self.busy = False
        self.closed = False
        self._requests = itertools.count(1)
        self.frames = itertools.count(1)
        self.focus_m = math.inf

    def start(self):
        self.asked.append(("start",))

    def close(self):
        self.closed = True

    def stream(self, name, settings):
        self._there()
        self.streams[name] = settings
        self.asked.append(("stream", name, settings))
        return 1000 + len(self.asked)

    def stop_stream(self, name):
        self.streams.pop(name, None)
        self.asked.append(("stop", name))

    def shoot(self, settings):
        self._there()
        if self.busy:
            raise LinkError("BUSY: the module holds 2 photos already")
        self.asked.append(("shoot", settings))
        return next(self._requests)

    def set_lens(self, focus_distance_m=None, f_number=None):
        self._there()
        self.focus_m = focus_distance_m

    def ack_durable(self, frame_id):
        self.asked.append(("durable", frame_id))

    def _there(self):
        if not self.attached:
            raise DetachedError("no module is ready")

    # what a test does

    def attach(self, info, known=False):
        self.info = info
        now = time.monotonic_ns()
        self.attached = True
        for state in ("SEATING", "ATTACHED", "ACTIVATED", "ENUMERATED", "READY"):
            self.listener.dock_changed(state, "", now)
        self.listener.ready(Manifest(info=info, calibration=Calibration(colors=COLORS)), known)

    def detach(self, why="it was taken off"):
        self.attached = False
        self.streams.clear()
        self.listener.dock_changed("DETACHED", why, time.monotonic_ns())
        self.listener.detached(why)

    def ring(self, distance_m):
        self.listener.ring_turned(RingTurned(1, distance_m, time.monotonic_ns()))

    def picture(self, level=0.16, name="finder", width=416, height=312):
        """A flat frame as the stream's settings ask for, of a scene that gives ``level``."""
        settings = self.streams[name]
        now = time.monotonic_ns()
        meta = self.meta(settings, width, height, now)
        value = int(64 + level * (4095 - 64))
        data = pixels.pack(
            np.full((height, width), min(value, 4095), np.uint16),
            pixels.pixel_format(meta.pixel_format),
        )
        frame = Frame(meta, data)
        self.listener.finder_begins(name, frame)
        self.listener.finder(name, frame)

    def meta(self, settings, width, height, now):
        return FrameMeta(
            module_id=self.info.id,
            make=self.info.make,
            model=self.info.model,
            frame_id=next(self.frames),
            sensor_time_ns=now - 10_000_000,
            readout_end_ns=now,
            row_time_ns=1000,
            settings=settings,
            iso=100 * settings.gain,
            focal_length_mm=17.5,
            width=width,
            height=height,
            black_level=(64.0,),
        )

    def still(self, request, width=416, height=312):
        """A still begins to arrive; the test gives it rows."""
        settings = next(a[1] for a in reversed(self.asked) if a[0] == "shoot")
        frame = StillFrame(self.meta(settings, width, height, time.monotonic_ns()))
        self.listener.still_progress(request, "exposing", 1.0)
        self.listener.still_begins(request, frame)
        return frame

    def lose(self, request, frame, why="it was taken off"):
        if frame is not None:
            frame.fail(why)
        self.listener.still_lost(request, why, frame)


def finder_size(info, width, height):
    """``info`` with a finder readout of another size."""
    readouts = tuple(
        msgspec.structs.replace(mode, width=width, height=height) if mode.name == "bin4" else mode
        for mode in info.readouts
    )
    return msgspec.structs.replace(info, readouts=readouts)
