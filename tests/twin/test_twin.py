"""What a twin promises as a `Source`, and that its calibration is what its frames say."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from modoptic.bands import worker_count
from modoptic.calibration import Calibration
from modoptic.errors import DetachedError, SettingError
from modoptic.frame import Frame, FrameMeta, Readout, Settings, decode_meta, encode_meta
from modoptic.optics import LensState, LightRenderer
from modoptic.pixels import bayer_format, unpack
from modoptic.quad import QUAD, remosaic
from modoptic.scenes import WAVELENGTHS_NM, Lamps, Scene, load_scene, observer
from modoptic.sensor import BINNING, CompactLight, IdealSensor, Sensor, Shot
from modoptic.source import RingTurned
from modoptic.twin import (
    Twin,
    _twin,
    base_iso,
    definitions,
    load_definition,
    measure_calibration,
    saturation_speed,
    spectral_response,
)
from modoptic.twin._definition import camera_info
from modoptic.twin._light import LightMaps, Window, sample_grid

SMALL = Settings(readout="full", region=(4800, 3600, 512, 384), f_number=2.0, focus_distance_m=1.0)


def shoot(twin: Twin, settings: Settings) -> Frame:
    described = twin.describe(settings)
    bits = 14 if described.pixel_format.endswith("14p") else 12
    out = bytearray(described.width * described.height * bits // 8)
    counts: list[int] = []
    meta = twin.capture(settings, memoryview(out), counts.append)
    assert counts == sorted(counts) and counts[-1] == meta.height
    return Frame(meta, memoryview(out))


@pytest.fixture
def twin() -> Iterator[Twin]:
    twin = Twin("xiaomi-mos-35", "flat", real_time=False)
    twin.start()
    yield twin
    twin.close()


@pytest.mark.parametrize("name", ["xiaomi-mos-35", "phone-1inch"])
def test_what_the_definitions_say(name: str) -> None:
    twin = Twin(name, "flat", real_time=False)
    info = twin.info
    sizes = {mode.name: (mode.width, mode.height) for mode in info.readouts}
    if name == "phone-1inch":
        assert sizes == {"full": (8192, 6144), "bin2": (4096, 3072), "bin4": (2048, 1536)}
        assert info.built_in and info.f_number_min == info.f_number_max == 1.63
    else:
        every = (11648, 8736)
        binned = {"bin2": (5824, 4368), "bin4": (2912, 2184)}
        assert sizes == {"full": every, "native": every, **binned}
        assert info.sensor_width * info.pitch_um == pytest.approx(17297, abs=1)
        assert info.start_up.sensor_s == 0.030
    diagonal = math.hypot(info.sensor_width, info.sensor_height) * info.pitch_um * 1e-3
    assert info.focal_length_mm * 43.267 / diagonal == pytest.approx(
        info.focal_length_35mm, rel=0.01
    )
    assert twin.calibration.unit == info.id
    assert name in definitions()


@pytest.mark.parametrize("name", ["xiaomi-mos-35", "phone-1inch"])
def test_base_iso_follows_from_the_response(name: str) -> None:
    """ISO 12232: saturation based speed 78 / H_sat, H_sat in lx s of daylight."""
    definition = load_definition(name)
    light = load_scene("flat", light="D55")
    radiance = light.layers[0].basis[0]  # type: ignore[union-attr]
    electrons = spectral_response(definition).electrons(light.wavelengths_nm, radiance) * 1e-12
    lux = 683.002 * 5.0 * float(radiance @ observer()[:, 1])
    s = definition.sensor
    # the sensor bends: a little more light than a straight one takes
    saturation_e = min((4095 - s.black_dn) / s.dn_per_electron, s.full_well_e) / s.pitch_um**2
    speed = 78 / (saturation_e / (electrons.max() / lux))
    assert saturation_speed(definition) == pytest.approx(speed, rel=0.003)
    # marked as cameras are, by the nearest third of a stop
    assert base_iso(definition) == camera_info(definition, "1").base_iso == 64
    assert abs(math.log2(speed / 64)) <= 1 / 6


def test_the_mean_level_is_what_radiometry_says(twin: Twin) -> None:
    """Electrons = pi L tau QE A t / (4 N^2) on the axis, focused at infinity, less by the cone."""
    settings = msgspec.structs.replace(
        SMALL, region=(5568, 4176, 512, 384), focus_distance_m=math.inf, f_number=2.0,
        exposure_s=1 / 400,
    )  # fmt: skip
    frame = shoot(twin, settings)
    d = twin.definition
    radiance = twin.scene.layers[0].basis[0]  # type: ignore[union-attr]
    per_sr = spectral_response(d).electrons(twin.scene.wavelengths_nm, radiance)
    rate = per_sr * math.pi * d.transmittance / (4 * 2.0**2) * (d.sensor.pitch_um * 1e-6) ** 2
    # in direction cosines the cone is an even disc; here it stands upright on the sensor
    angle, sine2 = d.sensor.angle, np.linspace(0.0, (0.5 / 2.0) ** 2, 1001)
    taken = 2.0 ** -(sine2 / np.sin(np.deg2rad(angle.half_deg))[:, None] ** 2)
    lost = taken * np.array(angle.crosstalk)[:, None] * sine2 / 0.5**2
    kept, given = rate * (taken - lost).mean(1), rate * lost.mean(1)
    rate = kept + np.array([given[1], (given[0] + given[2]) / 2, given[1]])
    mosaic = frame.mosaic().astype(float) - frame.meta.black_level[0]
    for channel, plane in ((0, mosaic[::2, ::2]), (1, mosaic[::2, 1::2]), (2, mosaic[1::2, 1::2])):
        expected = rate[channel] / 400 * d.sensor.dn_per_electron
        # the unit's own tolerance of 1.5 % (one sigma) in each channel
        assert plane.mean() == pytest.approx(expected, rel=0.06)


def test_every_readout_and_depth_sees_the_same_light(twin: Twin) -> None:
    levels = []
    for readout in ("full", "native", "bin2", "bin4"):
        for bits in (12, 14):
            settings = msgspec.structs.replace(
                SMALL,
                readout=readout,
                bits=bits,
                exposure_s=1 / 400,
                region=(5312, 3984, 1024, 768),
            )
            frame = shoot(twin, settings)
            side = BINNING[readout]
            assert (frame.width, frame.height) == (1024 // side, 768 // side)
            depth = 2 ** (bits - 12)
            levels.append(float(frame.mosaic().mean() - frame.meta.black_level[0]) / depth)
    whole = shoot(
        twin, msgspec.structs.replace(SMALL, readout="bin4", region=None, exposure_s=1 / 400)
    )
    levels.append(float(whole.mosaic()[996:1188, 1328:1584].mean()) - whole.meta.black_level[0])
    assert np.ptp(levels) < 0.01 * levels[0]


def test_noise_model_of_the_calibration_tells_the_noise_of_frames(twin: Twin) -> None:
    for readout, gain in (("native", 1.0), ("native", 6.2), ("native", 6.25), ("bin2", 3.0)):
        settings = msgspec.structs.replace(
            SMALL,
            readout=readout,
            gain=gain,
            exposure_s=1 / 400 / gain,
            region=(5312, 3984, 1024, 768),
        )
        a, b = (shoot(twin, settings) for _ in range(2))
        meta = a.meta
        span = meta.white_level - meta.black_level[0]
        cell, column = len(meta.cfa), meta.cfa[0].index("G")
        greens = [f.mosaic()[::cell, column::cell].astype(float) for f in (a, b)]
        signal = float(greens[0].mean() - meta.black_level[0]) / span
        variance = float((greens[0] - greens[1]).var() / 2) / span**2
        assert variance == pytest.approx(meta.noise.scale * signal + meta.noise.offset, rel=0.05)


def test_the_shipped_calibration_is_measured_on_the_shipped_definition() -> None:
    again = measure_calibration("phone-1inch", seed=1)
    shipped = Twin("phone-1inch", "flat", real_time=False).calibration
    assert again.black_level == pytest.approx(shipped.black_level, abs=0.05)
    assert again.defects == shipped.defects and len(again.defects) > 20
    for a, b in zip(again.colors, shipped.colors, strict=True):
        np.testing.assert_allclose(a.color_matrix, b.color_matrix, atol=0.01)
    spec = load_definition("phone-1inch").sensor
    point = again.noise[0]
    electrons = point.scale * (4095 - again.black_level)
    assert electrons == pytest.approx(spec.dn_per_electron, rel=0.03)
    read = math.sqrt(point.offset) * (4095 - again.black_level) / spec.dn_per_electron
    assert read == pytest.approx(Sensor(spec).read_noise_e(1.0), rel=0.12)


def test_neutral_patches_come_out_neutral_and_colours_near(twin: Twin) -> None:
    """White balance on a grey, then ForwardMatrix: CIE XYZ of the patches."""
    from modoptic import measure
    from modoptic.scenes import colorchecker_reflectances, illuminant
    from modoptic.twin._calibrate import _patches

    twin.set_scene(load_scene("colorchecker", light="D65", distance_m=0.6)).join()
    frame = shoot(
        twin, Settings(readout="bin4", f_number=4.0, focus_distance_m=0.6, exposure_s=1 / 60)
    )
    camera = measure.patch_means(
        frame.mosaic(), frame.meta.cfa, _patches(twin.info, "bin4", 0.6), frame.meta.black_level[0]
    )
    forward = np.array(twin.calibration.colors[1].forward_matrix)
    xyz = camera / camera[20] @ forward.T
    neutral = xyz[19:23] / xyz[19:23, 1:2]
    np.testing.assert_allclose(neutral / [0.96422, 1, 0.82521], 1, atol=0.02)
    light = illuminant("D65")
    wanted = np.stack(list(colorchecker_reflectances().values())) * light @ observer()
    white = light @ observer()
    wanted = (
        wanted @ measure.chromatic_adaptation(white / white[1], np.array([0.96422, 1, 0.82521])).T
    )
    u = xyz / xyz.sum(1, keepdims=True) - wanted / wanted.sum(1, keepdims=True)
    assert np.abs(u[:, :2]).mean() < 0.012  # chromaticity x, y


def test_settings_are_clamped_rounded_and_refused(twin: Twin) -> None:
    s = twin.in_force(
        Settings(exposure_s=1e9, gain=1e9, f_number=1.0, focus_distance_m=0.01, region=(3, 5, 9, 9))
    )
    assert (s.exposure_s, s.gain, s.f_number, s.focus_distance_m) == (30.0, 64.0, 1.4, 0.30)
    x, y, width, height = s.region or (1, 1, 1, 1)
    assert x <= 3 and y <= 5 and x + width >= 12 and y + height >= 14
    assert width % 16 == 0 and x % 8 == 0 and y % 8 == 0
    corner = twin.in_force(Settings(readout="full", region=(11640, 8730, 100, 100))).region
    assert corner is not None and corner[0] + corner[2] <= 11648 and corner[1] + corner[3] <= 8736
    assert twin.in_force(Settings(f_number=99.0)).f_number == 11.0
    for bad in (
        {"exposure_s": math.nan}, {"f_number": math.nan}, {"focus_distance_m": math.nan},
        {"readout": "bin3"}, {"bits": 16}, {"region": (0, 0, 0, 4)},
    ):  # fmt: skip
        with pytest.raises(SettingError):
            twin.in_force(Settings(**bad))  # type: ignore[arg-type]


def test_metadata_is_complete(twin: Twin) -> None:
    before = time.monotonic_ns()
    meta = shoot(twin, msgspec.structs.replace(SMALL, gain=4.0)).meta
    assert meta.iso == twin.info.base_iso * 4
    assert before <= meta.sensor_time_ns <= meta.readout_end_ns <= time.monotonic_ns()
    assert (meta.make, meta.model, meta.serial) == (twin.info.make, twin.info.model, "000001")
    assert meta.focal_length_mm == 17.5 and meta.focal_length_35mm == 35.0
    assert meta.white_level == 4095 and meta.black_level[0] == twin.calibration.black_level
    assert meta.calibration == twin.calibration.digest() and meta.orientation == 1
    assert meta.noise.scale > 0 and meta.row_time_ns == round(0.125e9 / 8736)
    assert decode_meta(encode_meta(meta)) == meta
    described = twin.describe(msgspec.structs.replace(SMALL, gain=4.0))
    assert isinstance(described, FrameMeta)
    assert described == msgspec.structs.replace(meta, sensor_time_ns=0, readout_end_ns=0)


def test_repeatable_from_the_seed_and_unlike_between_frames_and_units() -> None:
    def frames(seed: int) -> list[bytes]:
        twin = Twin("phone-1inch", "flat", seed=seed, real_time=False, calibration=Calibration())
        twin.start()
        return [shoot(twin, SMALL).data.tobytes() for _ in range(2)]

    first, second = frames(1)
    assert [first, second] == frames(1)
    assert first != second
    assert frames(2)[0] != first


def test_the_ring_moves_the_lens_at_once_and_newer_requests_win(twin: Twin) -> None:
    heard: list[RingTurned] = []
    twin.subscribe(heard.append)
    finder = Settings(readout="bin4", focus_distance_m=1.0, f_number=2.0)
    assert shoot(twin, finder).meta.settings.focus_distance_m == 1.0
    twin.turn_ring(0.5)
    twin.turn_ring(0.1)
    # the first says where the ring stands, before anyone turned it
    assert [e.sequence for e in heard] == [0, 1, 2]
    assert heard[2].focus_distance_m == 0.30 and heard[2].at_ns >= heard[1].at_ns
    turned = shoot(twin, finder).meta
    assert turned.settings.focus_distance_m == 0.30
    assert turned.sensor_time_ns >= heard[2].at_ns
    new = msgspec.structs.replace(finder, focus_distance_m=2.0)
    assert shoot(twin, new).meta.settings.focus_distance_m == 2.0
    twin.set_lens(focus_distance_m=math.inf, f_number=8.0)
    in_force = shoot(twin, new).meta.settings
    assert (in_force.focus_distance_m, in_force.f_number) == (math.inf, 8.0)
    with pytest.raises(SettingError):
        twin.turn_ring(math.nan)


def test_no_power_no_picture(twin: Twin) -> None:
    twin.stop()
    with pytest.raises(DetachedError):
        shoot(twin, SMALL)
    with pytest.raises(DetachedError):
        twin.prepare(Settings(readout="bin2"), lambda part: None)
    twin.start()
    shoot(twin, SMALL)


def test_power_away_ends_a_long_exposure_soon() -> None:
    twin = Twin("phone-1inch", "flat", calibration=Calibration())
    twin.start()
    settings = msgspec.structs.replace(SMALL, exposure_s=20.0)
    threading.Timer(0.2, twin.stop).start()
    began = time.monotonic()
    with pytest.raises(DetachedError):
        shoot(twin, settings)
    assert time.monotonic() - began < 5.0


def test_real_time_is_spent_and_exposures_overlap_readout() -> None:
    twin = Twin("phone-1inch", "flat", calibration=Calibration())
    began = time.monotonic()
    twin.start()
    assert time.monotonic() - began >= 0.030
    settings = Settings(readout="bin4", exposure_s=0.1)
    metas = [shoot(twin, settings).meta for _ in range(3)]
    for meta in metas:
        assert meta.readout_end_ns - meta.sensor_time_ns >= 0.110e9
    for one, two in itertools.pairwise(metas):
        # rows are exposed again once they are read, never before
        assert two.sensor_time_ns >= one.sensor_time_ns + 0.1e9
        assert two.readout_end_ns > one.readout_end_ns
    quick = msgspec.structs.replace(settings, exposure_s=1 / 2000)
    ends = [shoot(twin, quick).meta.readout_end_ns for _ in range(4)]
    # 60 frames a second at most
    assert min(np.diff(ends)) >= 0.99e9 / 60


def test_the_finder_goes_on_beside_a_still_but_leaves_it_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apart_s = 0.4
    monkeypatch.setattr(_twin, "_BESIDE_STILL_S", apart_s * max(worker_count(), 2))
    twin = Twin("phone-1inch", "flat", calibration=Calibration())
    twin.start()
    finder = Settings(readout="bin4", exposure_s=1 / 2000)
    still = msgspec.structs.replace(finder, readout="full")
    computing, go_on = threading.Event(), threading.Event()

    def progress(share: float) -> None:
        computing.set()
        assert go_on.wait(60)

    preparing = threading.Thread(target=twin.prepare, args=(still, progress))
    preparing.start()
    assert computing.wait(60)
    beside = [shoot(twin, finder).meta.sensor_time_ns for _ in range(4)]
    # nor does what is magnified wait, wherever the ring stands
    shoot(twin, msgspec.structs.replace(SMALL, f_number=4.0))
    assert preparing.is_alive()
    go_on.set()
    preparing.join()
    after = [shoot(twin, finder).meta.sensor_time_ns for _ in range(5)]
    twin.close()
    # the first may follow a frame long ago
    assert min(np.diff(beside)) >= 0.99e9 * apart_s > min(np.diff(after))


def test_the_finder_settles_when_no_still_is_made() -> None:
    definition = load_definition("phone-1inch")
    lens = LensState(definition.focal_length_mm, 2.0, 1.0)
    renderer = LightRenderer(load_scene("flat"), spectral_response(definition))
    maps = LightMaps(renderer, definition.sensor, settles=True)
    with maps.still():
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert not isinstance(maps.preview(lens), CompactLight)
            time.sleep(0.1)
    until = time.monotonic() + 60.0
    while not isinstance(maps.preview(lens), CompactLight) and time.monotonic() < until:
        time.sleep(0.05)
    assert isinstance(maps.preview(lens), CompactLight)
    maps.close()


def test_prepared_light_is_used_again_and_cropped(twin: Twin) -> None:
    progress: list[float] = []
    settings = Settings(readout="bin2", f_number=4.0, focus_distance_m=1.0, exposure_s=1 / 100)
    twin.prepare(settings, progress.append)
    assert progress[-1] == 1.0 and len(progress) > 5 and progress == sorted(progress)
    again: list[float] = []
    twin.prepare(settings, again.append)
    assert again == [1.0]
    frame = shoot(twin, settings)
    assert (frame.width, frame.height) == (5824, 4368)


def test_scene_changes_when_it_is_ready_and_a_bad_one_changes_nothing(twin: Twin) -> None:
    bright = shoot(twin, SMALL).mosaic().mean()
    twin.set_scene(load_scene("flat", luminance_cd_m2=10.0)).join()
    dark = shoot(twin, SMALL).mosaic().mean()
    assert dark < bright / 2
    twin.set_scene("/nowhere/at-all.jpg").join()
    assert twin.scene.name == "flat" and twin.scene_error and twin.scene_loading is None


@pytest.mark.parametrize("cfa", ["bayer", "quad"])
def test_binned_samples_lie_at_the_middle_of_their_photosites(cfa: str) -> None:
    spec = msgspec.structs.replace(load_definition("xiaomi-mos-35").sensor, cfa=cfa)
    # photosites along a row that become the first two pixels of a binned readout
    gathered = {
        # the finder's are weighted so that they lie evenly
        "bayer": {"bin2": ([0, 2], [1, 3]), "bin4": ([0, 1, 2, 3], [4, 5, 6, 7])},
        "quad": {"bin2": ([0, 1], [2, 3]), "bin4": ([0, 1, 4, 5], [2, 3, 6, 7])},
    }[cfa]
    for readout, pixels in gathered.items():
        side = BINNING[readout]  # type: ignore[index]
        grid = sample_grid(spec, Window(readout, 0, 0, 16, 8))  # type: ignore[arg-type]
        expected = [(np.mean(p) - (spec.width - 1) / 2) * spec.pitch_um for p in pixels]
        np.testing.assert_allclose(grid.x_um[:2], expected)
        assert grid.area_um2 == pytest.approx((side * spec.pitch_um) ** 2)
        assert grid.cfa == ("RG", "GB")
        even = (np.arange(16) - 7.5) * side * spec.pitch_um
        beside = (grid.x_um - grid.x_um.mean() - even) / (side * spec.pitch_um)
        shift = spec.centroid_shift(readout)  # type: ignore[arg-type]
        np.testing.assert_allclose(beside[::2], shift, atol=1e-6)
        np.testing.assert_allclose(beside[1::2], -shift, atol=1e-6)
    full = sample_grid(spec, Window("full", 0, 0, 16, 8))
    assert full.cfa == spec.mosaic and full.pitch_um == spec.pitch_um


def _centroid(plane: npt.NDArray[np.float64]) -> float:
    """Along a row, in elements."""
    line = np.clip(plane - np.median(plane), 0.0, None).sum(0)
    return float(line @ np.arange(line.size) / line.sum())


@pytest.mark.parametrize("readout", ["native", "full", "bin2", "bin4"])
def test_a_lamp_lies_where_its_photosites_are_in_every_colour(readout: Readout) -> None:
    """A blurred point of grey light: the centroids of the planes of all colours agree.

    The finder's averages lie a quarter of a pixel beside an even lattice, which the metadata say.
    """
    definition = load_definition("xiaomi-mos-35")
    sensor = IdealSensor(definition.sensor, shot_noise=False)
    radiance = np.ones((1, WAVELENGTHS_NM.size), np.float64) * 5.0
    lamp = Lamps("lamp", np.array([[4e-4, 3e-4, 1.0]]), np.array([1e-4]), radiance)
    renderer = LightRenderer(
        Scene("lamp", "A lamp", (lamp,)), spectral_response(definition), diffusion_um=0.3
    )
    side = BINNING[readout]
    size = 512 // side
    x, y = ((n - 512) // 2 // 8 * 8 // side for n in (sensor.spec.width, sensor.spec.height))
    lens = LensState(17.5, 2.0, 0.5, 1.0)  # a disc of 100 photosites
    grid = sample_grid(definition.sensor, Window(readout, x, y, size, size))
    light = renderer.light(lens, grid)
    shot = Shot(exposure_s=2000.0 / float(light.max()) * side**2, readout=readout, origin=(x, y))
    packed = sensor.expose_all(light, shot)
    cfa = sensor.spec.colors(readout)
    form = bayer_format(cfa, 12, packed=True)
    mosaic = unpack(packed.reshape(-1), form, size, size).astype(np.float64)
    n = len(cfa)
    shift = sensor.spec.centroid_shift(readout)
    found = {}
    for color in "RGB":
        centres = []
        for j in range(n):
            for i in range(n):
                if cfa[i][j] == color:
                    place = j + (shift if j % 2 == 0 else -shift)
                    centres.append(n * _centroid(mosaic[i::n, j::n]) + place)
        found[color] = np.mean(centres) * side + (side - 1) / 2
        # the same in each plane of a colour
        assert np.ptp(centres) < 0.1
    assert max(found.values()) - min(found.values()) < 0.12
    # where the lens throws it, from the first photosite of the frame
    middle = (
        renderer.lens.pupil(lens).thin.image_distance_m
        * 1e6
        * 4e-4
        / (1.0 - renderer.lens.pupil(lens).thin.image_distance_m)
    )
    expected = middle / definition.sensor.pitch_um + (sensor.spec.width - 1) / 2 - x * side
    assert found["G"] == pytest.approx(expected, abs=0.1)


def test_full_is_the_native_mosaic_remosaiced_and_says_so() -> None:
    twin = Twin("xiaomi-mos-35", "studio", real_time=False)
    twin.start()
    region = (5602, 4402, 640, 512)  # rounded to whole cells of four
    frames = {
        readout: shoot(twin, msgspec.structs.replace(SMALL, readout=readout, region=region))
        for readout in ("native", "full")
    }
    native, full = frames["native"].meta, frames["full"].meta
    assert native.cfa == QUAD and native.pixel_format == "QuadBayerRG12p" and not native.remosaiced
    assert full.cfa == ("RG", "GB") and full.pixel_format == "BayerRG12p" and full.remosaiced
    assert native.settings.region == full.settings.region
    assert native.settings.region is not None
    assert all(v % 4 == 0 for v in native.settings.region)
    # one light, other noise
    made = remosaic(frames["native"].mosaic()).astype(float)
    assert np.median(made - frames["full"].mosaic()) == pytest.approx(0.0, abs=1.0)
    assert np.corrcoef(made.ravel(), frames["full"].mosaic().ravel())[0, 1] > 0.99


def test_native_needs_a_mosaic_that_is_not_bayer() -> None:
    twin = Twin("phone-1inch", "flat", real_time=False)
    with pytest.raises(SettingError, match="full, bin2, bin4"):
        twin.in_force(Settings(readout="native"))
