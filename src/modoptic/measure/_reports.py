"""One report for each kind of measurement, from arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError
from modoptic.measure._color import D50_WHITE, chromatic_adaptation
from modoptic.measure._colorchecker import (
    PATCH_NAMES,
    ColorErrors,
    balance_errors,
    compare_colors,
    fit_color_matrix,
)
from modoptic.measure._difference import D65_WHITE, lab_to_xyz
from modoptic.measure._emva import DarkCurrent, Emva1288, ExposureStep, Figure, emva1288
from modoptic.measure._geometry import distortion, lateral_color
from modoptic.measure._glare import veiling_glare
from modoptic.measure._noise import PairStatistics, Picture, pair_statistics, photon_transfer
from modoptic.measure._planes import ColorPlanes, Patches, measure_patches
from modoptic.measure._points import find_lattice
from modoptic.measure._range import (
    SnrCurve,
    dynamic_range,
    engineering_dynamic_range,
    image_snr,
    photographic_dynamic_range,
    photographic_snr,
    snr_of_pairs,
    snr_of_patches,
)
from modoptic.measure._report import Report, Table, Value
from modoptic.measure._shading import shading_map
from modoptic.measure._sharpness import Sfr, slanted_edge
from modoptic.measure._svg import Drawing, MapPlot, Plot, Series, Swatches
from modoptic.measure._texture import texture

FloatArray = npt.NDArray[np.float64]

_COLORS = {"red": "red", "green": "green", "blue": "blue", "luminance": "luminance"}
_NAMES = {"RGB": ("red", "green", "blue"), "Y": ("luminance",)}
_XYZ_TO_SRGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)


def sfr_report(
    pictures: Mapping[str, npt.NDArray[np.generic]],
    *,
    about: str = "",
    step: float = 1.0,
    pitch_um: float | None = None,
    picture_height: int | None = None,
) -> Report:
    """Sharpness from one slanted edge (ISO 12233), by both methods of `slanted_edge`.

    Parameters
    ----------
    pictures : (height, width) of the edge by the colour's name, the most important first
    step : pixels of the frame from sample to sample; 2 for one colour of a Bayer frame
    pitch_um : pixel pitch of the frame; line pairs a millimetre are told where it is known
    picture_height : of the whole frame in pixels, for line widths a picture height

    Raises
    ------
    SettingError : no edge; see `slanted_edge`
    """
    values: list[Value] = []
    curves: list[Series] = []
    edges: list[Series] = []
    for name, picture in pictures.items():
        plain, exact = slanted_edge(picture), slanted_edge(picture, method="corrected")
        label = "" if len(pictures) == 1 else f", {name}"
        told = _sfr_values(plain, exact, label, step, pitch_um, picture_height)
        # of further colours what counts most is enough
        values += told if not values else told[:2]
        color = _COLORS.get(name, "first")
        kept = exact.frequency <= 1.0
        curves.append(Series(name, exact.frequency[kept] / step, exact.response[kept], color))
        if not edges:
            words = "sfrmat5" if len(pictures) == 1 else f"{name}, sfrmat5"
            curves.append(
                Series(words, plain.frequency / step, plain.response, "second", style="dashed")
            )
        spread = exact.edge_spread
        low, high = spread[: spread.size // 5].mean(), spread[-(spread.size // 5) :].mean()
        place = np.asarray((np.arange(spread.size) - spread.size / 2) / 8.0 * step, np.float64)
        edges.append(Series(name, place, (spread - low) / (high - low), color))
    nyquist = 0.5 / step
    half = 0.0 if not values else float(values[0].measured.value or 0.0)
    return Report(
        "sfr",
        "Edge spatial frequency response",
        about,
        values,
        plots=[
            Plot(
                "Response over frequency", "spatial frequency in cycles per pixel", "SFR", curves,
                x_range=(0.0, 1.0 / step), y_range=(0.0, 1.15),
                marks=((half, "SFR 50 %"), (nyquist, "Nyquist")),
            ),
            Plot(
                "Edge spread", "distance across the edge in pixels", "edge, 0 to 1", edges,
                x_range=(-8.0 * step, 8.0 * step),
            ),
        ],
        notes=(
            "Values of 'corrected' are the response itself; those of sfrmat5 are what the "
            "reference code of ISO 12233:2023 gives, for comparison with others who use it.",
            "Values must be linear in light: encoded pictures give the response of the encoding.",
        ),
    )  # fmt: skip


def _sfr_values(
    plain: Sfr,
    exact: Sfr,
    label: str,
    step: float,
    pitch_um: float | None,
    picture_height: int | None,
) -> list[Value]:
    found = Figure.of(exact.sfr50 / step, (exact.sfr50_deviation or 0.0) / step)
    if exact.sfr50 >= float(exact.frequency[-1]):
        found = Figure(None, exact.sfr50 / step, None, "the response never falls to one half")
    values = [
        Value(f"SFR 50 %{label}", found, "cycles/pixel", "corrected"),
        Value(f"SFR 50 %, sfrmat5{label}", plain.sfr50 / step, "cycles/pixel", "reference code"),
    ]
    if pitch_um is not None:
        values.append(
            Value(f"SFR 50 %, on the sensor{label}", found.times(1000.0 / pitch_um), "lp/mm")
        )
    if picture_height is not None:
        values.append(
            Value(
                f"SFR 50 %, of the picture{label}", found.times(2.0 * picture_height), "LW/PH",
                "line widths a picture height",
            )
        )  # fmt: skip
    values += [
        Value(f"rise from 10 to 90 %{label}", _rise(exact) * step, "pixels"),
        Value(f"SFR at Nyquist{label}", exact.at(0.5), "", "what may turn into aliases"),
        Value(f"edge{label}", abs(exact.edge_degrees), "degrees", "tilt; 2 to 20 suit best"),
    ]
    return values


def _rise(sfr: Sfr) -> float:
    spread = sfr.edge_spread
    low, high = spread[: spread.size // 5].mean(), spread[-(spread.size // 5) :].mean()
    share = np.maximum.accumulate((spread - low) / (high - low))
    ten, ninety = (float(np.interp(v, share, np.arange(spread.size))) for v in (0.1, 0.9))
    return (ninety - ten) / 8.0


def texture_report(
    picture: npt.NDArray[np.generic], chart: npt.NDArray[np.generic], *, about: str = ""
) -> Report:
    """How much of a known texture survives; see `texture`."""
    found = texture(picture, chart)
    fifty = found.mtf50
    deviation = float(np.interp(fifty, found.frequency, found.deviation))
    fall = float(np.interp(fifty, found.frequency, np.gradient(found.response, found.frequency)))
    figure = Figure.of(fifty, deviation / abs(fall) if fall else 0.0)
    if not (found.response < 0.5).any():
        figure = Figure(None, 0.5, None, "the response never falls to one half")
    mid = (found.frequency > 0.1) & (found.frequency < 0.35)
    band = Series(
        "95 %", found.frequency, found.response - 1.96 * found.deviation, "first", "band",
        found.response + 1.96 * found.deviation,
    )  # fmt: skip
    return Report(
        "texture",
        "Texture response",
        about,
        [
            Value("MTF 50 % of texture", figure, "cycles/pixel"),
            Value("mean response, 0.1 to 0.35", float(found.response[mid].mean()), ""),
            Value("response at 0.25 cycles/pixel", Figure.of(
                float(np.interp(0.25, found.frequency, found.response)),
                float(np.interp(0.25, found.frequency, found.deviation)),
            )),
        ],
        plots=[
            Plot(
                "Response to texture", "spatial frequency in cycles per pixel", "response",
                [band, Series("response", found.frequency, found.response)],
                x_range=(0.0, 0.5), y_range=(-0.1, 1.25), marks=((fifty, "MTF 50 %"),),
            )
        ],
        notes=("Only what has the chart's phase counts: noise and invented detail do not.",),
    )  # fmt: skip


def color_report(
    patches: Patches,
    reference_lab: npt.ArrayLike,
    *,
    renderings: Mapping[str, npt.ArrayLike],
    reference: str,
    about: str = "",
    neutral: npt.ArrayLike | None = None,
    exposures: Sequence[bool] = (True,),
    fitted: bool = False,
) -> Report:
    """Colours of a ColorChecker beside those published.

    Parameters
    ----------
    patches : see `measure_colorchecker`
    reference_lab, reference : (24, 3), D50, and whose it is
    renderings : by name, (3, 3) matrices from the patches' values to XYZ D50, white having Y = 1
    neutral : white balance in force, as camera RGB of grey; (1, 1, 1) in a finished picture
    exposures : compared with light as it is (False), scaled to the greys' (True), or both
    fitted : also with the matrix that suits these patches best, to tell what no matrix removes

    Raises
    ------
    SettingError : nothing to compare; not 24 patches
    """
    lab = np.asarray(reference_lab, np.float64)
    ways: dict[str, ColorErrors] = {}
    for name, matrix in renderings.items():
        xyz = patches.mean @ np.asarray(matrix, np.float64).T
        for matched in exposures:
            words = ", exposure matched" if matched and len(exposures) > 1 else ""
            ways[name + words] = compare_colors(xyz, lab, match_exposure=matched)
    if fitted or not ways:
        matrix = fit_color_matrix(patches.mean, lab)
        ways["best matrix"] = compare_colors(patches.mean @ matrix.T, lab, match_exposure=True)
    values: list[Value] = []
    for name, errors in ways.items():
        values += _color_values(errors, name if len(ways) > 1 else "")
    if neutral is not None:
        red, blue = 100.0 * balance_errors(patches.mean, neutral)
        values += [
            Value(
                "white balance, red against green", float(red), "%", "neutral 8 to 3.5; 0 is grey"
            ),
            Value("white balance, blue against green", float(blue), "%"),
        ]
    clipped = [
        name for name, share in zip(PATCH_NAMES, patches.clipped, strict=True) if share > 0.01
    ]
    first_name, first = next(iter(ways.items()))
    notes = [
        f"Published colours: {reference}.",
        f"Table and plots: {first_name}. Means are of all 24 patches.",
    ]
    if clipped:
        notes.append(f"Clipped, and therefore wrong: {', '.join(clipped)}.")
    return Report(
        "color",
        "Colour accuracy, ColorChecker 24",
        about,
        values,
        [_color_table(first, patches)],
        _color_plots(first),
        notes,
    )


def _color_values(errors: ColorErrors, name: str) -> list[Value]:
    new, old = errors.delta_e_2000, errors.delta_e_ab
    label = f" ({name})" if name else ""
    worst = PATCH_NAMES[int(np.argmax(new))]
    return [
        Value(f"CIEDE2000, mean{label}", float(new.mean())),
        Value(f"CIEDE2000, 90th percentile{label}", float(np.percentile(new, 90))),
        Value(f"CIEDE2000, largest{label}", float(new.max()), "", worst),
        Value(f"Delta E*ab, mean{label}", float(old.mean())),
        Value(f"Delta E*ab, 90th percentile{label}", float(np.percentile(old, 90))),
        Value(f"Delta E*ab, largest{label}", float(old.max())),
        Value(f"greys off grey, Delta C*ab{label}", errors.white_balance, "", "neutral 8 to 3.5"),
        Value(f"saturation{label}", 100.0 * errors.saturation, "%", "chroma over published"),
    ]


def _color_table(errors: ColorErrors, patches: Patches) -> Table:
    new, old = errors.delta_e_2000, errors.delta_e_ab
    rows = [
        (
            name,
            *(f"{v:.1f}" for v in errors.lab[k]),
            *(f"{v:.1f}" for v in errors.reference_lab[k]),
            f"{new[k]:.2f}",
            f"{old[k]:.2f}",
            f"{100 * patches.clipped[k]:.0f} %",
        )
        for k, name in enumerate(PATCH_NAMES)
    ]
    head = (
        "patch",
        "L*",
        "a*",
        "b*",
        "L* pub.",
        "a* pub.",
        "b* pub.",
        "dE2000",
        "dE*ab",
        "clipped",
    )
    return Table("Patches", head, rows)


def _color_plots(errors: ColorErrors) -> list[Drawing]:
    seen, wanted = errors.lab, errors.reference_lab
    reach = 10.0 * math.ceil(
        float(np.abs(np.concatenate([seen, wanted])[:, 1:]).max()) / 10.0 + 0.2
    )
    plane = Plot(
        "Published (points) to measured (arrow tips)", "a*: green to red", "b*: blue to yellow",
        [Series("", wanted[:, 1], wanted[:, 2], "quiet", "points")],
        x_range=(-reach, reach), y_range=(-reach, reach),
        arrows=[
            (float(b[1]), float(b[2]), float(a[1]), float(a[2]))
            for a, b in zip(seen, wanted, strict=True)
        ],
        equal=True,
    )  # fmt: skip
    grey = Plot(
        "Tone of the greys", "published L*", "measured L*",
        [
            Series("equal", np.array([0.0, 100.0]), np.array([0.0, 100.0]), "quiet", "dashed"),
            Series("measured", wanted[18:, 0], seen[18:, 0], "first", "points"),
        ],
        x_range=(0.0, 100.0), y_range=(0.0, 110.0),
    )  # fmt: skip
    return [
        Swatches(
            "Measured, with published in the middle; CIEDE2000",
            _hex(seen), _hex(wanted), [f"{v:.1f}" for v in errors.delta_e_2000], 6,
        ),
        plane,
        grey,
    ]  # fmt: skip


def _hex(lab: FloatArray) -> list[str]:
    """Lab D50 as sRGB codes, ``#rrggbb``; what sRGB does not hold is clipped."""
    xyz = lab_to_xyz(lab) @ chromatic_adaptation(D50_WHITE, D65_WHITE).T
    light = np.clip(xyz @ _XYZ_TO_SRGB.T, 0.0, 1.0)
    codes = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.rint(255 * codes).astype(int).tolist()]


