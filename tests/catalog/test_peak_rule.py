"""The rule for peaks against the vendors' datasheets."""

import pytest

from canitrain.catalog.cards import load_cards
from canitrain.core.gpu import GpuSpec

CARDS = {card.name: card for card in load_cards()}

# Name: fp32, tf32, fp16 (fp32 accumulation), bf16 in dense TFLOPS, as the datasheet or whitepaper states them.
DATASHEETS = {
    "Tesla P100-SXM2-16GB": (10.6, None, 21.2, None),
    "Tesla P40": (12.0, None, None, None),
    "Tesla V100-SXM2-16GB": (15.7, None, 125, None),
    "Tesla V100S-PCIE-32GB": (16.4, None, 130, None),
    "Tesla T4": (8.1, None, 65, None),
    "GeForce GTX 1080 Ti": (11.3, None, None, None),
    "GeForce RTX 2080 Ti": (13.4, None, 53.8, None),
    "TITAN RTX": (16.3, None, 130.5, None),
    "Quadro RTX 8000": (16.3, None, 130.5, None),
    "A100-SXM4-40GB": (19.5, 156, 312, 312),
    "A30": (10.3, 82, 165, 165),
    "A10": (31.2, 62.5, 125, 125),
    "A10G": (35, 35, 70, 70),
    "A2": (4.5, 9, 18, 18),
    "A40": (37.4, 74.8, 149.7, 149.7),
    "RTX A6000": (38.7, 77.4, 154.8, 154.8),
    "GeForce RTX 3060": (12.7, 12.7, 25.5, 25.5),
    "GeForce RTX 3080": (29.8, 29.8, 59.5, 59.5),
    "GeForce RTX 3090": (35.6, 35.6, 71, 71),
    "GeForce RTX 4090": (82.6, 82.6, 165.2, 165.2),
    "GeForce RTX 4080": (48.7, 48.7, 97.5, 97.5),
    "RTX 6000 Ada Generation": (91.1, 182.1, 364.2, 364.2),
    "L4": (30.3, 60, 121, 121),
    "L40": (90.5, 90.5, 181, 181),
    "L40S": (91.6, 183, 362, 362),
    "H100 PCIe": (51, 378, 756, 756),
    "H100 80GB HBM3": (67, 494.7, 989, 989),
    "H100 NVL": (60, 418, 835, 835),
    "H200": (67, 494.7, 989, 989),
    "B200": (75, 1125, 2250, 2250),
    "GeForce RTX 5090": (104.8, 104.8, 209.5, 209.5),
    "RTX PRO 6000 Blackwell Workstation Edition": (125, 251.9, 503.8, 503.8),
    "Instinct MI100": (23.1, None, 184.6, 92.3),
    "Instinct MI210": (22.6, None, 181, 181),
    "Instinct MI250X": (23.95, None, 191.5, 191.5),  # half of the card: 47.9, 383
    "Instinct MI300X": (163.4, 653.7, 1307.4, 1307.4),
    "Instinct MI355X": (157.3, None, 2516, 2516),
    "Radeon RX 7900 XTX": (61.4, None, 122.8, 122.8),
    "Radeon RX 9070 XT": (48.7, None, 195, 195),
    "Data Center GPU Max 1550": (26.2, 209.5, 419.5, 419.5),  # half of the card: 52.4, 419, 839
    "Apple M1": (2.6, None, 2.6, None),
    "Apple M2 Max": (13.6, None, 13.6, None),
}

# GB/s as the datasheet states it.
BANDWIDTHS = {
    "Tesla V100-SXM2-16GB": 900,
    "Tesla V100-PCIE-32GB": 900,
    "Tesla T4": 320,
    "A100-SXM4-40GB": 1555,
    "A100-SXM4-80GB": 2039,
    "A100 80GB PCIe": 1935,
    "H100 80GB HBM3": 3350,
    "H200": 4800,
    "B200": 7700,
    "A10": 600,
    "L4": 300,
    "L40S": 864,
    "GeForce RTX 3060": 360,
    "GeForce RTX 3090": 936,
    "GeForce RTX 4090": 1008,
    "GeForce RTX 5090": 1792,
    "GeForce GTX 1080 Ti": 484,
    "Instinct MI300X": 5300,
    "Apple M1 Max": 400,
}


@pytest.mark.parametrize("name", DATASHEETS)
def test_peaks_are_within_three_percent_of_the_datasheet(name: str) -> None:
    card = CARDS[name]

    peaks = (card.fp32_flops_per_s, card.tf32_flops_per_s, card.fp16_flops_per_s, card.bf16_flops_per_s)

    for stated, peak in zip(DATASHEETS[name], peaks, strict=True):
        if stated is None:
            assert peak is None
        else:
            assert peak == pytest.approx(stated * 1e12, rel=0.03)


@pytest.mark.parametrize("name", BANDWIDTHS)
def test_bandwidths_are_within_three_percent_of_the_datasheet(name: str) -> None:
    assert CARDS[name].memory_bytes_per_s == pytest.approx(BANDWIDTHS[name] * 1e9, rel=0.03)


def test_a_geforce_has_half_the_tensor_rate_of_the_professional_card_at_equal_units_and_clock() -> None:
    geforce, professional = CARDS["GeForce RTX 3090"], CARDS["RTX A6000"]

    assert _fp16_per_unit(geforce) * 2 == pytest.approx(_fp16_per_unit(professional))


def _fp16_per_unit(card: GpuSpec) -> float:
    assert card.fp16_flops_per_s is not None
    return card.fp16_flops_per_s / (card.multiprocessors * card.boost_hz)
