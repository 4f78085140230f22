"""What moves: the hand that holds the camera, and things before it."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError
from modoptic.scenes._scene import STRAIGHT, Box, FloatArray, Lamps, Layer, Scene
from modoptic.scenes._spectra import Spectrum

FLAT_HZ = 0.5, 3.0
"""Between these the power spectral density of the rates is even."""
END_HZ = 20.0
"""From the end of the even part it falls as 1/f^2 to here; beyond there is none."""
TONES = 96
SHIFT_M_S = 0.01
"""Translation, rms a axis: our assumption. At 1 m it blurs a third as much as the turning does, at
0.33 m as much; at 10 m it is lost."""


class Pose(NamedTuple):
    """How the camera is turned and where it is, as against where it was held.

    Angles in radians: pitch is positive when the camera looks up, yaw when it looks to the right,
    roll when it turns clockwise as seen from behind it. Metres: x to the right, y down, z forward.
    """

    pitch: float
    yaw: float
    roll: float
    x: float
    y: float
    z: float


class HandShake:
    """The unrest of a hand: the same for every camera that is given the same seed.

    Angular rates about three axes are sums of `TONES` sines of random frequency and phase. Their
    power spectral density is even from 0.5 to 3 Hz, falls as 1/f^2 to 20 Hz and is nothing
    elsewhere; rates of translation likewise. Spectrum and rms rates are an assumption; hands that
    hold a camera are thought to lie between 0.01 and 0.06 rad/s.

    >>> HandShake(7).pose(0.25) == HandShake(7).pose(0.25)
    True

    Parameters
    ----------
    seed : decides everything
    rms_rad_s : of the turning about each axis, 0 to 1; 0 is a tripod
    rms_m_s : of the translation along each axis, 0 to 1

    Raises
    ------
    SettingError : values out of range, or a seed that is no whole number of 0 or more
    """

    def __init__(self, seed: int, rms_rad_s: float = 0.03, rms_m_s: float | None = None) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SettingError("seed", seed, "a whole number of 0 or more", "hand shake")
        if not 0 <= rms_rad_s <= 1:
            raise SettingError("shake", rms_rad_s, "0 to 1 rad/s", "hand shake")
        # a steadier hand is steadier in both
        shift = SHIFT_M_S * rms_rad_s / 0.03 if rms_m_s is None else rms_m_s
        if not 0 <= shift <= 1:
            raise SettingError("shake", shift, "0 to 1 m/s", "hand shake")
        self.seed = seed
        self.rms_rad_s = rms_rad_s
        self.rms_m_s = shift
        rng = np.random.default_rng([seed, 0x5A4E])
        # one tone in each equal share of the power, so that every run has the spectrum and the rms
        share = (np.arange(TONES) + rng.random((6, TONES))) / TONES
        self._omega = 2 * np.pi * _frequency(share)
        self._phase = rng.uniform(0, 2 * np.pi, (6, TONES))
        rms = np.array([rms_rad_s] * 3 + [shift] * 3)
        self._rate = np.repeat((rms * math.sqrt(2 / TONES))[:, None], TONES, axis=1)

    def stabilised(self, stops: float, corner_hz: float) -> HandShake:
        """What is left of this hand behind a stabiliser of pitch and yaw.

        Rates far below ``corner_hz`` become 2^-stops of what they were, those far above stay: the
        first-order response (2^-stops + i f / corner) / (1 + i f / corner). Roll and translation
        stay, as behind a lens that is shifted.

        Raises
        ------
        SettingError : stops not of 0 to 10, or a corner not above 0 Hz
        """
        if not 0 <= stops <= 10:
            raise SettingError("stabilisation", stops, "0 to 10 stops", "hand shake")
        if not 0 < corner_hz < math.inf:
            raise SettingError("corner", corner_hz, "more than 0 Hz", "hand shake")
        at = 1j * self._omega[:2] / (2 * np.pi * corner_hz)
        response = (2.0**-stops + at) / (1 + at)
        left = copy.copy(self)
        rate, phase = self._rate.copy(), self._phase.copy()
        rate[:2] *= np.abs(response)
        phase[:2] += np.angle(response)
        left._rate, left._phase = rate, phase  # noqa: SLF001
        return left

    def pose(self, t_s: float) -> Pose:
        """Where the camera is at that time; no time is too early or too late."""
        return Pose(*(float(v) for v in self.poses(np.array([t_s]))[0]))

    def poses(self, t_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """(n, 6) of n times, in the order of `Pose`: the integral of `rates`, its mean is 0.

        Raises
        ------
        SettingError : times that are not finite
        """
        time, size = _times(t_s), self._rate / self._omega
        axes = zip(self._omega, self._phase, size, strict=True)
        return np.stack([np.sin(np.outer(time, w) + phase) @ a for w, phase, a in axes], axis=1)

    def rates(self, t_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """(n, 6) of n times: rad/s about and m/s along the axes of `Pose`.

        Raises
        ------
        SettingError : times that are not finite
        """
        time = _times(t_s)
        axes = zip(self._omega, self._phase, self._rate, strict=True)
        return np.stack([np.cos(np.outer(time, w) + phase) @ a for w, phase, a in axes], axis=1)

    def path_um(
        self, t_s: npt.ArrayLike, focal_length_mm: float, *, distance_m: float = math.inf,
        at_um: tuple[float, float] = (0.0, 0.0),
    ) -> npt.NDArray[np.float64]:  # fmt: skip
        """(n, 2): how far the image of a resting point is from where it would be, right and down.

        First order in the pose, for a thin lens (the interaction matrix of a point: Chaumette and
        Hutchinson, "Visual servo control, part I", IEEE RAM 2006): with tangents a, b of the
        point's direction a turn moves it by ``-yaw (1 + a^2) + pitch a b + roll b`` and
        ``pitch (1 + b^2) - yaw a b - roll a``, going by (x, y, z) by
        ``(-x + a z, -y + b z) / distance``.

        Parameters
        ----------
        at_um : the image's place in the upright picture, from the axis
        distance_m : of the point

        Raises
        ------
        SettingError : focal length or distance not above 0, or times that are not finite
        """
        if not 0 < focal_length_mm < math.inf:
            raise SettingError("focal length", focal_length_mm, "more than 0 mm", "hand shake")
        if not distance_m > 0:
            raise SettingError("distance", distance_m, "more than 0 m", "hand shake")
        pitch, yaw, roll, x, y, z = self.poses(t_s).T
        a, b = (v / (focal_length_mm * 1e3) for v in at_um)
        right = -yaw * (1 + a * a) + pitch * a * b + roll * b + (a * z - x) / distance_m
        down = pitch * (1 + b * b) - yaw * a * b - roll * a + (b * z - y) / distance_m
        return np.stack([right, down], axis=1) * (focal_length_mm * 1e3)

    def blur_um(
        self, start_s: float, exposure_s: float, focal_length_mm: float, *,
        distance_m: float = math.inf, at_um: tuple[float, float] = (0.0, 0.0),
    ) -> float:  # fmt: skip
        """Extent of the blur over an exposure: the largest distance of two points of `path_um`.

        Raises
        ------
        SettingError : an exposure not above 0 s, and what `path_um` refuses
        """
        if not 0 < exposure_s < math.inf:
            raise SettingError("exposure", exposure_s, "more than 0 s", "hand shake")
        # 24 points a cycle of the fastest tone
        count = min(max(math.ceil(24 * END_HZ * exposure_s), 16), 4096) + 1
        path = self.path_um(
            start_s + np.linspace(0, exposure_s, count), focal_length_mm, distance_m=distance_m,
            at_um=at_um,
        )  # fmt: skip
        # the extent is the largest width over all directions
        turn = np.linspace(0, np.pi, 180, endpoint=False)
        along = path @ np.stack([np.cos(turn), np.sin(turn)])
        return float((along.max(axis=0) - along.min(axis=0)).max())


def _frequency(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Frequency in Hz below which lies that share, 0..1, of the power."""
    low, corner = FLAT_HZ
    flat = corner - low
    tail = corner**2 * (1 / corner - 1 / END_HZ)
    power = share * (flat + tail)
    beyond = np.clip(power - flat, 0.0, tail)
    return np.where(power <= flat, low + power, 1 / (1 / corner - beyond / corner**2))