def wedge_report(
    planes: ColorPlanes,
    quads: FloatArray,
    *,
    about: str = "",
    pitch_um: float | None = None,
    diagonal_mm: float | None = None,
    finished: bool = False,
) -> Report:
    """Noise at the steps of one frame, and the dynamic ranges that these tell.

    Parameters
    ----------
    planes : of single photosites; see ``pool`` of `color_planes`
    quads : see `patch_quads`
    pitch_um, diagonal_mm : of the sensor; Claff's range needs both
    finished : a developed picture, whose noise is what processing left

    Raises
    ------
    SettingError : see `measure_patches`; fewer than two steps that are neither black nor clipped
    """
    patches = measure_patches(planes, quads)
    curves = {name: snr_of_patches(patches, k) for k, name in enumerate(_NAMES[planes.colors])}
    values = _range_values(curves, planes.saturation, planes.size, pitch_um, diagonal_mm)
    rows = [
        (f"{k + 1}", *(float(v) for v in mean), *(float(v) for v in noise),
         float(np.divide(mean, noise)[planes.green]), f"{100 * full:.0f} %")
        for k, (mean, noise, full) in enumerate(
            zip(patches.mean, np.maximum(patches.deviation, 1e-12), patches.clipped, strict=True)
        )
    ]  # fmt: skip
    names = _NAMES[planes.colors]
    head = ("step", *(f"{n}" for n in names), *(f"noise {n}" for n in names), "SNR", "clipped")
    notes = ["Noise within a patch: temporal noise and fixed pattern together."]
    if finished:
        notes.append(
            "A finished picture: its noise is not independent from pixel to pixel, and its tone "
            "curve counts; figures of the sensor need raws."
        )
    return Report(
        "noise", "Noise over signal", about, values, [Table("Steps", head, rows)],
        [_snr_plot(curves, planes.saturation)], notes,
    )  # fmt: skip


