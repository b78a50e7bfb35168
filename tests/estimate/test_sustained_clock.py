"""The clock that a card holds under load, and the bandwidth that error correction leaves it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from pencil import CALIBRATION, CARD, PROFILE

from canitrain.catalog import find_card, load_cards
from canitrain.core.gpu import Vendor
from canitrain.estimate.device_rates import working
from canitrain.estimate.sustained_clock import at_sustained_clock, clock_by_power_hz, sustained_hz
from canitrain.estimate.time_evidence import time_evidence

REST_W = CALIBRATION.clock_rest_w.value
EACH_W = {row.compute_capability: row.multiprocessor_w for row in CALIBRATION.clock_power}
A40 = find_card("A40")


def test_an_eighth_of_the_multiprocessors_power_holds_half_of_the_clock():
    # 84 multiprocessors at 1.74 GHz draw 84 x W x 1.74 ** 3; the rest is drawn whatever the clock.
    full_w = EACH_W["8.6"] * A40.multiprocessors * 1.74**3
    slow = at_sustained_clock(replace(A40, tdp_w=REST_W + full_w / 8), CALIBRATION)
    assert slow.boost_hz == pytest.approx(A40.boost_hz / 2)
    assert slow.fp32_flops_per_s == pytest.approx(A40.fp32_flops_per_s / 2)
    assert slow.fp16_flops_per_s == pytest.approx(A40.fp16_flops_per_s / 2)
    assert slow.memory_bytes_per_s == A40.memory_bytes_per_s


@pytest.mark.parametrize("name", ["Tesla V100-SXM2-16GB", "A100-SXM4-40GB", "H100 80GB HBM3", "RTX A5000", "A2", "A30"])
def test_cards_with_enough_power_or_without_typical_relatives_keep_their_datasheet(name):
    assert at_sustained_clock(find_card(name), CALIBRATION) == find_card(name)


@pytest.mark.parametrize(("name", "low", "high"), [("Tesla T4", 0.66, 0.72), ("L4", 0.75, 0.82), ("A10", 0.80, 0.86)])
def test_small_data_centre_cards_do_not_hold_their_highest_clock(name, low, high):
    # T4: (70 - 21.7) W / 40 = 1.21 W; (1.21 / 0.906) ** (1 / 3) = 1.10 of 1.59 GHz
    card = find_card(name)
    assert low < sustained_hz(card, CALIBRATION) / card.boost_hz < high


def test_a_geforce_card_surpasses_its_boost_clock_as_far_as_its_power_allows_and_never_falls_below():
    raised = CALIBRATION.raised_clock_ratio.value
    card = find_card("GeForce RTX 3090")
    # (350 - 21.7) W / 82 = 4.00 W; (4.00 / 0.646) ** (1 / 3) = 1.84 GHz
    assert working(card, CALIBRATION).boost_hz / card.boost_hz == pytest.approx(1.084, abs=0.01)
    assert working(card, CALIBRATION).fp16_flops_per_s == pytest.approx(card.fp16_flops_per_s * 1.084, rel=0.01)
    endless = replace(card, tdp_w=3500.0)
    assert sustained_hz(endless, CALIBRATION) == pytest.approx(raised * card.boost_hz)
    assert sustained_hz(replace(card, tdp_w=100.0), CALIBRATION) == card.boost_hz
    assert sustained_hz(replace(endless, name="RTX A5000"), CALIBRATION) == card.boost_hz


def test_laptops_and_cards_of_unknown_power_or_chip_keep_their_clock():
    t4 = find_card("Tesla T4")
    for kept in (replace(t4, laptop=True), replace(t4, tdp_w=None), replace(t4, compute_capability=None)):
        assert sustained_hz(kept, CALIBRATION) == t4.boost_hz


@pytest.mark.parametrize("tdp_w", [10.0, 30.0, 45.0, 70.0, 150.0, 300.0])
def test_more_power_and_more_multiprocessors_never_make_a_card_slower(tdp_w):
    card = replace(A40, tdp_w=tdp_w)
    assert sustained_hz(replace(card, tdp_w=tdp_w * 1.1), CALIBRATION) >= sustained_hz(card, CALIBRATION)
    wider = replace(card, multiprocessors=92, fp32_flops_per_s=card.fp32_flops_per_s * 92 / 84)
    assert (
        at_sustained_clock(wider, CALIBRATION).fp32_flops_per_s
        >= at_sustained_clock(card, CALIBRATION).fp32_flops_per_s
    )


def test_every_card_of_the_catalog_holds_a_plausible_share_of_its_clock():
    shares = {card.name: sustained_hz(card, CALIBRATION) / card.boost_hz for card in load_cards()}
    assert min(shares, key=lambda name: shares[name]) == "Tesla T4"
    assert max(shares.values()) <= CALIBRATION.raised_clock_ratio.value
    others = [card for card in load_cards() if card.vendor is not Vendor.NVIDIA]
    assert all(shares[card.name] == 1.0 and clock_by_power_hz(card, CALIBRATION) is None for card in others)


def test_faster_data_centre_cards_stay_faster_at_the_clock_of_their_power():
    rates = [working(find_card(n), CALIBRATION).fp16_flops_per_s for n in ("Tesla T4", "L4", "A10", "A40", "L40S")]
    assert rates == sorted(rates)


def test_the_evidence_says_what_clock_a_cards_power_holds_where_that_is_well_below_the_printed_one():
    t4 = time_evidence(PROFILE, find_card("Tesla T4"), CALIBRATION).detail
    assert "70 W hold about 1.10 of its 1.59 GHz" in t4
    assert "hold about" not in time_evidence(PROFILE, CARD, CALIBRATION).detail


def test_error_correction_inside_the_memory_takes_its_share_of_the_bandwidth():
    left = working(A40, CALIBRATION).memory_bytes_per_s / A40.memory_bytes_per_s
    assert left == pytest.approx(CALIBRATION.inline_ecc_ratio.value)
    assert working(replace(A40, inline_ecc=False), CALIBRATION).memory_bytes_per_s == A40.memory_bytes_per_s
