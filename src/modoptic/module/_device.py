"""A module: the module's end of the link, run on a `Source` with threads and a clock.

One thread (`Device.serve_forever`) does all I/O and runs the `ModuleMachine`. While power is on, a
second one exposes, and each still is prepared in a thread of its own while the finder goes on. The
source is never called with the lock held: it may call back from any thread.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import pixels
from modoptic.errors import DetachedError, LinkError, ModopticError, ProtocolError
from modoptic.frame import FrameMeta
from modoptic.laserlink import (
    Check,
    Free,
    HangUp,
    Job,
    Line,
    LineFaults,
    Manifest,
    ModuleCarrier,
    ModuleMachine,
    MoveLens,
    Order,
    Outgoing,
    Prepare,
    Signal,
    SignalKind,
    Wake,
    encode_manifest,
    features_of,
    fill_pages,
    finder_bytes,
    listen,
    plain_memory,
    wait,
)
from modoptic.source import RingTurned, Source

_log = logging.getLogger(__name__)

TILT_LIMIT_DEG: Final = 3.0
"""An assumption: further than this the pads do not touch and the light misses its window."""
_PACKETS_A_TURN: Final = 8
_PROGRESS_STEP: Final = 0.01
_EXPECTED: Final = 3
"""Finder frames whose memory is there when the sensor starts."""


class _Power:
    """All that ends when power goes: the session and what it holds."""

    def __init__(self, began_ns: int) -> None:
        self.off = False
        self.began_ns = began_ns
        self.steps: deque[tuple[float, Callable[[], None]]] = deque()
        self.machine: ModuleMachine | None = None
        self.memory = _Memory()
        self.frames: dict[int, npt.NDArray[np.uint8]] = {}
        """By id: memory of the frames that something still needs."""
        self.exposing: int | None = None
        self.orphan = False
        self.started = threading.Event()
        """The source is on, or will not be: what waits for it can go on."""


class _Memory:
    """The module's own memory for frames; it goes with power."""

    def __init__(self) -> None:
        self._spare: list[npt.NDArray[np.uint8]] = []

    def expect(self, size: int) -> None:
        """Frames of ``size`` bytes come soon: memory for a few gets its pages meanwhile."""
        if size:
            self._spare = [plain_memory(size) for _ in range(_EXPECTED)]
            fill_pages(self._spare)

    def take(self, size: int) -> npt.NDArray[np.uint8]:
        for at, memory in enumerate(self._spare):
            if memory.size == size:
                return self._spare.pop(at)
        return plain_memory(size)

    def give_back(self, memory: npt.NDArray[np.uint8]) -> None:
        # the newest sizes, of each as many as can be in use: 3 with the phone, 1 waits, 1 is read
        if sum(kept.size == memory.size for kept in self._spare) < 5:
            self._spare.append(memory)
        del self._spare[:-12]


