"""Module and phone over real carriers: threads, sockets and shared memory."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.errors import AddressError, DetachedError, LinkError, ModopticError, SettingError
from modoptic.frame import Frame, FrameMeta, Settings
from modoptic.laserlink import (
    HostEnd,
    LineFaults,
    Manifest,
    StillBuffer,
    _carrier,
    map_still,
    parse_address,
)
from modoptic.module import Device
from modoptic.source import RingTurned, StartUp
from modoptic.testing._source import FakeSource

FINDER = Settings()
STILL = Settings(readout="full")
SIZE = (512, 384)
STILL_BYTES = SIZE[0] * SIZE[1] * 3 // 2


class Told:
    """A listener whose calls can be waited for."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.calls: list[tuple[str, float, tuple[object, ...]]] = []
        self.frames: list[Frame] = []
        self.stills: dict[int, StillBuffer] = {}

    def _add(self, name: str, *args: object) -> None:
        with self.changed:
            self.calls.append((name, time.monotonic(), args))
            self.changed.notify_all()

    def count(self, name: str) -> int:
        return sum(call[0] == name for call in self.calls)

    def wait(self, name: str, count: int = 1, timeout_s: float = 10.0) -> tuple[object, ...]:
        """The arguments of the ``count``-th call of ``name``."""
        with self.changed:
            there = self.changed.wait_for(lambda: self.count(name) >= count, timeout_s)
        assert there, f"{name} not called {count} times; calls: {self.calls[-20:]}"
        return [call[2] for call in self.calls if call[0] == name][count - 1]

    def when(self, name: str, count: int = 1) -> float:
        return [call[1] for call in self.calls if call[0] == name][count - 1]

    def dock_changed(self, state: str, why: str, at_ns: int) -> None:
        self._add(f"dock {state}", why, at_ns)

    def ready(self, manifest: Manifest, known: bool) -> None:
        self._add("ready", manifest, known)

    def detached(self, why: str) -> None:
        self._add("detached", why)

    def stream_refused(self, name: str, why: str) -> None:
        self._add("refused", name, why)

    def ring_turned(self, event: RingTurned) -> None:
        self._add("ring", event)

    def finder(self, name: str, frame: Frame) -> None:
        self._add(f"finder {name}", frame.meta, bytes(frame.data[:1000]), frame.complete)
        frame.release()

    def still_progress(self, request_id: int, phase: str, fraction: float) -> None:
        self._add(f"progress {phase}", request_id, fraction)

    def still_begins(self, request_id: int, frame: StillBuffer) -> None:
        self.stills[request_id] = frame
        self._add("begins", request_id)

    def still_done(self, request_id: int) -> None:
        self._add("done", request_id)

    def still_lost(self, request_id: int, why: str, frame: Frame | None) -> None:
        self._add("lost", request_id, why, frame)