def pairs_report(
    pairs: Iterable[tuple[FloatArray, FloatArray]],
    dark: tuple[FloatArray, FloatArray] | None,
    *,
    about: str = "",
    names: Sequence[str] = ("luminance",),
    black_level: float = 0.0,
    white_level: float | None = None,
    size: tuple[int, int],
    pitch_um: float | None = None,
    diagonal_mm: float | None = None,
) -> Report:
    """Temporal noise from pairs of flat frames at rising light.

    Parameters
    ----------
    pairs : two frames of one light each, (colours, rows, columns) in DN, black level included
    dark : two frames without light; read noise and dynamic range need them
    names : of the colours
    black_level, white_level : in DN; black of the dark frames where these are given
    size : (width, height) of the whole frame, for image-normalised figures

    Raises
    ------
    SettingError : no pairs, or frames of unlike size
    """
    found: list[list[PairStatistics]] = []
    pixels = 0
    for first, second in pairs:
        found.append([pair_statistics(a, b) for a, b in zip(first, second, strict=True)])
        pixels = first[0].size
    if not found:
        raise SettingError("flat frames", 0, "one pair or more")
    values: list[Value] = []
    curves: dict[str, SnrCurve] = {}
    rows: list[tuple[str | float, ...]] = []
    transfer: list[Series] = []
    for k, name in enumerate(names):
        lit = [steps[k] for steps in found]
        dark_pair = pair_statistics(dark[0][k], dark[1][k]) if dark else None
        level = dark_pair.mean if dark_pair else black_level
        for step in lit:
            signal, noise = step.mean - level, math.sqrt(step.variance)
            rows.append((name, signal, noise, signal / noise if noise else math.nan))
        transfer.append(
            Series(
                name,
                np.array([step.mean - level for step in lit]),
                np.array([step.variance for step in lit]),
                _COLORS.get(name, "first"),
                "points",
            )
        )
        values += _transfer_values(name, lit, dark_pair, pitch_um, diagonal_mm)
        top = max(lit, key=lambda p: p.variance)
        # steps whose noise clips tell nothing of the sensor
        whole = [p for p in lit if p.mean <= top.mean * 1.0001]
        if sum(p.mean > level and p.variance > 0 for p in whole) >= 2:
            curves[name] = snr_of_pairs(whole, level, pixels)
    plots: list[Drawing] = []
    if len(found) > 1:
        plots.append(
            Plot(
                "Photon transfer", "signal in DN", "temporal variance in DN²", transfer,
                x_log=True, y_log=True,
            )
        )  # fmt: skip
    if curves:
        full = None if white_level is None else white_level - black_level
        values += _range_values(curves, full, size, pitch_um, diagonal_mm)
        plots.append(_snr_plot(curves, full))
    return Report(
        "noise", "Noise over signal", about, values,
        [Table("Steps", ("colour", "signal DN", "noise DN", "SNR"), rows)], plots,
        ["Temporal noise of pairs: fixed patterns drop out."],
    )  # fmt: skip


