"""The laws a sensor obeys: photon transfer, wells, fixed patterns, repeatability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modoptic.errors import SettingError
from modoptic.pixels import pixel_format, unpack
from modoptic.quad import remosaic
from modoptic.sensor import (
    ConversionGain,
    IdealSensor,
    Sensor,
    SensorSpec,
    Shot,
    Tolerance,
    compact,
    frame_key,
)

SPEC = SensorSpec(
    width=512, height=512, pitch_um=1.485, full_well_e=8180.0, dn_per_electron=0.47,
    black_dn=256.0, read_noise_e=1.491, adc_noise_e=2.603, dark_current_e_s=0.2,
    dark_doubling_c=6.0, prnu=0.01, dsnu_e=0.5, gain_max=64.0, exposure_min_s=1e-5,
    exposure_max_s=30.0, bits=(12, 14),
)  # fmt: skip
QUIET = {"prnu": 0.0, "dsnu_e": 0.0, "dark_current_e_s": 0.0}


def spec(**changes: object) -> SensorSpec:
    import msgspec

    return msgspec.structs.replace(SPEC, **changes)


def take(sensor: Sensor, electrons: float, shot: Shot, side: int = 512) -> np.ndarray:
    """DN of a flat frame with a mean of ``electrons``."""
    light = np.full((side, side), electrons / shot.exposure_s, np.float32)
    packed = sensor.expose_all(light, shot)
    return unpack(packed.reshape(-1), pixel_format(f"BayerRG{shot.bits}p"), side, side).astype(
        float
    )


@pytest.mark.parametrize("electrons", [0.0, 3.0, 12.0, 100.0, 4000.0])
@pytest.mark.parametrize(("gain", "bits"), [(1.0, 12), (1.0, 14), (8.0, 14)])
def test_mean_and_variance_are_those_of_photons_and_read_noise(
    electrons: float, gain: float, bits: int
) -> None:
    sensor = Sensor(spec(**QUIET), seed=3)
    shot = Shot(exposure_s=0.01, gain=gain, bits=bits)  # type: ignore[arg-type]
    k = 0.47 * gain * 2 ** (bits - 12)
    if electrons * k > 0.8 * 2**bits:
        electrons /= gain
    dn = take(sensor, electrons, shot)
    # IMX477 (strollswithmydog): 3 e- at gain 1
    read = np.hypot(1.491, 2.603 / gain)
    variance = k**2 * (electrons + read**2) + 1 / 12
    assert dn.mean() - 256 * 2 ** (bits - 12) == pytest.approx(
        k * electrons, abs=0.02 * variance**0.5
    )
    assert dn.var() == pytest.approx(variance, rel=0.015)


def test_the_skew_is_that_of_photon_counts() -> None:
    sensor = Sensor(spec(**QUIET, read_noise_e=1.0, adc_noise_e=0.0), seed=3)
    dn = take(sensor, 6.0, Shot(exposure_s=0.01, gain=40.0, bits=14))
    third = ((dn - dn.mean()) ** 3).mean() / dn.std() ** 3
    # cumulants add: Poisson 6, normal 0
    assert third == pytest.approx(6.0 / 7.0**1.5, abs=0.05)


def test_noise_is_white() -> None:
    dn = take(Sensor(spec(**QUIET), seed=5), 500.0, Shot(exposure_s=0.01))
    z = (dn - dn.mean()) / dn.std()
    for dy, dx in ((0, 1), (1, 0), (1, 1), (0, 64), (64, 0)):
        correlation = (z[dy:, dx:] * z[: 512 - dy, : 512 - dx]).mean()
        assert abs(correlation) < 4.5 / 512


def test_two_frames_share_the_fixed_pattern_and_nothing_else() -> None:
    sensor = Sensor(SPEC, seed=5)
    one, two = (take(sensor, 4000.0, Shot(exposure_s=0.01, key=k)) for k in (1, 2))
    shared = np.cov(one.ravel(), two.ravel())[0, 1]
    assert shared == pytest.approx((0.01 * 4000 * 0.47) ** 2 + (0.5 * 0.47) ** 2, rel=0.05)
    other = take(Sensor(SPEC, seed=6), 4000.0, Shot(exposure_s=0.01, key=1))
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize(("readout", "n"), [("bin2", 4), ("bin4", 16)])
def test_binning_averages_dn_and_adds_read_noise_in_quadrature(readout: str, n: int) -> None:
    sensor = Sensor(spec(**QUIET), seed=5)
    dn = take(sensor, 1000.0 * n, Shot(exposure_s=0.01, readout=readout, bits=14))  # type: ignore[arg-type]
    assert dn.mean() == pytest.approx(1024 + 1880, rel=1e-3)
    assert dn.var() == pytest.approx(1.88**2 * (1000 + 9) / n + 1 / 12, rel=0.02)


def test_full_well_and_converter_end_the_range() -> None:
    shot = Shot(exposure_s=0.01)
    assert take(Sensor(spec(**QUIET)), 50_000.0, shot).min() == 4095
    shallow = take(Sensor(spec(**QUIET, full_well_e=4000.0)), 50_000.0, shot)
    assert shallow.max() == shallow.min() == round(256 + 4000 * 0.47)


def test_dark_current_doubles_with_temperature() -> None:
    sensor = Sensor(spec(prnu=0.0, dsnu_e=0.0, dark_current_e_s=20.0), seed=1)
    cool, warm = (
        take(sensor, 0.0, Shot(exposure_s=10.0, temperature_c=t)).mean() - 256 for t in (25.0, 31.0)
    )
    assert cool == pytest.approx(200 * 0.47, rel=0.01)
    assert warm == pytest.approx(2 * cool, rel=0.01)


def test_the_same_seed_and_key_give_the_same_frame_in_any_order_of_bands() -> None:
    sensor, shot = Sensor(spec(defects_per_million=300.0), seed=9), Shot(exposure_s=0.01, key=4)
    light = np.random.default_rng(1).uniform(0, 3e5, (96, 128)).astype(np.float32)
    whole = sensor.expose_all(light, shot)
    parts = np.zeros_like(whole)
    for rows in ((50, 96), (0, 1), (1, 50)):
        sensor.expose(light, shot, parts, rows)
    np.testing.assert_array_equal(parts, whole)
    np.testing.assert_array_equal(Sensor(sensor.spec, 9).expose_all(light, shot), whole)
    assert (sensor.expose_all(light, replace(shot, key=5)) != whole).mean() > 0.5


def test_a_region_has_the_pattern_of_its_place() -> None:
    sensor, shot = Sensor(spec(prnu=0.2), seed=9), Shot(exposure_s=0.01, bits=14)
    whole = take(sensor, 4000.0, shot)
    region = take(sensor, 4000.0, replace(shot, origin=(100, 40)), 128)
    np.testing.assert_array_equal(region, whole[40:168, 100:228])


def at_photosites(cells: np.ndarray, side: int) -> np.ndarray:
    """Each colour of a mosaic between the samples in the middle of its cells."""
    _, rows, columns = cells.shape
    out = np.empty((side * rows, side * columns))
    across = (np.arange(side * columns) + 0.5) / side - 0.5
    down = (np.arange(side * rows) + 0.5) / side - 0.5
    planes = [
        np.array([
            np.interp(down, np.arange(rows), column)
            for column in np.array([np.interp(across, np.arange(columns), r) for r in plane]).T
        ]).T
        for plane in cells
    ]  # fmt: skip
    for (dy, dx), c in {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}.items():
        out[dy::2, dx::2] = planes[c][dy::2, dx::2]
    return out.astype(np.float32)


@pytest.mark.parametrize("side", [2, 4])
def test_every_form_of_light_gives_the_same_mean(side: int) -> None:
    ideal, shot = IdealSensor(SPEC, shot_noise=False), Shot(exposure_s=0.01)
    cells = np.random.default_rng(2).uniform(1e3, 7e5, (3, 16, 32)).astype(np.float32)
    mosaic = at_photosites(cells, side)
    height, width = mosaic.shape
    form = pixel_format("BayerRG12p")
    expected = np.minimum(np.minimum(mosaic * 0.01, 8180) * 0.47 + 256, 4095)
    for light in (mosaic, cells, compact(mosaic)):
        packed = np.empty((height, width * 3 // 2), np.uint8)
        for rows in ((0, 11), (11, height)):
            ideal.expose(light, shot, packed, rows)
        view = unpack(packed.reshape(-1), form, height, width).astype(int)
        assert np.abs(view - expected).max() <= 0.6


def test_rows_share_noise_of_the_frame_and_columns_an_offset_for_good() -> None:
    noisy = spec(**QUIET, row_noise_e=4.0, column_offset_e=6.0)
    sensor = Sensor(noisy, seed=3)
    one, two = (take(sensor, 0.0, Shot(exposure_s=0.01, key=k, bits=14)) for k in (1, 2))
    k = 0.47 * 4
    rows = [frame.mean(1) - frame.mean() for frame in (one, two)]
    columns = [frame.mean(0) - frame.mean() for frame in (one, two)]
    left = k**2 * 9 / 512  # of the photosites' own 3 e-
    assert rows[0].var() == pytest.approx((4 * k) ** 2 + left, rel=0.25)  # 512 rows: 6 %, 1 sigma
    assert columns[0].var() == pytest.approx((6 * k) ** 2 + left, rel=0.25)
    assert abs(np.corrcoef(rows[0], rows[1])[0, 1]) < 4 / 512**0.5
    assert np.corrcoef(columns[0], columns[1])[0, 1] > 0.98
    # what all temporal noise of the dark amounts to
    assert (one - two).var() / 2 == pytest.approx(
        (k * sensor.read_noise_e(1.0)) ** 2 + 1 / 12, rel=0.08
    )


@pytest.mark.parametrize(("readout", "side"), [("bin2", 2), ("bin4", 4)])
def test_binned_rows_and_columns_are_averages(readout: str, side: int) -> None:
    noisy = spec(**QUIET, row_noise_e=20.0, column_offset_e=20.0, width=2048)
    shot = Shot(exposure_s=0.01, readout=readout, bits=14)  # type: ignore[arg-type]
    dn = take(Sensor(noisy, seed=3), 0.0, shot)
    expected = (20 * 0.47 * 4) ** 2 / side
    assert dn.mean(1).var() == pytest.approx(expected, rel=0.25)
    assert dn.mean(0).var() == pytest.approx(expected, rel=0.25)


def test_what_is_left_of_reset_adds_to_read_noise() -> None:
    sensor = Sensor(spec(**QUIET, reset_residual_e=4.0), seed=3)
    dn = take(sensor, 0.0, Shot(exposure_s=0.01, bits=14))
    # IMX477: 3 e- without
    assert dn.std() / (0.47 * 4) == pytest.approx(5.0, rel=0.01)
    assert sensor.read_noise_e(1.0) == pytest.approx(5.0, rel=0.001)


def test_response_bends_by_what_is_said() -> None:
    bent = Sensor(spec(**QUIET, nonlinearity=0.04, full_well_e=8000.0), seed=3)
    shot = Shot(exposure_s=0.01, bits=14)
    for electrons, lost in ((400.0, 0.002), (4000.0, 0.02), (7600.0, 0.038)):
        signal = take(bent, electrons, shot).mean() - 1024
        assert signal == pytest.approx(electrons * 0.47 * 4 * (1 - lost), rel=0.0005)
    assert bent.spec.saturation_e() == 8000.0


HIGH = ConversionGain(from_gain=4.0, full_well_e=2000.0, read_noise_e=1.0)


def test_high_conversion_gain_has_its_own_well_and_noise() -> None:
    sensor = Sensor(spec(**QUIET, adc_noise_e=0.0, high_conversion_gain=HIGH), seed=3)
    shot = Shot(exposure_s=0.01, bits=14)
    for gain, conversion, read_e in (
        (3.9, "auto", 1.491), (4.0, "auto", 1.0), (8.0, "low", 1.491), (2.0, "high", 1.0)
    ):  # fmt: skip
        taken = replace(shot, gain=gain, conversion=conversion)  # type: ignore[arg-type]
        dn = take(sensor, 0.0, taken)
        assert dn.std() / (0.47 * 4 * gain) == pytest.approx(read_e, rel=0.01)
        assert sensor.spec.at(gain, conversion).read_noise_e == read_e  # type: ignore[arg-type]
    full = take(sensor, 5000.0, replace(shot, gain=1.0, conversion="high"))
    assert full.min() == full.max() == 1024 + round(2000 * 0.47 * 4)
    with pytest.raises(SettingError, match="conversion"):
        take(Sensor(SPEC), 0.0, replace(shot, conversion="high"))


def test_hot_photosites_have_the_noise_of_their_charge_and_end_in_the_well() -> None:
    sensor = Sensor(spec(**QUIET, defects_per_million=2000.0, full_well_e=7000.0), seed=2)
    shots = [Shot(exposure_s=1.0, key=k, bits=14) for k in range(40)]
    frames = np.stack([take(sensor, 0.0, shot) for shot in shots])
    mean = frames.mean(0) - 1024
    k = 0.47 * 4
    hot = (mean > 300 * k) & (mean < 6000 * k)
    assert hot.sum() > 100
    excess = frames.var(0, ddof=1)[hot] / (k**2 * (mean[hot] / k + 9))
    assert excess.mean() == pytest.approx(1.0, abs=4 * (2 / 39 / hot.sum()) ** 0.5)
    long = take(sensor, 0.0, Shot(exposure_s=30.0, bits=14))
    assert long.max() == 1024 + round(7000 * k)


def test_an_ideal_sensor_has_photons_or_nothing() -> None:
    nasty = spec(
        row_noise_e=9.0, column_offset_e=9.0, nonlinearity=0.05, defects_per_million=1000.0,
        high_conversion_gain=HIGH, tolerance=Tolerance(qe=0.1, read_noise=0.1, black_dn=50.0),
    )  # fmt: skip
    for gain in (1.0, 8.0):
        shot = Shot(exposure_s=0.01, gain=gain, bits=14)
        still = take(IdealSensor(nasty, shot_noise=False), 500.0, shot)
        assert still.min() == still.max() == round(1024 + 500 * 0.47 * 4 * gain)
        alive = take(IdealSensor(nasty), 500.0, shot)
        # whole electrons, rounded once by the converter
        electrons = (alive - 1024) / (0.47 * 4 * gain)
        assert np.abs(electrons - np.rint(electrons)).max() <= 0.5 / (0.47 * 4 * gain) + 1e-6
        assert electrons.mean() == pytest.approx(500, abs=4 * (500 / 512**2) ** 0.5)
        assert electrons.var() == pytest.approx(500, rel=0.015)


def test_defects_stand_out_where_they_are_and_grow_with_time() -> None:
    sensor = Sensor(spec(**QUIET, defects_per_million=100.0), seed=2)
    dark = take(sensor, 0.0, Shot(exposure_s=1.0))
    hot = np.argwhere(dark > 256 + 60)
    assert 20 <= len(hot) <= 26
    later = take(sensor, 0.0, Shot(exposure_s=2.0))
    assert (later[tuple(hot.T)] >= np.minimum(dark[tuple(hot.T)] * 1.2, 4095)).all()


def test_keys_do_not_depend_on_the_process() -> None:
    assert frame_key(1, "boot", 2) == frame_key(1, "boot", 2) != frame_key(1, "boot", 3)


def test_refuses_what_the_sensor_lacks() -> None:
    sensor = Sensor(spec(bits=(12,)))
    with pytest.raises(SettingError, match="bits"):
        sensor.expose_all(np.ones((4, 4), np.float32), Shot(exposure_s=0.1, bits=14))
    with pytest.raises(SettingError, match="frame buffer"):
        sensor.expose(np.ones((4, 4), np.float32), Shot(exposure_s=0.1), np.empty((3, 6), np.uint8))


def test_a_quad_sensor_reads_four_charges_once_and_the_finder_four_times() -> None:
    quad = spec(**QUIET, cfa="quad")
    sensor = Sensor(quad, seed=5)
    for readout, n, reads in (("native", 1, 1), ("bin2", 4, 1), ("bin4", 16, 4)):
        shot = Shot(exposure_s=0.01, readout=readout, bits=14)  # type: ignore[arg-type]
        light = np.full((256, 256), 100_000.0 * n, np.float32)
        dark, lit = (sensor.expose_all(map_, shot) for map_ in (0.0 * light, light))
        form = pixel_format("QuadBayerRG14p" if readout == "native" else "BayerRG14p")
        zero, dn = (unpack(v.reshape(-1), form, 256, 256).astype(float) for v in (dark, lit))
        # levels stay; 3 e- a read, however many charges there are in it
        per_electron = 1.88 / n
        assert dn.mean() == pytest.approx(1024 + 1880, rel=1e-3)
        assert zero.var() == pytest.approx(per_electron**2 * 9 * reads + 1 / 12, rel=0.03)
        assert dn.var() == pytest.approx(
            per_electron**2 * (1000 * n + 9 * reads) + 1 / 12, rel=0.02
        )


def test_fixed_patterns_of_a_quad_sensor_are_those_of_its_reads() -> None:
    noisy = spec(**QUIET, cfa="quad", row_noise_e=20.0, column_offset_e=20.0, width=2048)
    sensor = Sensor(noisy, seed=3)
    for readout, charges, reads in (("bin2", 4, 1), ("bin4", 4, 2)):
        shot = Shot(exposure_s=0.01, readout=readout, bits=14)  # type: ignore[arg-type]
        dn = take(sensor, 0.0, shot)
        expected = (20 * 0.47 * 4 / charges) ** 2 / reads
        assert dn.mean(1).var() == pytest.approx(expected, rel=0.25)
        assert dn.mean(0).var() == pytest.approx(expected, rel=0.25)


def test_full_of_a_quad_sensor_is_native_remosaiced_in_any_division_into_rows() -> None:
    sensor = Sensor(spec(cfa="quad", prnu=0.02), seed=7)
    light = np.random.default_rng(1).uniform(1e4, 3e5, (120, 256)).astype(np.float32)
    of = {"exposure_s": 0.01, "origin": (256, 512), "key": 9}
    native = sensor.expose_all(light, Shot(readout="native", **of))  # type: ignore[arg-type]
    mosaic = unpack(native.reshape(-1), pixel_format("QuadBayerRG12p"), 120, 256)
    shot = Shot(readout="full", **of)  # type: ignore[arg-type]
    out = np.zeros_like(native)
    for rows in ((64, 120), (0, 10), (10, 64)):
        sensor.expose(light, shot, out, rows)
    found = unpack(out.reshape(-1), pixel_format("BayerRG12p"), 120, 256)
    np.testing.assert_array_equal(found, remosaic(mosaic))


def test_known_defects_are_mended_before_a_mosaic_is_remosaiced() -> None:
    sensor = Sensor(spec(**QUIET, cfa="quad", defects_per_million=2000.0), seed=2)
    light, shot = np.full((256, 256), 1000.0, np.float32), Shot(exposure_s=1.0, bits=14)
    native = unpack(
        sensor.expose_all(light, replace(shot, readout="native")).reshape(-1),
        pixel_format("QuadBayerRG14p"), 256, 256,
    )  # fmt: skip
    hot = np.argwhere(native > native.mean() + 1500)
    assert len(hot) > 20

    def far() -> int:
        packed = sensor.expose_all(light, shot)
        full = unpack(packed.reshape(-1), pixel_format("BayerRG14p"), 256, 256).astype(float)
        return int((abs(full - np.median(full)) > 1200).sum())

    assert far() > len(hot)
    sensor.mend(tuple((int(x), int(y)) for y, x in hot))
    assert far() <= 2