class DeviceDock:
    """What hands can do to a module. Calls return at once; the device's thread does the rest."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def seat(self) -> None:
        """Let the magnets take it."""
        at_ns = time.monotonic_ns()
        self._device.later(lambda: self._device.seat(at_ns))

    def pull(self) -> None:
        """Pull it off, whatever it is doing."""
        at_ns = time.monotonic_ns()
        self._device.later(lambda: self._device.pull(at_ns))

    def tilt(self, deg: float) -> None:
        """Tilt it against the phone; beyond 3 degrees it has no contact and no light."""
        at_ns = time.monotonic_ns()
        self._device.later(lambda: self._device.tilt(deg, at_ns))

    def set_line(self, bit_s: float | None) -> None:
        """Limit what crosses to so many bits a second of payload; None is the free line.

        Raises
        ------
        LinkError : not above 0
        """
        self._device.set_line(bit_s)

    @property
    def seated(self) -> bool:
        return self._device.seated

    @property
    def line(self) -> float | None:
        """The limit in bit/s, or None."""
        return self._device.line


class Device:
    """A camera module with ``source`` behind its lens, waiting for a phone at ``address``.

    Parameters
    ----------
    source : where frames come from; stays the caller's to close
    address : ``memory:/path.sock`` or ``tcp://127.0.0.1:port`` (port 0: any; see `address`)
    line_bit_s : limit of the line, bit/s of payload; None is without limit
    seated : it lies on the phone already
    boot_id : name of each power-up; None makes a new one each time
    faults : damages what crosses, for tests and benches

    Raises
    ------
    AddressError : nobody can listen there, with the reason
    """

    def __init__(
        self,
        source: Source,
        address: str,
        *,
        line_bit_s: float | None = None,
        seated: bool = True,
        boot_id: str | None = None,
        faults: LineFaults | None = None,
    ) -> None:
        self.dock = DeviceDock(self)
        self.seated = seated
        self._source = source
        self._boot_id = boot_id
        self._faults = faults
        self._line = Line(_checked(line_bit_s))
        self._manifest = encode_manifest(
            Manifest(
                info=source.info,
                calibration=source.calibration,
                feature_table=features_of(source.info),
            )
        )
        self._calibration = source.calibration.digest()
        self._lock = threading.Lock()
        self._jobs = threading.Condition(self._lock)
        self._preparing = threading.Lock()
        self._rings: deque[RingTurned] = deque()
        self._ring: RingTurned | None = None
        """Where the ring stands; each session begins with it."""
        self._later: deque[Callable[[], None]] = deque()
        self._tilted = 0.0
        self._sessions = 0
        self._carrier: ModuleCarrier | None = None
        self._power: _Power | None = None
        self._sensor: threading.Thread | None = None
        self._closing = False
        self._serving: int | None = None
        """The thread that serves; -1 where it is about to."""
        self._stopped = threading.Event()
        self._wake = Wake()
        self._listener = listen(address)
        self.address = self._listener.address
        source.subscribe(self._ring_turned)

    # --- for the caller

    def start(self) -> None:
        """Serve in a thread of its own; `close` ends it."""
        thread = threading.Thread(target=self.serve_forever, name="laserlink-module", daemon=True)
        self._serving = -1
        thread.start()

    def close(self) -> None:
        """Stop serving: the phone sees a hang-up. From any thread, and from signal handlers."""
        self._closing = True
        self._wake.set()
        if self._serving is None:
            self._listener.close()
        elif self._serving == threading.get_ident():
            return
        elif not self._stopped.wait(10.0):
            _log.warning("%s: the module's thread did not end within 10 s", self.address)
            return
        self._wake.close()

    def serve_forever(self) -> None:
        """Serve until `close` is called from elsewhere."""
        self._serving = threading.get_ident()
        try:
            while not self._closing:
                self._turn()
        finally:
            self._hang_up()
            self._listener.close()
            if self._sensor is not None:
                self._sensor.join(5.0)
            self._stopped.set()

    @property
    def line(self) -> float | None:
        """Limit of the line in bit/s; None is without limit."""
        return self._line.bit_s

    @property
    def dropped(self) -> int:
        """Finder frames of this session that were read and never left."""
        power = self._power
        return power.machine.dropped if power is not None and power.machine is not None else 0

    def set_line(self, bit_s: float | None) -> None:
        """Limit the line from now on; raises `LinkError` where ``bit_s`` is not above 0."""
        limit = _checked(bit_s)
        with self._lock:
            self._line.set(limit)
        self._wake.set()

    def later(self, action: Callable[[], None]) -> None:
        """Run ``action`` in the device's thread, soon."""
        self._later.append(action)
        self._wake.set()

    # --- hands, in the device's thread

    def seat(self, at_ns: int) -> None:
        if not self.seated:
            self.seated = True
            self._feel(SignalKind.MAGNET_ON, at_ns)
            if self._tilted > TILT_LIMIT_DEG:
                self._feel(SignalKind.PADS_BAD, at_ns, self._tilted)
            self._consider_power(at_ns)

    def pull(self, at_ns: int) -> None:
        if self.seated:
            self.seated = False
            if self._carrier is not None and not self._carrier.lasts:
                self._hang_up()
            self._feel(SignalKind.MAGNET_OFF, at_ns)
            self._consider_power(at_ns)

    def tilt(self, deg: float, at_ns: int) -> None:
        was_bad = self._tilted > TILT_LIMIT_DEG
        self._tilted = abs(deg)
        if not self.seated or was_bad == (self._tilted > TILT_LIMIT_DEG):
            return
        if was_bad:
            self._feel(SignalKind.PADS_GOOD, at_ns)
        else:
            if self._carrier is not None and not self._carrier.lasts:
                self._hang_up()
            self._feel(SignalKind.PADS_BAD, at_ns, self._tilted)
        self._consider_power(at_ns)

    def _feel(self, kind: SignalKind, at_ns: int, value: float = 0.0) -> None:
        if self._carrier is not None:
            amount = round(100 * value) if kind == SignalKind.PADS_BAD else round(value)
            self._carrier.signal(Signal(kind, min(amount, 0xFFFF), at_ns))

    # --- power

    @property
    def _touching(self) -> bool:
        return self.seated and self._tilted <= TILT_LIMIT_DEG

    def _consider_power(self, at_ns: int) -> None:
        """Power comes from the phone: it is on while there is a phone and the pads touch."""
        wanted = self._touching and self._carrier is not None
        if wanted and self._power is None:
            self._bring_up(at_ns)
        elif not wanted and self._power is not None:
            self._power_off()

    def _bring_up(self, at_ns: int) -> None:
        """From the magnets' click to the hello, in the time that the definition says."""
        power = self._power = _Power(at_ns)
        start = self._source.info.start_up
        at = at_ns / 1e9 + start.debounce_s
        power.steps.append((at, lambda: self._feel(SignalKind.POWER, time.monotonic_ns(), 1)))
        at += start.ramp_s + start.light_lock_s
        power.steps.append((at, lambda: self._feel(SignalKind.LIGHT_ON, time.monotonic_ns())))
        at += start.controller_s
        power.steps.append((at, lambda: self._boot(power)))

    def _boot(self, power: _Power) -> None:
        """The controller runs: it says hello, and starts the sensor meanwhile."""
        self._sessions += 1
        with self._lock:
            power.machine = ModuleMachine(
                self._source.info,
                self._manifest,
                boot_id=self._boot_id or secrets.token_hex(8),
                session=self._sessions,
                line=self._line,
            )
            if self._ring is not None:
                power.machine.ring_turned(self._ring)
            power.machine.hello()
        power.memory.expect(finder_bytes(self._source.info))
        self._sensor = threading.Thread(
            target=self._sense, args=(power, self._sensor), name="sensor", daemon=True
        )
        self._sensor.start()

    def _power_off(self) -> None:
        power, self._power = self._power, None
        if power is None:
            return
        with self._lock:
            power.off = True
            self._jobs.notify_all()
        if power.machine is not None:
            self._source.stop()

    def _hang_up(self) -> None:
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.close()
        self._power_off()

    # --- the device's thread

    def _turn(self) -> None:
        try:
            timeout_s = self._timeout(time.monotonic())
            wait([(self._wake.fileno(), 1), *self._files()], timeout_s)
            self._wake.clear()
            while self._later:
                self._later.popleft()()
            self._accept()
            self._receive()
            self._step(time.monotonic())
            self._rings_out()
            self._send()
        except HangUp:
            self._hang_up()
        except ProtocolError as error:
            _log.warning("%s: %s; the connection is closed", self.address, error)
            self._hang_up()

    def _files(self) -> list[tuple[int, int]]:
        files = self._listener.files()
        return files if self._carrier is None else [*files, *self._carrier.files()]

    def _timeout(self, now: float) -> float | None:
        times: list[float] = []
        carrier, power = self._carrier, self._power
        if carrier is not None:
            beat = carrier.tick(now)
            if beat is not None:
                times.append(beat)
            if power is not None:
                if power.steps:
                    times.append(power.steps[0][0])
                if power.machine is not None:
                    with self._lock:
                        due = power.machine.wake_at(now, room=carrier.room() > 0)
                    if due is not None:
                        times.append(due)
        return max(0.0, min(times) - now) if times else None

    def _accept(self) -> None:
        # one phone at a time
        carrier = self._listener.accept(seated=self._touching, busy=self._carrier is not None)
        if carrier is None:
            return
        self._carrier = carrier
        if self.seated:
            at_ns = time.monotonic_ns()
            self._feel(SignalKind.MAGNET_ON, at_ns)
            if self._tilted > TILT_LIMIT_DEG:
                self._feel(SignalKind.PADS_BAD, at_ns, self._tilted)
            self._consider_power(at_ns)

    def _receive(self) -> None:
        carrier, power = self._carrier, self._power
        if carrier is None:
            return
        packets = carrier.receive()
        if power is None or power.machine is None:
            return  # nobody is there to read it
        with self._lock:
            for packet in packets:
                power.machine.control(packet)
            if packets:
                self._jobs.notify_all()

    def _step(self, now: float) -> None:
        power = self._power
        while power is not None and power.steps and power.steps[0][0] <= now:
            power.steps.popleft()[1]()

    def _rings_out(self) -> None:
        machine = self._power.machine if self._power is not None else None
        while self._rings:
            event = self._rings.popleft()
            if machine is not None:
                with self._lock:
                    machine.ring_turned(event)

    def _send(self) -> None:
        carrier, power = self._carrier, self._power
        if carrier is None or power is None or power.machine is None:
            return
        machine = power.machine
        self._do_orders(power, machine)
        with self._lock:
            now = time.monotonic()
            machine.tick(now)
            packets = machine.next_packets(now, min(carrier.room(), _PACKETS_A_TURN))
            # after the pixels were taken: what they changed is said at once
            carrier.send_control(machine.control_out())
            if not packets:
                return
            cut = False
            if self._faults is not None:
                packets, cut = self._faults.apply(packets)
            carrier.send_pixels(packets)
            self._jobs.notify_all()
        if cut:
            self.pull(time.monotonic_ns())

    def _do_orders(self, power: _Power, machine: ModuleMachine) -> None:
        while True:
            with self._lock:
                orders, machine.orders = machine.orders, []
            if not orders:
                return
            for order in orders:
                self._do(power, machine, order)

    def _do(self, power: _Power, machine: ModuleMachine, order: Order) -> None:
        match order:
            case Check(request=request):
                try:
                    settings = self._source.in_force(request.settings)
                    described = self._source.describe(settings)
                    size = _size(described)
                except ModopticError as error:
                    with self._lock:
                        machine.refuse(request, str(error))
                    return
                with self._lock:
                    machine.accept(request, settings, described, size)
                    self._jobs.notify_all()
            case Prepare():
                threading.Thread(
                    target=self._prepare, args=(power, order), name="prepare", daemon=True
                ).start()
            case MoveLens():
                try:
                    self._source.set_lens(
                        focus_distance_m=order.focus_distance_m, f_number=order.f_number
                    )
                except ModopticError as error:
                    _log.warning("the lens was not moved: %s", error)
            case Free(frame=frame):
                with self._lock:
                    if power.exposing == frame.id:
                        power.orphan = True
                    else:
                        self._forget(power, frame.id)

    def _forget(self, power: _Power, frame_id: int) -> None:
        memory = power.frames.pop(frame_id, None)
        if memory is not None:
            power.memory.give_back(memory)

    def _ring_turned(self, event: RingTurned) -> None:
        self._ring = event
        self._rings.append(event)
        self._wake.set()

    # --- the sensor's threads

    def _sense(self, power: _Power, before: threading.Thread | None) -> None:
        machine = power.machine
        assert machine is not None
        if before is not None:
            before.join()
        try:
            if power.off:
                return
            self._source.start()
            power.started.set()
            with self._lock:
                machine.sensor_ready()
            while (job := self._next_job(power, machine)) is not None:
                began = time.monotonic()
                self._expose(power, machine, job)
                self._pace(power, machine, job, began)
        except DetachedError:
            return  # power went away
        finally:
            power.started.set()

    def _next_job(self, power: _Power, machine: ModuleMachine) -> Job | None:
        with self._jobs:
            while not power.off:
                job = machine.next_job()
                if job is not None:
                    return job
                self._jobs.wait()
        return None

    def _pace(self, power: _Power, machine: ModuleMachine, job: Job, began: float) -> None:
        """A frame that would push out the last one waits, at most one period of the sensor."""
        period = 1 / self._source.info.readout(job.settings.readout).frame_rate_max
        with self._jobs:
            self._jobs.wait_for(
                lambda: power.off or machine.room(job.stream) or machine.still_waits(),
                began + period - time.monotonic(),
            )

    def _expose(self, power: _Power, machine: ModuleMachine, job: Job) -> None:
        named = self._named(machine, job, job.described)
        with self._lock:
            memory = power.memory.take(job.size)
            frame = machine.begin(job, named, memoryview(memory.data))
            if frame is None:
                power.memory.give_back(memory)
                return
            power.frames[frame.id] = memory
            power.exposing = frame.id
            power.orphan = False
        self._wake.set()

        def rows(count: int) -> None:
            with self._lock:
                if power.off:
                    raise DetachedError("power is gone")
                machine.rows(frame, count)
            self._wake.set()

        try:
            meta = self._source.capture(job.settings, memoryview(memory.data), rows)
            with self._lock:
                machine.finish(frame, self._named(machine, job, meta))
        except DetachedError:
            if power.off:
                raise
            self._failed(machine, frame, job, "the source stopped")
        except Exception as error:
            _log.exception("an exposure failed")
            self._failed(machine, frame, job, str(error))
        finally:
            with self._lock:
                power.exposing = None
                if power.orphan:
                    self._forget(power, frame.id)
            self._wake.set()

    def _failed(self, machine: ModuleMachine, frame: Outgoing, job: Job, why: str) -> None:
        with self._lock:
            machine.fail(frame, why)
            machine.request_failed(job.request_id, why)

    def _named(self, machine: ModuleMachine, job: Job, meta: FrameMeta) -> FrameMeta:
        return msgspec.structs.replace(
            meta,
            module_id=self._source.info.id,
            boot_id=machine.boot_id,
            session=machine.session,
            frame_id=job.frame_id,
            request_id=job.request_id,
            calibration=self._calibration,
        )

    def _prepare(self, power: _Power, order: Prepare) -> None:
        machine = power.machine
        assert machine is not None
        told = -1.0

        def progress(fraction: float) -> None:
            nonlocal told
            with self._lock:
                if power.off or not machine.wants(order.request_id):
                    raise DetachedError("the photo is not wanted any more")
                if fraction < told + _PROGRESS_STEP and fraction < 1:
                    return
                told = fraction
                machine.progress(order.request_id, fraction)
            self._wake.set()

        try:
            # a session is ready before its sensor: the source still lacks power then
            power.started.wait()
            with self._preparing:
                progress(0.0)
                self._source.prepare(order.settings, progress)
            with self._lock:
                machine.prepared(order.request_id)
                self._jobs.notify_all()
        except DetachedError:
            return
        except Exception as error:
            _log.exception("a photo could not be prepared")
            with self._lock:
                machine.request_failed(order.request_id, str(error))
        self._wake.set()


def _checked(bit_s: float | None) -> float | None:
    if bit_s is not None and not 0 < bit_s < float("inf"):
        raise LinkError(f"a line of {bit_s!r} bit/s; expected a number above 0, or None")
    return bit_s


def _size(described: FrameMeta) -> int:
    form = pixels.pixel_format(described.pixel_format)
    return form.row_bytes(described.width) * described.height