def _transfer_values(
    name: str,
    lit: Sequence[PairStatistics],
    dark: PairStatistics | None,
    pitch_um: float | None,
    diagonal_mm: float | None,
) -> list[Value]:
    if dark is None:
        why = "no pair of dark frames was given"
        return [Value(f"read noise, {name}", Figure(None, why=why), "e-")]
    try:
        found = photon_transfer(dark, lit)
    except SettingError:
        why = "fewer than 3 pairs of frames below 70 % of saturation"
        return [Value(f"gain, {name}", Figure(None, why=why), "DN/e-")]
    gain = found.dn_per_electron
    values = [
        Value(f"gain, {name}", gain, "DN/e-"),
        Value(f"read noise, {name}", found.read_noise_e, "e-", "temporal, without rounding"),
    ]
    if max(lit, key=lambda p: p.mean).variance >= max(p.variance for p in lit):
        why = "the brightest pair is not beyond saturation"
        low = found.saturation_e
        return [*values, Value(f"full well, {name}", Figure(None, low, None, why), "e-")]
    after = min(p.mean for p in lit if (p.mean - dark.mean) / gain > found.saturation_e)
    full = Figure(found.saturation_e, found.saturation_e, (after - dark.mean) / gain)
    values.append(Value(f"full well, {name}", full, "e-", "between two steps"))
    if found.read_noise_e > 0:
        engineering = engineering_dynamic_range(found.saturation_e, found.read_noise_e)
        values.append(
            Value(f"dynamic range, {name}", engineering, "stops", "full well over dark noise")
        )
        if pitch_um and diagonal_mm:
            claff = photographic_dynamic_range(
                found.saturation_e, found.read_noise_e, pitch_um, diagonal_mm
            )
            values.append(
                Value(f"photographic range of shot and read noise, {name}", claff, "stops", "Claff")
            )
    return values