def _times(t_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
    found = np.atleast_1d(np.asarray(t_s, np.float64))
    if found.ndim != 1 or not np.isfinite(found).all():
        raise SettingError("time", f"shape {found.shape}", "finite seconds (n,)", "hand shake")
    return found


@runtime_checkable
class Movable(Protocol):
    """A layer that can be put elsewhere."""

    def moved(self, x_m: float, y_m: float, z_m: float) -> Layer: ...


@dataclass(frozen=True, eq=False)
class Moving:
    """A layer that goes straight on, or to and fro; as a layer itself it is where it is at 0 s.

    >>> from modoptic.scenes import load_scene
    >>> chart = load_scene("chart").layers[0]
    >>> Moving(chart, (0.5, 0.0, 0.0)).at(2.0).center_m
    (1.0, 0.0)

    Parameters
    ----------
    layer : an upright layer of this room
    velocity_m_s : to the right, down and away from the camera
    period_s : it swings as a pendulum does, once in that time, through the middle of its way with
        ``velocity_m_s`` at 0 s; None: it goes straight on at that speed

    Raises
    ------
    SettingError : a layer that cannot move, a velocity that is not three finite numbers, or a
        period not above 0
    """

    layer: Layer
    velocity_m_s: tuple[float, float, float]
    period_s: float | None = None

    def __post_init__(self) -> None:
        speed = np.asarray(self.velocity_m_s, np.float64)
        if speed.shape != (3,) or not np.isfinite(speed).all():
            expected = "three finite numbers: right, down and away, in m/s"
            raise SettingError("velocity", self.velocity_m_s, expected, self.layer.name)
        if not isinstance(self.layer, Movable) or self.layer.inverse_depth(0.0)[1] != 0.0:
            expected = "a layer that stands upright; a table and a panorama stay where they are"
            raise SettingError("moving layer", self.layer.name, expected)
        if self.period_s is not None and not 0 < self.period_s < math.inf:
            raise SettingError("period", self.period_s, "more than 0 s", self.layer.name)

    def gone(self, since_s: float, t_s: float) -> tuple[float, float, float]:
        """How far to the right, down and away it went from one time to another, in m."""
        passed = t_s - since_s
        if self.period_s is not None:
            turn = 2 * math.pi / self.period_s
            passed = (math.sin(turn * t_s) - math.sin(turn * since_s)) / turn
        x, y, z = (v * passed for v in self.velocity_m_s)
        return x, y, z

    def at(self, t_s: float) -> Layer:
        """The layer at that time.

        Raises
        ------
        SettingError : no finite time, or it would be nearer than 0.1 m
        """
        if not math.isfinite(t_s):
            raise SettingError("time", t_s, "finite seconds", self.layer.name)
        x, y, z = self.gone(0.0, t_s)
        if 1 / self.layer.inverse_depth(0.0)[0] + z < 0.1:
            raise SettingError("time", t_s, "a time at which it is 0.1 m away", self.layer.name)
        return cast(Movable, self.layer).moved(x, y, z)

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def basis(self) -> Spectrum:
        return self.layer.basis

    def inverse_depth(self, lens_m: float) -> tuple[float, float]:
        return self.layer.inverse_depth(lens_m)

    def bounds(self, lens_m: float) -> Box:
        return self.layer.bounds(lens_m)

    def sample(
        self,
        matrix: FloatArray,
        lens_m: float,
        x0: float,
        y0: float,
        step: float,
        out: FloatArray,
        warp: npt.NDArray[np.float64] = STRAIGHT,
    ) -> None:
        self.layer.sample(matrix, lens_m, x0, y0, step, out, warp)


def scene_at(scene: Scene, t_s: float) -> Scene:
    """A scene as it is at that time: `Moving` layers stand where they have got to.

    One that comes nearer than what was before it is laid before it.

    Raises
    ------
    SettingError : see `Moving.at`
    """
    return replace(scene, layers=tuple(now for _, now in layers_at(scene, t_s)))


def layers_at(scene: Scene, t_s: float) -> list[tuple[Layer | Lamps, Layer | Lamps]]:
    """What a scene is made of and what each part is at that time, in the order of `scene_at`.

    Raises
    ------
    SettingError : see `Moving.at`
    """
    now = [(part, part.at(t_s) if isinstance(part, Moving) else part) for part in scene.layers]
    for pair in tuple(now):
        if isinstance(pair[0], Moving) and pair[0].velocity_m_s[2]:
            now.remove(pair)
            near = _nearness(pair[1])
            places = (i for i, other in enumerate(now) if _nearness(other[1]) > near)
            now.insert(next(places, len(now)), pair)
    return now


def _nearness(part: Layer | Lamps) -> float:
    if isinstance(part, Lamps):
        return float(1 / part.position_m[:, 2].mean())
    # what lies flat is behind all that stands on it
    return part.inverse_depth(0.0)[0]
