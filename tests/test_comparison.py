"""The fair comparison of module and phone: what is made equal is, and its noise follows light."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modoptic.scenes import load_scene
from modoptic.twin import spectral_response

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import comparison as fair

EACH = {one.name: one for one in fair.comparisons()}


def test_a_square_micrometre_of_both_sensors_is_the_same() -> None:
    module, phone = fair.fair()
    a, b = module.sensor, phone.sensor
    assert (spectral_response(module).qe == spectral_response(phone).qe).all()

    def per_um(value: float, spec: Any, power: int) -> float:
        return value / spec.pitch_um**power

    for low_a, low_b in ((a, b), (a.high_conversion_gain, b.high_conversion_gain)):
        assert low_a is not None and low_b is not None
        assert per_um(low_a.full_well_e, a, 2) == pytest.approx(per_um(low_b.full_well_e, b, 2))
        for name in ("read_noise_e", "row_noise_e", "dsnu_e"):
            assert per_um(getattr(low_a, name), a, 1) == pytest.approx(
                per_um(getattr(low_b, name), b, 1)
            )
    # so that a gain means the same exposure
    assert a.full_well_e * a.dn_per_electron == pytest.approx(b.full_well_e * b.dn_per_electron)


def test_leads_are_those_of_equivalence() -> None:
    # f/1.4 x 2.00 against f/1.63 x 2.64: 35 mm and 23 mm are what 17.5 and 8.7 mm stand for
    assert EACH["own-view"].by_equivalence == pytest.approx(1.24, abs=0.01)
    # cropping from 23 to 35 mm costs the square of it
    lost = 2 * math.log2(35 / 23)
    assert EACH["35mm"].by_equivalence - EACH["own-view"].by_equivalence == pytest.approx(lost)
    for name in ("depth", "depth-35mm"):
        assert EACH[name].by_equivalence == pytest.approx(0.0, abs=0.01)
        (a, b), (c, d) = fair.depth_m(EACH[name].module), fair.depth_m(EACH[name].phone)
        # of one subject size in the picture; from nearer by, the far end runs off a little more
        assert (b - a) / (d - c) == pytest.approx(1.0, abs=0.08 if name == "depth" else 0.02)


@pytest.mark.parametrize("name", ["own-view", "35mm", "depth"])
def test_the_pupils_give_what_equivalence_says_in_the_middle(name: str) -> None:
    one = EACH[name]
    lead = math.log2(one.module.light(0.0, 0.0) / one.phone.light(0.0, 0.0))
    coatings = math.log2(one.module.definition.transmittance / one.phone.definition.transmittance)
    assert lead == pytest.approx(one.by_equivalence + coatings, abs=0.03)


def test_noise_follows_light() -> None:
    """In light enough that read noise is little: twice the time, or frames, are a stop."""
    taking = replace(EACH["own-view"].phone, exposure_s=1 / 4)
    found = []
    for one in (taking, replace(taking, exposure_s=1 / 2), replace(taking, frames=2)):
        twin = fair._twin(one, load_scene("flat", luminance_cd_m2=2.0, distance_m=2.0))
        found.append(fair.noise_at(one, twin, 0.0, 0.0))
        twin.close()
    single, longer, fused = found
    # 1600 blocks tell a deviation to 1.8 %, so stops to 0.07
    for more in (longer, fused):
        assert 2 * math.log2(more.blocks / single.blocks) == pytest.approx(1.0, abs=0.22)
    assert single.blocks == pytest.approx(single.law, rel=0.1)


def test_the_page_shows_the_figures_that_lie_beside_it() -> None:
    results = json.loads(fair.PAGE.with_suffix(".json").read_text("utf-8"))
    page = fair.PAGE.read_text("utf-8")
    assert [one["name"] for one in results] == list(EACH)
    assert fair.table(results) in page and fair.takings_table(results) in page


@pytest.mark.parametrize("name", list(EACH))
def test_measured_leads_are_what_lights_and_read_noise_give(name: str) -> None:
    (one,) = (
        found
        for found in json.loads(fair.PAGE.with_suffix(".json").read_text("utf-8"))
        if found["name"] == name
    )
    for figures in one["places"].values():
        assert figures["stops"] == pytest.approx(figures["stops_by_law"], abs=0.2)
