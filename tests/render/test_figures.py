"""Numbers as a reader sees them."""

from __future__ import annotations

import pytest

from canitrain.core.interval import Interval
from canitrain.core.units import GIB_BYTES, HOUR_S, MIB_BYTES, counted
from canitrain.render.figures import bytes_interval, duration_interval, energy, images_per_s


@pytest.mark.parametrize(
    ("low_gib", "expected_gib", "high_gib", "text"),
    [
        (7.6, 8.1, 8.7, "8.1 GiB (7.6-8.7)"),
        (0.56, 1.9, 2.0, "1.9 GiB (0.56-2.0)"),  # and not 573 MiB to 2.0, which reads as 2.0 MiB
        (800, 1000, 2048, "1000 GiB (800-2048)"),
        (3 / 1024, 1.2, 1.4, "1.2 GiB (3.0 MiB-1.4)"),
        (4.0, 4.0, 4.0, "4.0 GiB"),
    ],
)
def test_both_ends_of_a_size_are_in_the_unit_of_the_middle(low_gib, expected_gib, high_gib, text) -> None:
    interval = Interval(low=low_gib * GIB_BYTES, expected=expected_gib * GIB_BYTES, high=high_gib * GIB_BYTES)
    assert bytes_interval(interval) == text


def test_a_range_across_mib_and_gib_is_told_in_mib() -> None:
    assert bytes_interval(Interval(low=500 * MIB_BYTES, expected=900 * MIB_BYTES, high=1.5 * GIB_BYTES)) == (
        "900 MiB (500-1536)"
    )


@pytest.mark.parametrize(
    ("low_h", "expected_h", "high_h", "text"),
    [
        (9.96, 9.97, 10.04, "10 h"),  # and not 10 h (10.0-10)
        (9.96, 10.5, 12.0, "10 h (10-12)"),
        (0.997, 1.6, 2.0, "1.6 h (1.0-2.0)"),
    ],
)
def test_a_range_of_time_is_rounded_like_its_middle(low_h, expected_h, high_h, text) -> None:
    assert duration_interval(Interval(low=low_h * HOUR_S, expected=expected_h * HOUR_S, high=high_h * HOUR_S)) == text


def test_one_of_a_thing_is_no_plural() -> None:
    assert [counted(count, "epoch") for count in (1, 0, 2500, 0.5)] == [
        "1 epoch",
        "0 epochs",
        "2,500 epochs",
        "0.5 epochs",
    ]
    assert (counted(1, "class", "classes"), counted(80, "class", "classes")) == ("1 class", "80 classes")


@pytest.mark.parametrize(
    ("kwh", "text"),
    [(0.000012, "0.000012 kWh"), (0.0059, "0.0059 kWh"), (3.61, "3.6 kWh"), (99.6, "100 kWh"), (12345.0, "12,345 kWh")],
)
def test_little_energy_is_not_none_and_much_has_no_exponent(kwh: float, text: str) -> None:
    assert energy(kwh) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0.123, "0.12"), (0.997, "1.0"), (7.46, "7.5"), (99.97, "100"), (156.4, "156"), (1563.9, "1,564")],
)
def test_images_a_second_have_two_or_three_figures_and_separators(rate: float, text: str) -> None:
    assert images_per_s(rate) == text