def _range_values(
    curves: Mapping[str, SnrCurve],
    saturation: float | None,
    size: tuple[int, int],
    pitch_um: float | None,
    diagonal_mm: float | None,
) -> list[Value]:
    values: list[Value] = []
    pixels = float(size[0] * size[1])
    for name, curve in curves.items():
        if saturation is None:
            why = "the level of saturation is not known"
            values.append(Value(f"dynamic range, SNR 1, {name}", Figure(None, why=why), "stops"))
            continue
        grey = curve.at(0.18 * saturation)
        if math.isfinite(grey):
            per_image = float(image_snr(grey, pixels))
            values += [
                Value(f"SNR at 18 % of saturation, {name}", 20 * math.log10(grey), "dB"),
                Value(
                    f"the same of the picture at 8 MP, {name}", 20 * math.log10(per_image), "dB",
                    "image-normalised",
                ),
                Value(
                    f"noise at 18 %, {name}", 100.0 * 0.18 / grey, "% of saturation"
                ),
            ]  # fmt: skip
        for snr in (1.0, 10.0):
            words = f"dynamic range, SNR {snr:g}, {name}"
            values.append(Value(words, dynamic_range(curve, saturation, snr=snr), "stops"))
        if pitch_um and diagonal_mm:
            least = photographic_snr(pitch_um, diagonal_mm)
            claff = dynamic_range(curve, saturation, snr=least)
            words = f"photographic dynamic range, {name}"
            values.append(Value(words, claff, "stops", "Claff: SNR 20 in a circle of confusion"))
    return values


def _snr_plot(curves: Mapping[str, SnrCurve], saturation: float | None) -> Plot:
    series: list[Series] = []
    for name, curve in curves.items():
        color = _COLORS.get(name, "first")
        series += [
            Series(name, curve.signal, curve.snr_db, color),
            Series("", curve.signal, curve.snr_db, color, "points"),
        ]
    marks = () if saturation is None else ((saturation, "saturation"),)
    return Plot(
        "Signal to noise ratio", "signal above black", "SNR in dB", series, x_log=True, marks=marks
    )