@pytest.fixture(params=["memory", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"memory:{tmp_path}/link.sock" if request.param == "memory" else "tcp://127.0.0.1:0"


@contextlib.contextmanager
def joined(
    address: str,
    source: FakeSource | None = None,
    *,
    line_bit_s: float | None = None,
    seated: bool = True,
    faults: LineFaults | None = None,
    told: Told | None = None,
    cache_dir: Path | None = None,
) -> Iterator[tuple[Device, HostEnd, Told]]:
    device = Device(
        source or FakeSource(*SIZE), address, line_bit_s=line_bit_s, seated=seated, faults=faults
    )
    device.start()
    told = told or Told()
    try:
        with HostEnd(device.address, told, cache_dir=cache_dir) as host:
            if seated:
                told.wait("ready")
            yield device, host, told
    finally:
        device.close()


def test_finder_loupe_still_ring_and_lens(address: str) -> None:
    source = FakeSource(*SIZE)
    with joined(address, source) as (_, host, told):
        host.stream("finder", FINDER)
        host.stream("loupe", Settings(readout="full", region=(16, 16, 64, 32)))
        _, start, complete = told.wait("finder finder", 5)
        expected = source.picture(source.describe(FINDER))
        assert (start, complete) == (bytes(expected[:1000]), True)
        told.wait("finder loupe", 5)
        source.turn_ring(0.75)
        event = told.wait("ring")[0]
        assert isinstance(event, RingTurned)
        assert event.focus_distance_m == 0.75
        request = host.shoot(STILL)
        assert told.wait("done") == (request,)
        still = told.stills[request]
        assert np.array_equal(still.data, source.picture(still.meta))
        assert (still.meta.module_id, still.meta.request_id) == ("fake-1", request)
        assert still.meta.calibration == source.calibration.digest()
        mapped = map_still(still.fd, still.meta)
        assert np.array_equal(mapped.data, still.data)
        host.ack_durable(still.meta.frame_id)
        still.release()
        before = told.count("finder finder")
        told.wait("finder finder", before + 10)
        host.set_lens(focus_distance_m=2.0, f_number=4.0)
        host.shoot(STILL)
        told.wait("done", 2)
        assert source.lens == (2.0, 4.0)
        assert host.line_rate > 0


def test_the_finder_goes_on_while_a_still_is_prepared(address: str) -> None:
    go = threading.Event()

    def prepare(progress: Callable[[float], None]) -> None:
        progress(0.5)
        assert go.wait(10)

    with joined(address, FakeSource(*SIZE, prepare=prepare)) as (_, host, told):
        host.stream("finder", FINDER)
        host.shoot(STILL)
        told.wait("progress preparing", 2)
        told.wait("finder finder", told.count("finder finder") + 10)
        assert not told.count("begins")
        go.set()
        told.wait("done")
        assert told.count("progress exposing") == 1


def test_busy_until_a_photo_is_durable(address: str) -> None:
    with joined(address) as (_, host, told):
        first = host.shoot(STILL)
        host.shoot(STILL)
        told.wait("done", 2)
        with pytest.raises(LinkError, match="BUSY"):
            host.shoot(STILL)
        host.ack_durable(told.stills[first].meta.frame_id)
        host.shoot(STILL)
        told.wait("done", 3)


def test_refused_settings_come_back_in_words(address: str) -> None:
    with joined(address) as (_, host, told):
        host.shoot(Settings(exposure_s=-1, readout="full"))
        assert "ExposureTime" in str(told.wait("lost")[1])
        host.stream("finder", Settings(exposure_s=-1))
        name, why = told.wait("refused")
        assert name == "finder"
        assert "ExposureTime" in str(why)
        host.shoot(STILL)
        told.wait("done")


@pytest.mark.parametrize("headers", [False, True])
def test_every_damaged_packet_is_found_and_comes_again(address: str, headers: bool) -> None:
    faults = LineFaults(corrupt_every=5, corrupt_headers=headers)
    source = FakeSource(1024, 768)
    with joined(address, source, faults=faults) as (_, host, told):
        host.stream("finder", FINDER)
        for count in range(1, 4):
            request = host.shoot(STILL)
            told.wait("done", count)
            still = told.stills[request]
            assert np.array_equal(still.data, source.picture(still.meta))
            host.ack_durable(still.meta.frame_id)
        assert faults.planted > 5
        assert not told.count("detached")
        if not headers:
            host.stop_stream("finder")
            assert host.damaged > 5


@pytest.mark.parametrize("at", [1, 31, 33, 5000, 65_600, 150_000, STILL_BYTES + 100])
def test_light_cut_at_any_byte(address: str, at: int) -> None:
    source = FakeSource(*SIZE)
    faults = LineFaults(cut_after=at)
    with joined(address, source, faults=faults) as (device, host, told):
        request = host.shoot(STILL)
        lost = told.wait("lost")
        assert lost[0] == request
        told.wait("detached")
        frame = lost[2]
        if isinstance(frame, Frame):
            whole = frame.rows_valid * frame.row_bytes
            assert whole < min(at, STILL_BYTES)
            picture = source.picture(source.describe(STILL))
            assert np.array_equal(frame.data[:whole], picture[:whole])
            with pytest.raises(DetachedError):
                frame.wait_rows(frame.height)
        told.wait("dock DETACHED")
        assert host.manifest is None
        # and it snaps on again
        device.dock.seat()
        assert told.wait("ready", 2)[1] is True
        host.shoot(STILL)
        told.wait("done")


def test_pulled_off_and_seated_by_hand(address: str) -> None:
    with joined(address, seated=False) as (device, host, told):
        assert host.dock == "DETACHED"
        with pytest.raises(DetachedError):
            host.stream("finder", FINDER)
        took: list[float] = []
        for count in (1, 2, 3):
            device.dock.seat()
            told.wait("ready", count)
            host.stream("finder", FINDER)
            told.wait("finder finder", told.count("finder finder") + 3)
            pulled = time.monotonic()
            device.dock.pull()
            told.wait("detached", count)
            took.append(told.when("detached", count) - pulled)
            assert host.dock == "DETACHED"
        assert not device.dock.seated
        assert min(took) < 0.05


def test_tilted_until_it_lies_flat(address: str) -> None:
    with joined(address) as (device, _, told):
        device.dock.tilt(2.0)
        device.dock.tilt(5.0)
        told.wait("detached")
        device.dock.tilt(0.0)
        told.wait("ready", 2)
        assert told.count("detached") == 1


def test_detach_while_the_sensor_reads(address: str) -> None:
    reading, go = threading.Event(), threading.Event()

    def in_the_middle(row: int) -> None:
        if row > SIZE[1] // 2:
            reading.set()
            go.wait(10)

    source = FakeSource(*SIZE, before_rows=in_the_middle)
    with joined(address, source) as (device, host, told):
        host.shoot(STILL)
        assert reading.wait(10)
        told.wait("begins")
        device.dock.pull()
        told.wait("lost")
        go.set()
        device.dock.seat()
        told.wait("ready", 2)
        host.shoot(STILL)
        told.wait("done")


def test_a_source_that_fails_costs_one_photo(address: str) -> None:
    failing = True

    def fail(row: int) -> None:
        if failing:
            raise SettingError("sensor", "a stripe", "a picture")

    with joined(address, FakeSource(*SIZE, before_rows=fail)) as (_, host, told):
        host.shoot(STILL)
        assert "a stripe" in str(told.wait("lost")[1])
        failing = False
        host.shoot(STILL)
        told.wait("done")


def test_a_limited_line_takes_its_time_and_can_be_freed(address: str) -> None:
    rate = 20e6
    with joined(address, FakeSource(1024, 768), line_bit_s=rate) as (device, host, told):
        assert device.dock.line == rate
        host.stream("finder", FINDER)
        began = time.monotonic()
        request = host.shoot(STILL)
        told.wait("begins")
        finder = told.count("finder finder")
        told.wait("done")
        took = time.monotonic() - began
        size = told.stills[request].size
        assert 0.9 * 8 * size / rate < took < 3 * 8 * size / rate
        assert told.count("finder finder") > finder
        assert told.count("progress crossing") > 5
        host.stop_stream("finder")
        device.dock.set_line(None)
        began = time.monotonic()
        host.shoot(STILL)
        told.wait("done", 2)
        assert time.monotonic() - began < took / 2
        with pytest.raises(LinkError):
            device.dock.set_line(0)


def test_attach_of_a_known_module_leaves_time_for_the_rest(tmp_path: Path) -> None:
    start_up = StartUp()
    source = FakeSource(2912 * 4 // 16 * 16, 2176 * 4, start_up=start_up)
    source.picture(source.describe(FINDER))
    spent = sum(getattr(start_up, name) for name in StartUp.__struct_fields__)

    class Eager(Told):
        host: HostEnd

        def ready(self, manifest: Manifest, known: bool) -> None:
            self.host.stream("finder", FINDER)
            super().ready(manifest, known)

    told = Eager()
    address = f"memory:{tmp_path}/link.sock"
    device = Device(source, address, seated=False)
    device.start()
    told.host = HostEnd(address, told, cache_dir=tmp_path)
    software: list[float] = []
    try:
        with told.host:
            for count in range(1, 15):  # a busy machine gets more tries
                frames = told.count("finder finder")
                seated = time.monotonic()
                device.dock.seat()
                told.wait("finder finder", frames + 1)
                software.append(told.when("finder finder", frames + 1) - seated - spent)
                assert told.wait("ready", count)[1] is (count > 1)
                device.dock.pull()
                told.wait("detached", count)
                if count > 3 and min(software[1:]) < 0.030:
                    break
    finally:
        device.close()
    print("software part of the attach, ms:", [round(1000 * s, 1) for s in software])
    assert min(software[1:]) < 0.047


def test_a_killed_module_is_a_detach(address: str, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from modoptic.module import Device\n"
        "from modoptic.testing._source import FakeSource\n"
        "device = Device(FakeSource(512, 384), sys.argv[1], line_bit_s=2e6)\n"
        "print(device.address, flush=True)\n"
        "device.serve_forever()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, address], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = Told()
    try:
        where = process.stdout.readline().strip()
        with HostEnd(where, told) as host:
            told.wait("ready", timeout_s=30)
            host.stream("finder", FINDER)
            request = host.shoot(STILL)
            told.wait("progress crossing", 2)
            killed = time.monotonic()
            os.kill(process.pid, signal.SIGKILL)
            told.wait("detached")
            assert told.when("detached") - killed < 0.5
            lost = told.wait("lost")
            assert lost[0] == request
            assert isinstance(lost[2], Frame)
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
    # what the killed process left behind is no obstacle
    with joined(address):
        pass


def test_a_stopped_module_is_a_detach_and_comes_back(address: str) -> None:
    code = (
        "import sys\n"
        "from modoptic.module import Device\n"
        "from modoptic.testing._source import FakeSource\n"
        "device = Device(FakeSource(512, 384), sys.argv[1])\n"
        "print(device.address, flush=True)\n"
        "device.serve_forever()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, address], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = Told()
    try:
        with HostEnd(process.stdout.readline().strip(), told) as host:
            told.wait("ready", timeout_s=30)
            host.stream("finder", FINDER)
            told.wait("finder finder")
            process.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            assert "silent" in str(told.wait("detached")[0])
            assert told.when("detached") - stopped < 0.8
            process.send_signal(signal.SIGCONT)
            told.wait("ready", 2)
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_a_busy_module_is_not_taken_for_a_dead_one(address: str) -> None:
    """Its link's thread is held up, as by a large raw, and others want the interpreter."""

    class Slow(FakeSource):
        def describe(self, settings: Settings) -> FrameMeta:
            if settings.readout == "full":
                until = time.monotonic() + 0.8
                while time.monotonic() < until:
                    sum(range(1000))
            return super().describe(settings)

    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            sum(range(100_000))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        with joined(address, Slow(*SIZE)) as (_, host, told):
            host.shoot(STILL)
            told.wait("done")
            assert not told.count("detached")
    finally:
        done.set()
        for worker in workers:
            worker.join()


def test_a_module_whose_link_hangs_is_a_detach(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process lives, and so does the thread that says so."""
    monkeypatch.setattr(_carrier, "HUNG_S", 0.3)
    go = threading.Event()

    class Hangs(FakeSource):
        def describe(self, settings: Settings) -> FrameMeta:
            if settings.readout == "full":
                go.wait(20)
            return super().describe(settings)

    with joined(address, Hangs(*SIZE)) as (_, host, told):
        assert not threading.Event().wait(0.6)  # one that has nothing to do does not hang
        assert not told.count("detached")
        host.shoot(STILL)
        try:
            assert "silent" in str(told.wait("detached")[0])
        finally:
            go.set()


def test_the_memory_of_a_session_ends_with_it(address: str) -> None:
    """Neither end keeps buffers of one session for the next."""

    class Source(FakeSource):
        written: ClassVar[list[npt.NDArray[np.uint8]]] = []

        def capture(
            self, settings: Settings, out: memoryview, rows: Callable[[int], None]
        ) -> FrameMeta:
            self.written.append(np.frombuffer(out, np.uint8))
            return super().capture(settings, out, rows)

    class Keeper(Told):
        def finder(self, name: str, frame: Frame) -> None:
            read.append(frame.data)
            super().finder(name, frame)

    def places(arrays: list[npt.NDArray[np.uint8]]) -> set[int]:
        return {array.ctypes.data for array in arrays}

    read: list[npt.NDArray[np.uint8]] = []
    written = Source.written
    with joined(address, Source(*SIZE), told=Keeper()) as (device, host, told):
        host.stream("finder", FINDER)
        told.wait("finder finder", 20)
        assert len(places(read)) <= 3  # within a session it is used again
        assert len(places(written)) <= 5
        device.dock.pull()
        told.wait("detached")
        # what is kept here cannot be given out again by the system
        first_read, first_written = list(read), list(written)
        device.dock.seat()
        told.wait("ready", 2)
        host.stream("finder", FINDER)
        told.wait("finder finder", told.count("finder finder") + 10)
        assert not places(first_read) & places(read[len(first_read) :])
        # one exposure may still have been under way
        assert not places(first_written) & places(written[len(first_written) + 1 :])


def test_a_photo_asked_for_before_the_sensor_runs_waits_for_it(address: str) -> None:
    started = threading.Event()

    class SlowStart(FakeSource):
        def start(self) -> None:
            started.wait(10)
            super().start()

        def prepare(self, settings: Settings, progress: Callable[[float], None]) -> None:
            if not started.is_set():
                raise DetachedError("it has no power")
            super().prepare(settings, progress)

    with joined(address, SlowStart(*SIZE)) as (_, host, told):
        request = host.shoot(STILL)
        host.shoot(STILL)
        assert not threading.Event().wait(0.1)
        started.set()
        told.wait("done", 2)
        assert told.wait("done")[0] == request


def test_a_second_phone_is_told_that_the_module_is_taken(address: str) -> None:
    with joined(address) as (device, host, told):
        host.stream("finder", FINDER)
        other = Told()
        with HostEnd(device.address, other):
            assert "another phone" in str(other.wait("dock DETACHED")[0])
            told.wait("finder finder", told.count("finder finder") + 5)
            host.close()
            other.wait("ready")
        assert told.count("detached") <= 1


def test_a_phone_that_goes_away_leaves_the_module_ready_for_the_next(address: str) -> None:
    with joined(address) as (device, host, told):
        host.shoot(STILL)
        told.wait("done")
        host.close()
        again = Told()
        with HostEnd(device.address, again) as second:
            again.wait("ready")
            second.shoot(STILL)
            again.wait("done")


def test_frames_of_an_ended_session_can_still_be_released(address: str) -> None:
    class Keeper(Told):
        def finder(self, name: str, frame: Frame) -> None:
            self.frames.append(frame)
            self._add(f"finder {name}")

    told = Keeper()
    with joined(address, told=told) as (device, host, _):
        host.stream("finder", FINDER)
        told.wait("finder finder", 3)
        assert told.count("finder finder") == 3
        device.dock.pull()
        told.wait("detached")
        for frame in told.frames:
            assert frame.complete
            frame.release()
        device.dock.seat()
        told.wait("ready", 2)


def test_frames_can_be_read_while_they_arrive(address: str) -> None:
    go = threading.Event()

    def in_the_middle(row: int) -> None:
        if row > 192:  # of 384; a packet is 85 rows
            go.wait(10)

    class Early(Told):
        def finder_begins(self, name: str, frame: Frame) -> None:
            self.frames.append(frame)
            self._add("early", frame)

    source = FakeSource(2048, 1536, before_rows=in_the_middle)
    told = Early()
    with joined(address, source, told=told) as (_, host, _told):
        host.stream("finder", FINDER)
        frame = told.wait("early")[0]
        assert isinstance(frame, Frame)
        assert 0 < frame.wait_rows(20, 10) < frame.height
        go.set()
        frame.wait_rows(frame.height, 10)
        told.wait("finder finder")


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    gc.collect()  # stills of other tests
    files = len(list(Path("/proc/self/fd").iterdir()))
    threads = threading.active_count()
    for _ in range(3):
        with joined(f"memory:{tmp_path}/link.sock") as (_, host, told):
            host.stream("finder", FINDER)
            host.shoot(STILL)
            told.wait("done")
            for still in told.stills.values():
                still.release()
    assert not list(tmp_path.iterdir())
    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/fd").iterdir())) == files


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("tcp://192.168.1.4:8036", "only addresses of this machine"),
            ("tcp://0.0.0.0:8036", "only addresses of this machine"),
            ("tcp://example.org:8036", "ssh tunnel"),
            ("tcp://127.0.0.1:99999", "expected tcp://"),
            ("tcp://", "expected tcp://"),
            ("memory:relative.sock", "absolute path"),
            ("memory:/" + "x" * 120, "longer than 107"),
            ("udp://127.0.0.1:1", "expected memory:"),
            ("", "expected memory:"),
        ],
    )
    def test_refused_with_the_reason(self, text: str, reason: str) -> None:
        with pytest.raises(AddressError, match=reason):
            parse_address(text)

    def test_loopback_by_all_its_names(self) -> None:
        for text in (
            "tcp://127.0.0.1:1",
            "tcp://127.9.9.9:1",
            "tcp://[::1]:1",
            "tcp://localhost:1",
        ):
            assert parse_address(text)

    def test_a_path_in_use_or_out_of_reach(self, tmp_path: Path) -> None:
        address = f"memory:{tmp_path}/link.sock"
        device = Device(FakeSource(), address)
        with pytest.raises(AddressError, match="another module"):
            Device(FakeSource(), address)
        assert (tmp_path / "link.sock").stat().st_mode & 0o777 == 0o600
        device.close()
        (tmp_path / "file").write_text("mine")
        with pytest.raises(AddressError, match="no socket"):
            Device(FakeSource(), f"memory:{tmp_path}/file")
        assert (tmp_path / "file").read_text() == "mine"
        with pytest.raises(AddressError, match="folder that exists"):
            Device(FakeSource(), f"memory:{tmp_path}/file/below.sock")

    def test_a_port_in_use(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(AddressError, match="another port"):
                Device(FakeSource(), f"tcp://127.0.0.1:{port}")
        assert issubclass(AddressError, ModopticError)
