"""The clock that a card holds under load, and the bandwidth that error correction leaves it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from pencil import CALIBRATION, CARD

from canitrain.catalog import find_card
from canitrain.core.gpu import Generation
from canitrain.estimate.device_rates import sustained, working

WATTS = CALIBRATION.sustained_w


def test_an_eighth_of_the_power_holds_half_of_the_clock():
    # 28 multiprocessors at 1.777 GHz and 1.8 W each are 89.6 W; with an eighth of that the clock is halved.
    full = WATTS[Generation.AMPERE].value * 28 * 1.777
    slow = sustained(replace(CARD, tdp_w=full / 8), WATTS)
    assert slow.boost_hz == pytest.approx(CARD.boost_hz / 2)
    assert slow.fp32_flops_per_s == pytest.approx(CARD.fp32_flops_per_s / 2)
    assert slow.fp16_flops_per_s == pytest.approx(CARD.fp16_flops_per_s / 2)
    assert slow.memory_bytes_per_s == CARD.memory_bytes_per_s


@pytest.mark.parametrize("name", ["GeForce RTX 3090", "Tesla V100-SXM2-16GB", "RTX A4000", "GeForce RTX 4090"])
def test_cards_with_enough_power_keep_their_datasheet(name):
    card = find_card(name)
    assert sustained(card, WATTS).boost_hz == pytest.approx(card.boost_hz, rel=0.005)


def test_a_geforce_card_surpasses_its_boost_clock_as_far_as_its_power_allows():
    raised = CALIBRATION.raised_clock_ratio.value
    # 350 W / (82 x 1.695 GHz) = 2.52 W; (2.52 / 1.8) ** (1 / 3) = 1.119
    card = find_card("GeForce RTX 3090")
    assert working(card, CALIBRATION).boost_hz / card.boost_hz == pytest.approx(1.119, abs=0.002)
    assert working(card, CALIBRATION).fp16_flops_per_s == pytest.approx(card.fp16_flops_per_s * 1.119, rel=0.002)
    # With ten times the power no more than its highest clock; cards of other names keep their datasheet.
    endless = replace(card, tdp_w=3500.0)
    assert working(endless, CALIBRATION).boost_hz == pytest.approx(raised * card.boost_hz)
    assert working(replace(endless, name="RTX A5000"), CALIBRATION).boost_hz == card.boost_hz


def test_a_t4_is_slower_than_its_datasheet_and_laptops_and_unknown_powers_are_not():
    t4 = find_card("Tesla T4")
    assert 0.8 < sustained(t4, WATTS).boost_hz / t4.boost_hz < 0.9  # (1.10 / 1.8) ** (1 / 3) = 0.85
    assert sustained(replace(t4, laptop=True), WATTS) == replace(t4, laptop=True)
    assert sustained(replace(t4, tdp_w=None), WATTS) == replace(t4, tdp_w=None)
    assert sustained(replace(t4, generation=Generation.PASCAL), WATTS) == replace(t4, generation=Generation.PASCAL)


def test_error_correction_inside_the_memory_takes_its_share_of_the_bandwidth():
    a40 = find_card("A40")
    left = working(a40, CALIBRATION).memory_bytes_per_s / a40.memory_bytes_per_s
    assert left == pytest.approx(CALIBRATION.inline_ecc_ratio.value)
    assert working(replace(a40, inline_ecc=False), CALIBRATION).memory_bytes_per_s == a40.memory_bytes_per_s