def shading_report(planes: ColorPlanes, *, about: str = "", blocks: int = 32) -> Report:
    """How light and colour change over an even field; see `shading_map`."""
    found = shading_map(planes, blocks=blocks)
    corners = found.corners
    values = [
        Value("relative illumination, corners", 100.0 * float(corners.mean()), "%", "mean of four"),
        Value("relative illumination, darkest corner", 100.0 * float(corners.min()), "%"),
        Value("the same in stops", math.log2(max(float(corners.min()), 1e-6)), "EV"),
        Value("luminance non-uniformity", found.nonuniformity, "%", "(max - min) / max"),
        Value("noise of a block", 100.0 * found.noise, "%"),
    ]
    plots: list[Drawing] = [MapPlot("Relative illumination", 100.0 * found.light, planes.size, "%")]
    if len(found.relative) == 3:
        red, blue = found.color_nonuniformity
        values += [
            Value("colour shading, red over green", red, "%", "(max - min) / max"),
            Value("colour shading, blue over green", blue, "%"),
        ]
        plots += [
            MapPlot("Red over green", 100.0 * (found.color[0] - 1.0), planes.size, "%"),
            MapPlot("Blue over green", 100.0 * (found.color[1] - 1.0), planes.size, "%"),
        ]
    else:
        why = "a grey picture"
        values.append(Value("colour shading", Figure(None, why=why), "%"))
    middle = 0.5 * (np.array(planes.size) - 1.0)
    y, x = np.meshgrid(found.y - middle[1], found.x - middle[0], indexing="ij")
    height = np.hypot(x, y) / (0.5 * math.hypot(*planes.size))
    series = [
        Series(name, height.ravel(), 100.0 * part.ravel(), _COLORS[name], "points")
        for name, part in zip(_NAMES[planes.colors], found.relative, strict=True)
    ]
    plots.append(
        Plot(
            "Light over image height", "image height, 1 in the corner", "light in % of the middle",
            series, x_range=(0.0, 1.0),
        )
    )  # fmt: skip
    return Report("shading", "Shading", about, values, plots=plots)


def distortion_report(
    planes: ColorPlanes, *, about: str = "", kind: str = "auto", terms: int = 3
) -> Report:
    """Distortion from a chart of points or lines; see `distortion`."""
    chart = find_lattice(planes, kind=kind)
    found = distortion(chart, planes.size, terms=terms)
    heights = np.linspace(0.0, 1.0, 101)
    values = [
        Value("largest local distortion", found.worst, "%", "of the fit; negative is barrel"),
        *(
            _within_reach(f"local distortion at {r:g} of the half diagonal", r, found.reach,
                          float(found.at(r)), "%")
            for r in (0.3, 0.5, 0.7, 1.0)
        ),
        *(
            Value(f"k{i + 1}", Figure.of(float(k), float(s)))
            for i, (k, s) in enumerate(zip(found.coefficients, found.deviations, strict=True))
        ),
        Value("scatter about the fit", found.residual_px, "pixels", "root mean square"),
        Value("points", float(len(found.points)), "", f"to {found.reach:.2f} of the half diagonal"),
    ]  # fmt: skip
    longest = float(np.hypot(*(found.points - found.ideal).T).max())
    factor = max(1.0, round(0.6 * chart.pitch / max(longest, 1e-9)))
    moved = found.ideal + factor * (found.points - found.ideal)
    curve = heights <= found.reach
    return Report(
        "distortion",
        "Distortion",
        about,
        values,
        plots=[
            Plot(
                "Local geometrical distortion", "image height, 1 in the corner",
                "distortion in %",
                [
                    Series("points", found.height, found.local, "quiet", "points"),
                    Series("fit", heights[curve], found.at(heights)[curve]),
                ],
                x_range=(0.0, 1.0),
            ),
            Plot(
                f"From ideal to found, {factor:g} times as long", "x in pixels", "y in pixels",
                [], x_range=(0.0, float(planes.size[0])), y_range=(0.0, float(planes.size[1])),
                arrows=[(float(a), float(b), float(c), float(d))
                        for (a, b), (c, d) in zip(found.ideal, moved, strict=True)],
                equal=True, y_down=True,
            ),
        ],
        notes=(
            "Local geometrical distortion after ISO 17850: (found - ideal) / ideal image height. "
            "The ideal is the chart's own perspective at the scale of the axis.",
            "height' = height (1 + k1 height² + k2 height⁴ + ...), height 1 at half the diagonal.",
        ),
    )  # fmt: skip


