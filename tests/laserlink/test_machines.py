"""Both ends' machines against each other: no socket, no thread, no clock."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modoptic.errors import DetachedError, LinkError, ProtocolError
from modoptic.frame import Frame, Settings, encode_meta
from modoptic.laserlink import (
    FEATURES,
    HEADER_BYTES,
    Check,
    Dock,
    Free,
    HostMachine,
    Line,
    Manifest,
    ManifestStore,
    ModuleMachine,
    MoveLens,
    Outgoing,
    Packet,
    Prepare,
    Signal,
    SignalKind,
    decode_manifest,
    encode_manifest,
    features_of,
    manifest_digest,
    parse_header,
)
from modoptic.laserlink import _messages as m
from modoptic.laserlink._buffers import StillPool
from modoptic.laserlink._packets import CONTROL, pack_packet
from modoptic.source import RingTurned
from modoptic.testing import FakeClock, FakeSource

FINDER = Settings()
STILL = Settings(readout="full")


class Told:
    """A listener that writes down what it is told."""

    def __init__(self, keep: bool = False) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.kept: list[Frame] = []
        self._keep = keep

    def named(self, name: str) -> list[tuple[object, ...]]:
        return [call[1:] for call in self.calls if call[0] == name]

    def dock_changed(self, state: str, why: str, at_ns: int) -> None:
        self.calls.append(("dock", state))

    def ready(self, manifest: Manifest, known: bool) -> None:
        self.calls.append(("ready", manifest, known))

    def detached(self, why: str) -> None:
        self.calls.append(("detached", why))

    def ring_turned(self, event: RingTurned) -> None:
        self.calls.append(("ring", event))

    def finder_begins(self, name: str, frame: Frame) -> None:
        self.calls.append(("early", frame))

    def finder(self, name: str, frame: Frame) -> None:
        self.calls.append(("finder", name, frame.meta.frame_id))
        self.kept.append(frame)
        if not self._keep:
            frame.release()

    def still_progress(self, request_id: int, phase: str, fraction: float) -> None:
        self.calls.append(("progress", request_id, phase, fraction))

    def still_begins(self, request_id: int, frame: Frame) -> None:
        self.calls.append(("begins", request_id, frame))

    def still_done(self, request_id: int) -> None:
        self.calls.append(("done", request_id))

    def still_lost(self, request_id: int, why: str, frame: Frame | None) -> None:
        self.calls.append(("lost", request_id, why, frame))


def keep_all(packets: list[Packet]) -> list[Packet]:
    return packets


class Corridor:
    """A module and a phone joined by function calls, with a clock that is set by hand."""

    def __init__(
        self,
        *,
        manifests: ManifestStore | None = None,
        line: float | None = None,
        keep: bool = False,
        still_buffers: int = 2,
        packet_bytes: int = 512,
        early: bool = False,
    ) -> None:
        self.source = FakeSource(64, 48, still_buffers=still_buffers)
        self.source.start()
        self.manifest = encode_manifest(
            Manifest(info=self.source.info, calibration=self.source.calibration)
        )
        self.module = ModuleMachine(
            self.source.info,
            self.manifest,
            boot_id="boot",
            session=1,
            line=Line(line),
            packet_bytes=packet_bytes,
        )
        self.module.sensor_ready()
        self.told = Told(keep)
        begins = self.told.finder_begins if early else None
        self.host = HostMachine(manifests or ManifestStore(None), StillPool(), early=begins)
        self.clock = FakeClock()
        self.fault: Callable[[list[Packet]], list[Packet]] = keep_all
        self.resent = 0
        self.freed: list[Outgoing] = []
        self.lens: list[MoveLens] = []

    def seat(self) -> None:
        for kind, value in ((1, 0), (5, 1), (6, 0)):
            self.host.signal(Signal(kind, value, 1))
        self.module.hello()

    def attached(self) -> Corridor:
        self.seat()
        self.talk()
        assert self.host.dock.state == "READY"
        return self

    def talk(self) -> None:
        """Control both ways, and the device's answers, until there is nothing left to say."""
        for _ in range(20):
            to_host, to_module = self.module.control_out(), self.host.control_out()
            for packet in to_host:
                self.host.control(packet, self.clock.now)
            for packet in to_module:
                self.module.control(packet)
            orders, self.module.orders = self.module.orders, []
            for order in orders:
                self.do(order)
            while self.host.news:
                self.host.news.popleft()(self.told)
            if not (to_host or to_module or orders):
                return
        raise AssertionError("the two ends never stop talking")

    def do(self, order: Check | Prepare | MoveLens | Free) -> None:
        match order:
            case Check(request=request):
                described = self.source.describe(request.settings)
                size = self.source.picture(described).size
                self.module.accept(request, request.settings, described, size)
            case Prepare(request_id=request_id):
                self.module.prepared(request_id)
            case Free(frame=frame):
                self.freed.append(frame)
            case MoveLens():
                self.lens.append(order)

    def expose(self, rows: int | None = None) -> Outgoing | None:
        """One exposure of whatever is next; with ``rows`` it stops there."""
        job = self.module.next_job()
        if job is None:
            return None
        meta = msgspec.structs.replace(job.described, frame_id=job.frame_id)
        picture = self.source.picture(meta)
        frame = self.module.begin(job, meta, picture.data)
        if frame is None:
            return None
        self.module.rows(frame, meta.height if rows is None else rows)
        if rows is None:
            self.module.finish(frame, meta)
        return frame

    def send(self, room: int = 8) -> int:
        """One batch over the line; how many packets left."""
        packets = self.module.next_packets(self.clock.now, room)
        for header, payload in self.fault(packets):
            parsed = parse_header(header)
            if parsed is None:
                continue
            self.resent += parsed.flags & 1
            target = self.host.place(parsed)[: parsed.length]
            target[:] = payload
            self.host.arrived(parsed, target, self.clock.now)
        self.host.settle(self.clock.now)
        self.module.tick(self.clock.now)
        self.talk()
        return len(packets)

    def settle(self, seconds: float = 2.0) -> None:
        """Let everything cross that can, for so long at most."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            if not self.send():
                self.clock.advance(0.01)


def test_a_new_module_sends_its_manifest_and_a_known_one_does_not() -> None:
    store = ManifestStore(None)
    new = Corridor(manifests=store)
    new.attached()
    states = [state for (state,) in new.told.named("dock")]
    assert states == ["SEATING", "ATTACHED", "ACTIVATED", "ENUMERATED", "READY"]
    manifest, known = new.told.named("ready")[0]
    assert isinstance(manifest, Manifest)
    assert (manifest.info, known) == (new.source.info, False)
    assert store.get(manifest_digest(new.manifest)) == new.manifest
    again = Corridor(manifests=store).attached()
    assert again.told.named("ready")[0][1] is True


def test_finder_frames_need_credit_and_the_latest_wins() -> None:
    corridor = Corridor(keep=True).attached()
    corridor.host.stream("finder", FINDER)
    corridor.talk()
    for _ in range(6):
        corridor.expose()
        corridor.settle(0.2)
    # three buffers; then each new frame takes the place of the one that waits
    assert corridor.told.named("finder") == [("finder", 1), ("finder", 2), ("finder", 3)]
    assert corridor.module.dropped == 2
    for frame in corridor.told.kept:
        frame.release()
    corridor.settle(0.2)
    assert corridor.told.named("finder")[-1] == ("finder", 6)


def test_a_frame_released_on_its_way_is_spared_and_its_memory_written_no_more() -> None:
    corridor = Corridor(early=True).attached()
    corridor.host.stream("finder", Settings(readout="full"))
    corridor.talk()
    for count in range(1, 7):
        corridor.expose(rows=24)
        corridor.send(4)
        (frame,) = corridor.told.named("early")[count - 1]
        assert isinstance(frame, Frame)
        assert frame.rows_valid
        frame.release()
        frame.data[:] = 0
        corridor.settle(0.3)
        assert not frame.data.any()
    assert len(corridor.freed) == 6
    corridor.expose()
    corridor.settle(0.3)
    assert corridor.told.named("finder") == [("finder", 7)]


def test_finder_and_loupe_take_turns_and_a_still_goes_in_front() -> None:
    corridor = Corridor().attached()
    corridor.host.stream("finder", FINDER)
    corridor.host.stream("loupe", Settings(readout="full", region=(0, 0, 16, 16)))
    corridor.talk()
    order: list[str] = []
    for turn in range(5):
        if turn == 2:
            corridor.host.shoot(STILL)
            corridor.talk()
        frame = corridor.expose()
        assert frame is not None
        order.append(frame.stream)
        corridor.settle(0.05)
    assert order == ["finder", "loupe", "still", "finder", "loupe"]


def test_a_still_arrives_row_by_row_and_is_freed_when_durable() -> None:
    corridor = Corridor().attached()
    request = corridor.host.shoot(STILL)
    corridor.talk()
    outgoing = corridor.expose(rows=24)
    assert outgoing is not None
    corridor.settle(0.05)
    _, frame = corridor.told.named("begins")[0]
    assert isinstance(frame, Frame)
    assert 0 < frame.rows_valid <= 24
    meta = msgspec.structs.replace(corridor.source.describe(STILL), frame_id=1, temperature_c=31.0)
    corridor.module.finish(outgoing, meta)
    corridor.settle(0.05)
    assert corridor.told.named("done") == [(request,)]
    assert frame.complete
    assert frame.meta.temperature_c == 31.0
    assert np.array_equal(frame.data, corridor.source.picture(meta))
    assert not corridor.freed
    corridor.host.ack_durable(1)
    corridor.talk()
    assert [freed.id for freed in corridor.freed] == [1]


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 12)), st.sampled_from(["lost", "payload", "header"]))
def test_whatever_is_lost_once_comes_again(lost: set[int], how: str) -> None:
    corridor = Corridor().attached()
    request = corridor.host.shoot(STILL)
    corridor.talk()
    corridor.expose()
    count = 0

    def fault(packets: list[Packet]) -> list[Packet]:
        nonlocal count
        passed: list[Packet] = []
        for header, payload in packets:
            hit = count in lost
            count += 1
            if hit and how == "payload":
                damaged = bytearray(payload)
                damaged[len(damaged) // 2] ^= 4
                passed.append((header, memoryview(damaged)))
            elif hit and how == "header":
                passed.append((header[:9] + bytes([header[9] ^ 1]) + header[10:], payload))
            elif not hit:
                passed.append((header, payload))
        return passed

    corridor.fault = fault
    corridor.settle(3.0)
    assert corridor.told.named("done") == [(request,)]
    _, frame = corridor.told.named("begins")[0]
    assert isinstance(frame, Frame)
    assert np.array_equal(frame.data, corridor.source.picture(frame.meta))


def test_one_lost_packet_is_asked_for_once() -> None:
    corridor = Corridor().attached()
    corridor.host.shoot(STILL)
    corridor.talk()
    corridor.expose()
    dropped: list[Packet] = []

    def drop_fourth(packets: list[Packet]) -> list[Packet]:
        if not dropped and len(packets) > 3:
            dropped.append(packets.pop(3))
        return packets

    corridor.fault = drop_fourth
    corridor.settle(0.04)
    assert corridor.resent == 1
    assert corridor.told.named("done")


def test_busy_is_said_with_the_time_until_it_is_not() -> None:
    corridor = Corridor().attached()
    corridor.host.shoot(STILL)
    corridor.host.shoot(STILL)
    with pytest.raises(LinkError, match=r"BUSY.*2 photos.* s"):
        corridor.host.shoot(STILL)
    # a phone that does not count for itself is told by the module
    corridor.talk()
    request = m.Request(id=90, stream="still", settings=STILL)
    corridor.module.control(pack_packet(CONTROL, 1, m.encode(request)))
    answer = m.decode(corridor.module.control_out()[-1][HEADER_BYTES:])
    assert isinstance(answer, m.Refused)
    assert answer.code == "BUSY"
    assert answer.retry_s is not None


def test_cancel_and_flush_give_the_buffers_back() -> None:
    corridor = Corridor().attached()
    first = corridor.host.shoot(STILL)
    second = corridor.host.shoot(STILL)
    corridor.talk()
    corridor.host.cancel(first)
    corridor.talk()
    corridor.host.flush()
    corridor.talk()
    assert [call[:2] for call in corridor.told.named("lost")] == [
        (first, "cancelled"),
        (second, "cancelled"),
    ]
    assert corridor.expose() is None
    corridor.host.shoot(STILL)


def test_stopping_a_stream_in_the_middle_of_a_frame() -> None:
    corridor = Corridor().attached()
    corridor.host.stream("finder", FINDER)
    corridor.talk()
    corridor.expose(rows=6)
    corridor.send()
    corridor.host.stop_stream("finder")
    corridor.talk()
    assert len(corridor.freed) == 1
    assert corridor.expose() is None
    corridor.host.stream("finder", FINDER)
    corridor.talk()
    for _ in range(5):
        corridor.expose()
        corridor.settle(0.05)
    assert len(corridor.told.named("finder")) == 5


def test_detach_in_a_still_reports_it_with_what_came() -> None:
    corridor = Corridor().attached()
    request = corridor.host.shoot(STILL)
    other = corridor.host.shoot(STILL)
    corridor.talk()
    corridor.expose(rows=24)
    corridor.settle(0.05)
    corridor.host.signal(Signal(SignalKind.MAGNET_OFF, 0, 5))
    corridor.talk()
    lost = corridor.told.named("lost")
    assert [call[0] for call in lost] == [request, other]
    frame = lost[0][2]
    assert isinstance(frame, Frame)
    assert 0 < frame.rows_valid <= 24
    with pytest.raises(DetachedError, match="pulled off"):
        frame.wait_rows(48)
    assert lost[1][2] is None
    assert corridor.told.named("detached") == [("pulled off",)]
    with pytest.raises(DetachedError):
        corridor.host.shoot(STILL)


def test_a_still_released_on_its_way_is_lost_and_its_memory_written_no_more() -> None:
    corridor = Corridor().attached()
    first = corridor.host.shoot(STILL)
    corridor.talk()
    corridor.expose(rows=24)
    corridor.send(4)
    _, frame = corridor.told.named("begins")[0]
    assert isinstance(frame, Frame)
    frame.release()
    second = corridor.host.shoot(STILL)
    corridor.talk()
    corridor.expose()
    corridor.settle(0.3)
    assert [call[0] for call in corridor.told.named("lost")] == [first]
    assert corridor.told.named("done") == [(second,)]
    assert len(corridor.freed) == 1


def test_a_ring_event_and_the_lens() -> None:
    corridor = Corridor().attached()
    event = RingTurned(4, 1.25, 77)
    corridor.module.ring_turned(event)
    corridor.host.set_lens(0.5, None)
    corridor.talk()
    assert corridor.told.named("ring") == [(event,)]
    assert corridor.lens == [MoveLens(0.5, None)]


def test_a_limited_line_keeps_its_rate_and_the_still_gets_most_of_it() -> None:
    corridor = Corridor(line=1e6, packet_bytes=512).attached()
    corridor.host.stream("finder", Settings(readout="full"))
    corridor.host.shoot(STILL)
    corridor.talk()
    corridor.expose()
    began = corridor.clock.now
    while not corridor.told.named("done"):
        if corridor.module.room("finder"):
            corridor.expose()
        corridor.send()
        wake = corridor.module.wake_at(corridor.clock.now)
        corridor.clock.advance(1e-4)
        if wake is not None:
            corridor.clock.until(wake)
    still = corridor.source.picture(corridor.source.describe(STILL)).size
    alone = 8 * still / 1e6
    assert alone <= corridor.clock.now - began <= 1.7 * alone


def hostile_leader(corridor: Corridor, **changes: object) -> bytes:
    meta = msgspec.structs.replace(corridor.source.describe(STILL), **changes.pop("meta", {}))  # type: ignore[arg-type]
    fields = {
        "stream": "still",
        "request_id": 1,
        "size": corridor.source.picture(corridor.source.describe(STILL)).size,
        "packet_bytes": 512,
        "meta": encode_meta(meta),
    }
    return msgspec.msgpack.encode({**fields, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 1 << 40},
        {"size": 1},
        {"packet_bytes": 0},
        {"packet_bytes": 1 << 20},
        {"request_id": 77},
        {"stream": "finder"},
        {"meta": {"height": 1 << 20}},
        {"meta": {"width": -2}},
        {"meta": {"pixel_format": "Nonsense"}},
        {"meta": {"height": 0}},
    ],
)
def test_hostile_leaders_take_no_memory(changes: dict[str, object]) -> None:
    corridor = Corridor().attached()
    corridor.host.shoot(STILL)
    corridor.talk()
    packet = pack_packet(3, 1, hostile_leader(corridor, **changes))
    header = parse_header(packet)
    assert header is not None
    corridor.host.place(header)[: header.length] = packet[HEADER_BYTES:]
    corridor.host.arrived(header, memoryview(packet)[HEADER_BYTES:], 1.0)
    corridor.host.settle(1.0)
    corridor.talk()
    assert not corridor.told.named("begins")


def test_what_was_checked_is_never_written_again() -> None:
    corridor = Corridor().attached()
    corridor.host.shoot(STILL)
    corridor.talk()
    corridor.expose(rows=24)
    corridor.settle(0.05)
    _, frame = corridor.told.named("begins")[0]
    assert isinstance(frame, Frame)
    again = parse_header(pack_packet(3, 1, bytes(512), index=1))
    assert again is not None
    corridor.host.place(again)[:512] = bytes(512)
    assert np.array_equal(frame.data[:512], corridor.source.picture(frame.meta)[:512])


@pytest.mark.parametrize(
    "message",
    [
        m.Request(id=1, stream="still", settings=STILL),
        m.Welcome(major=1, minor=0, session=9, packet_bytes=512, need_manifest=False),
        m.Welcome(major=2, minor=0, session=1, packet_bytes=512, need_manifest=False),
    ],
)
def test_a_session_begins_with_the_right_welcome(message: m.Message) -> None:
    corridor = Corridor()
    corridor.seat()
    with pytest.raises(ProtocolError):
        corridor.module.control(pack_packet(CONTROL, 1, m.encode(message)))


def test_request_ids_rise() -> None:
    corridor = Corridor().attached()
    packet = pack_packet(CONTROL, 1, m.encode(m.Request(id=5, stream="still", settings=STILL)))
    corridor.module.control(packet)
    with pytest.raises(ProtocolError, match="rise"):
        corridor.module.control(packet)


def test_a_damaged_control_packet_ends_the_session() -> None:
    corridor = Corridor()
    corridor.seat()
    packet = bytearray(corridor.module.control_out()[0])
    packet[40] ^= 1
    with pytest.raises(ProtocolError, match="damaged"):
        corridor.host.control(bytes(packet), 0.0)


def test_another_major_version_is_refused_in_words() -> None:
    corridor = Corridor()
    corridor.seat()
    hello = m.decode(corridor.module.control_out()[0][HEADER_BYTES:])
    later = msgspec.structs.replace(hello, major=2)  # type: ignore[type-var]
    corridor.host.control(pack_packet(CONTROL, 1, m.encode(later)), 0.0)
    assert corridor.host.dock.state == "REFUSED"
    assert "version 2" in corridor.host.dock.why


def test_a_forged_manifest_is_refused() -> None:
    corridor = Corridor()
    corridor.seat()
    corridor.manifest = b"\x00" + corridor.manifest[1:]
    corridor.module._manifest = corridor.manifest
    with pytest.raises(ProtocolError, match="manifest"):
        corridor.talk()


def test_a_manifest_is_at_most_as_large_as_it_was_announced_and_as_any_may_be() -> None:
    corridor = Corridor()
    corridor.seat()
    hello = m.decode(corridor.module.control_out()[0][HEADER_BYTES:])
    assert isinstance(hello, m.Hello)
    large = msgspec.structs.replace(hello, manifest_bytes=5 << 20)
    with pytest.raises(ProtocolError, match="5242880 bytes"):
        corridor.host.control(pack_packet(CONTROL, 1, m.encode(large)), 0.0)
    small = msgspec.structs.replace(hello, manifest_bytes=60_000)
    corridor.host.control(pack_packet(CONTROL, 1, m.encode(small)), 0.0)
    part = m.ManifestPart(offset=0, data=bytes(40_000))
    corridor.host.control(pack_packet(CONTROL, 2, m.encode(part)), 0.0)
    more = m.ManifestPart(offset=40_000, data=bytes(40_000))
    with pytest.raises(ProtocolError, match="more manifest"):
        corridor.host.control(pack_packet(CONTROL, 3, m.encode(more)), 0.0)


def test_a_kept_manifest_that_cannot_be_read_is_asked_for_again() -> None:
    corridor = Corridor()

    class Damaged(ManifestStore):
        def get(self, digest: str) -> bytes | None:
            return b"of another time"

    corridor.host = HostMachine(Damaged(None), StillPool())
    corridor.attached()
    assert corridor.told.named("ready")[0][1] is False


def changed(part: str, **changes: object) -> bytes:
    """The manifest of a fake camera with other values in ``part``."""
    source = FakeSource(64, 48)
    whole = Manifest(info=source.info, calibration=source.calibration)
    other = msgspec.structs.replace(getattr(whole, part), **changes)
    return encode_manifest(msgspec.structs.replace(whole, **{part: other}))


@pytest.mark.parametrize(
    "changes",
    [
        {"f_number_min": math.nan},
        {"f_number_min": 0.0},
        {"f_number_max": 1.0},
        {"exposure_max_s": math.inf},
        {"pitch_um": -1.0},
        {"base_iso": 0.0},
        {"sensor_width": 0},
        {"sensor_width": 1 << 40},
        {"sensor_width": 32},  # its readouts are wider
        {"readouts": ()},
        {"power_mw": {"still": math.nan}},
    ],
)
def test_a_manifest_has_the_numbers_of_a_camera(changes: dict[str, object]) -> None:
    decode_manifest(changed("info"))
    with pytest.raises(ProtocolError, match="of no camera"):
        decode_manifest(changed("info", **changes))


def test_a_manifest_has_the_calibration_of_a_camera() -> None:
    for black_level in (math.nan, -1.0):
        with pytest.raises(ProtocolError, match="of no camera"):
            decode_manifest(changed("calibration", black_level=black_level))


def test_features_travel_with_the_ranges_of_their_camera() -> None:
    info = FakeSource(64, 48).info
    manifest = Manifest(
        info=info, calibration=FakeSource(64, 48).calibration, feature_table=features_of(info)
    )
    table = {f.name: f for f in decode_manifest(encode_manifest(manifest)).feature_table}
    assert table.keys() == FEATURES.keys()
    assert (table["ExposureTime"].minimum, table["ExposureTime"].maximum) == (10.0, 1e6)
    assert (table["Gain"].minimum, table["Gain"].maximum) == (1.0, 16.0)
    assert (table["Aperture"].minimum, table["Aperture"].maximum) == (2.0, 16.0)
    # to infinity
    assert (table["ObjectSensorDistance"].minimum, table["ObjectSensorDistance"].maximum) == (
        100.0,
        None,
    )
    assert table["PixelFormat"].values == ("BayerRG12p", "BayerRG14p")
    assert (table["BinningHorizontal"].minimum, table["BinningHorizontal"].maximum) == (1, 4)


def test_manifests_of_other_minor_versions_are_read() -> None:
    fields = msgspec.msgpack.decode(changed("info"))
    names_only = {**fields, "features": ["Gain", "Aperture"]}
    names_only.pop("feature_table")
    assert decode_manifest(msgspec.msgpack.encode(names_only)).feature_table == ()
    later = {**fields, "feature_table": [{"name": "Zoom", "kind": "ratio", "steps": 3}], "x": 1}
    (zoom,) = decode_manifest(msgspec.msgpack.encode(later)).feature_table
    assert (zoom.name, zoom.kind, zoom.locked, zoom.delay_frames) == ("Zoom", "ratio", False, 0)


class TestDock:
    def test_a_tilted_module_has_no_contact_until_it_lies_flat(self) -> None:
        corridor = Corridor().attached()
        corridor.host.signal(Signal(SignalKind.PADS_BAD, 500, 1))
        assert corridor.host.dock.state == "SEATING"
        assert "5 degrees" in corridor.host.dock.why
        corridor.talk()
        assert len(corridor.told.named("detached")) == 1
        corridor.host.signal(Signal(SignalKind.PADS_GOOD, 0, 2))
        assert corridor.host.dock.why == ""

    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 900)), max_size=30))
    def test_the_magnet_alone_decides_detached(self, signals: list[tuple[int, int]]) -> None:
        dock = Dock()
        seated = False
        for kind, value in signals:
            dock.signal(Signal(kind, value, 0))
            seated = {SignalKind.MAGNET_ON: True, SignalKind.MAGNET_OFF: False}.get(kind, seated)  # type: ignore[call-overload]
            assert (dock.state != "DETACHED") == seated


def test_known_modules_survive_a_restart_and_damage_does_not(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data = b"manifest"
    digest = manifest_digest(data)
    ManifestStore(tmp_path).put(digest, data)
    assert ManifestStore(tmp_path).get(digest) == data
    (tmp_path / f"{digest}.manifest").write_bytes(b"other")
    assert ManifestStore(tmp_path).get(digest) is None
    assert ManifestStore(tmp_path).get("../../etc/passwd") is None
    unwritable = ManifestStore(tmp_path / f"{digest}.manifest" / "below-a-file")
    unwritable.put(digest, data)
    assert unwritable.get(digest) == data