def _within_reach(name: str, height: float, reach: float, value: float, unit: str) -> Value:
    if height > reach + 0.02:
        why = f"points reach to {reach:.2f} only"
        return Value(name, Figure(None, why=why), unit)
    return Value(name, value, unit)


def lateral_color_report(
    planes: ColorPlanes,
    *,
    about: str = "",
    kind: str = "auto",
    pitch_um: float | None = None,
    finished: bool = False,
) -> Report:
    """Lateral colour from a chart of points or lines; see `lateral_color`."""
    found = lateral_color(planes, kind=kind)
    reach = float(found.height.max())
    heights = np.linspace(0.0, reach, 101)
    scale, unit = (1.0, "pixels") if pitch_um is None else (pitch_um, "um")
    values: list[Value] = []
    series: list[Series] = []
    for color in ("red", "blue"):
        worst = found.worst(color)
        values.append(
            Value(f"{color} against green, largest", worst, "pixels", "radial, of the fit")
        )
        if pitch_um is not None:
            values.append(Value(f"{color} against green, largest", worst * pitch_um, "um"))
        values += [
            _within_reach(f"{color} at {r:g} of the half diagonal", r, reach,
                          scale * float(found.at(color, r)), unit)
            for r in (0.3, 0.5, 0.7, 1.0)
        ]  # fmt: skip
        radial = found.radial(color)
        outermost = float(radial[np.nanargmax(np.abs(radial))])
        values.append(Value(f"{color} against green, largest at a point", outermost, "pixels"))
        offset = found.red_offset if color == "red" else found.blue_offset
        values.append(
            Value(
                f"{color} as a whole",
                float(np.hypot(*offset)),
                "pixels",
                "decentred optics, or binned colours",
            )
        )
        series += [
            Series("", found.height, scale * radial, color, "points"),
            Series(color, heights, scale * found.at(color, heights), color),
        ]
    values.append(Value("scatter about the fits", found.residual_px, "pixels", "root mean square"))
    notes = ["Positive is away from the axis. After ISO 19084, from centroids in each colour."]
    if finished:
        notes.append("A finished picture: its demosaic and corrections are part of the result.")
    return Report(
        "lateral-color", "Lateral colour", about, values,
        plots=[
            Plot(
                "Shift against green", "image height, 1 in the corner",
                f"radial shift in {unit}", series, x_range=(0.0, 1.0),
            )
        ],
        notes=notes,
    )  # fmt: skip


def glare_report(
    planes: ColorPlanes,
    *,
    about: str = "",
    box: tuple[float, float, float, float] | None = None,
    black_level_deviation: float = 0.0,
) -> Report:
    """Veiling glare from a black patch in a bright field; see `veiling_glare`."""
    found = veiling_glare(planes, box=box, black_level_deviation=black_level_deviation)
    names = _NAMES[planes.colors]
    values = [
        Value(f"veiling glare index, {name}", figure, "%")
        for name, figure in zip(names, found.index, strict=True)
    ]
    x, y = found.center
    values += [
        Value("patch", 2.0 * found.radius, "pixels", f"across, at {x:.0f}, {y:.0f}"),
    ]
    plane = planes.values[planes.green]
    place = planes.sample(planes.green, np.array([found.center]))[0]
    row = plane[min(max(round(float(place[1])), 0), plane.shape[0] - 1)].astype(np.float64)
    across = np.arange(row.size) * planes.step + planes.offsets[planes.green, 0]
    near = np.abs(across - x) < 4.0 * found.radius
    share = 100.0 * row / float(found.white[planes.green])
    return Report(
        "glare", "Veiling glare", about, values,
        plots=[
            Plot(
                "Through the patch", "x in pixels", "light in % of the field",
                [Series("green" if len(names) == 3 else names[0], across[near], share[near],
                        "green" if len(names) == 3 else "luminance")],
                y_range=(0.0, 120.0),
            )
        ],
        notes=(
            "Integral method of ISO 9358: the patch' own reflectance and any error of the black "
            "level are part of what is read.",
        ),
    )  # fmt: skip


def emva_report(
    steps: Iterable[ExposureStep],
    *,
    about: str = "",
    dark_stack: Iterable[Picture] | None = None,
    grey_stack: Iterable[Picture] | None = None,
    dark_current: DarkCurrent | None = None,
    exposure_unit: str = "",
) -> Report:
    """A data sheet after EMVA 1288; arguments as for `emva1288`."""
    seen: list[tuple[float, PairStatistics, PairStatistics]] = []

    def recorded() -> Iterable[ExposureStep]:
        for step in steps:
            lit = pair_statistics(step.first, step.second)
            dark = pair_statistics(step.dark_first, step.dark_second)
            seen.append((step.exposure, lit, dark))
            yield step

    found = emva1288(recorded(), dark_stack=dark_stack, grey_stack=grey_stack)
    exposure = np.array([h for h, *_ in seen])
    signal = np.array([lit.mean - dark.mean for _, lit, dark in seen])
    shot = np.array([lit.variance - dark.variance for _, lit, dark in seen])
    noise = np.sqrt([max(lit.variance, 1e-12) for _, lit, _ in seen])
    gain = found.gain.value or math.nan
    span = np.array([0.0, float(signal.max())])
    unit = f" in {exposure_unit}" if exposure_unit else ""
    return Report(
        "emva",
        "EMVA 1288 data sheet",
        about,
        [*_emva_values(found, exposure_unit), *_dark_values(dark_current)],
        plots=[
            Plot(
                "Photon transfer", "signal in DN", "temporal variance less dark in DN²",
                [Series("measured", signal, shot, "first", "points"),
                 Series("gain K", span, gain * span, "second")],
                y_range=(0.0, 1.15 * float(shot.max())),
            ),
            Plot(
                "Linearity", f"exposure{unit}", "signal in DN",
                [Series("measured", exposure, signal, "first", "points")],
            ),
            Plot(
                "Signal to noise ratio", "signal in electrons", "SNR in dB",
                [Series("measured", signal / gain,
                        20 * np.log10(np.maximum(signal / noise, 1e-6)), "first", "points"),
                 Series("shot noise alone", *_shot_line(signal / gain), "second", "dashed")],
                x_log=True, y_range=(0.0, 5.0 + 10 * math.log10(max(span[1] / gain, 2.0))),
            ),
        ],
        notes=("Release 4.0, linear model. Intervals come from the number of pixels alone.",),
    )  # fmt: skip


def _shot_line(electrons: FloatArray) -> tuple[FloatArray, FloatArray]:
    top = max(float(electrons.max()), 2.0)
    x = np.geomspace(1.0, top, 40)
    return x, 10.0 * np.log10(x)


def _emva_values(found: Emva1288, exposure_unit: str) -> list[Value]:
    low, high = found.linearity_worst
    none = Figure(None, why="no stacks of frames were given")
    photons = exposure_unit.startswith("photon")
    eta = "" if photons else f"e- per {exposure_unit or 'unit of exposure'}"
    ratio, snr = found.dynamic_range.value, found.snr_max.value
    rows = found.dsnu_rows_columns_e or (none, none)
    gains = found.prnu_rows_columns or (none, none)
    return [
        Value("gain K", found.gain, "DN/e-"),
        Value("dark level", found.dark_level_dn, "DN"),
        Value("temporal dark noise", found.dark_noise_e, "e-"),
        Value("saturation capacity", found.saturation_e, "e-"),
        Value("absolute sensitivity threshold", found.threshold_e, "e-", "SNR 1"),
        Value("dynamic range", found.dynamic_range, "", _decibel(ratio, stops=True)),
        Value("largest SNR", found.snr_max, "", _decibel(snr)),
        Value("quantum efficiency" if photons else "responsivity", found.quantum_efficiency, eta),
        Value("linearity error", found.linearity_error, "%", f"{low:.2f} to {high:.2f} %"),
        Value("DSNU 1288", found.dsnu_e or none, "e-"),
        Value("DSNU, rows", rows[0], "e-"),
        Value("DSNU, columns", rows[1], "e-"),
        Value("PRNU 1288", (found.prnu or none).times(100.0), "%"),
        Value("PRNU, rows", gains[0].times(100.0), "%"),
        Value("PRNU, columns", gains[1].times(100.0), "%"),
    ]  # fmt: skip


def _decibel(ratio: float | None, *, stops: bool = False) -> str:
    if not ratio:
        return ""
    return (f"{math.log2(ratio):.2f} stops, " if stops else "") + f"{20 * math.log10(ratio):.1f} dB"


def _dark_values(found: DarkCurrent | None) -> list[Value]:
    if found is None:
        return [Value("dark current", Figure(None, why="no dark exposures were given"), "e-/s")]
    return [
        Value("dark current, from the mean", found.from_mean, "e-/s"),
        Value("dark current, from the variance", found.from_variance, "e-/s"),
    ]
