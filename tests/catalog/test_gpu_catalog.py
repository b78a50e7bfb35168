"""The rows of the GPU catalog."""

import collections
import math

import msgspec
import pytest

from canitrain.catalog.card_names import parse_name
from canitrain.catalog.card_rows import read_rows, spec_of
from canitrain.catalog.cards import find_card, load_cards
from canitrain.core.gpu import Generation, GpuSpec, Vendor

CARDS = load_cards()
IDS = [card.name for card in CARDS]


def test_the_catalog_has_at_least_two_hundred_cards_of_four_vendors() -> None:
    by_vendor = collections.Counter(card.vendor for card in CARDS)

    assert len(CARDS) >= 200
    assert set(by_vendor) == set(Vendor)


def test_cards_json_is_what_the_toml_files_say() -> None:
    from_toml = tuple(spec_of(row, vendor) for vendor in Vendor for row in read_rows(vendor))

    assert from_toml == CARDS, "run: python tools/build_gpu_catalog.py --cards"


@pytest.mark.parametrize("card", CARDS, ids=IDS)
def test_every_number_of_a_card_is_finite_and_above_zero(card: GpuSpec) -> None:
    for key, value in msgspec.structs.asdict(card).items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert math.isfinite(value), key
            assert value > 0, key


@pytest.mark.parametrize("card", CARDS, ids=IDS)
def test_every_card_is_plausible(card: GpuSpec) -> None:
    assert card.source
    assert 20e9 <= card.memory_bytes_per_s <= 10e12
    assert 0.2e12 <= card.fp32_flops_per_s <= 200e12
    assert 1 * 2**30 <= card.memory_bytes <= 520 * 2**30
    assert 0.4e9 <= card.boost_hz <= 3.5e9
    assert card.year is None or 2013 <= card.year <= 2026
    assert card.fp16_flops_per_s is None or card.fp16_flops_per_s >= card.fp32_flops_per_s
    assert card.tf32_flops_per_s is None or card.bf16_flops_per_s is not None


def test_only_cards_in_slots_take_a_bridge() -> None:
    linked = [card for card in CARDS if card.link_bytes_per_s is not None]
    socketed = ("SXM", "HBM3", "H20", "H800", "GH200", "B100", "B200", "B300", "GB200", "GB300", "MI3")
    joined = {card.name for card in linked if not card.link_bridge}
    bridged = {card.name for card in linked if card.link_bridge}

    assert bridged >= {"GeForce RTX 3090", "A40", "H100 NVL", "A100 80GB PCIe"}
    assert all(any(word in name for word in socketed) for name in joined), joined
    assert not any(card.link_bridge for card in CARDS if card.link_bytes_per_s is None)


def test_every_generation_is_used_by_a_card_or_reserved_for_an_older_one() -> None:
    used = {card.generation for card in CARDS}

    assert set(Generation) - used == {Generation.RDNA}


def test_names_and_aliases_are_each_one_card() -> None:
    called = collections.Counter(
        (parse_name(name).words, parse_name(name).memory_gib)
        for card in CARDS
        for name in {(parse_name(n).words, parse_name(n).memory_gib): n for n in (card.name, *card.aliases)}.values()
    )

    assert [name for name, count in called.items() if count > 1] == []


@pytest.mark.parametrize("card", CARDS, ids=IDS)
def test_a_card_is_found_by_its_name_and_by_each_alias(card: GpuSpec) -> None:
    for name in (card.name, *card.aliases):
        assert find_card(name) == card


def test_a_laptop_row_and_a_desktop_row_never_share_a_name() -> None:
    names = collections.Counter(card.name for card in CARDS)

    assert max(names.values()) == 1
    assert all(card.laptop for card in CARDS if "Laptop" in card.name or "Max-Q Design" in card.name)


def test_the_kinds_that_were_asked_for_are_there() -> None:
    wanted = (
        "K80", "M40", "P100", "V100", "T4", "A100", "H100", "H200", "B200", "GH200", "GB200", "Quadro RTX 8000",
        "RTX A6000", "RTX 6000 Ada", "RTX PRO 6000", "TITAN V", "GTX 980 Ti", "GTX 1060 3GB", "GTX 1660 Ti", "MX450",
        "RTX 2080 Ti", "RTX 3060 8GB", "RTX 3080 12GB", "RTX 4060 Ti 16GB", "RTX 5060 Ti 16GB", "RTX 5090",
        "RTX 4090 laptop", "RTX 5090 laptop", "Jetson Nano", "AGX Orin 64GB", "Jetson Thor", "MI25", "MI300X", "MI355X",
        "Radeon VII", "RX 6950 XT", "RX 7900 XTX", "RX 9070 XT", "W7900", "Arc A770 16GB", "Arc B580", "Max 1550",
        "M1", "M2 Ultra", "M3 Max", "M4 Pro", "M5",
    )  # fmt: skip

    assert all(find_card(name) for name in wanted)


def test_rows_of_memory_variants_are_separate() -> None:
    assert find_card("3060 8gb").memory_bytes == 8 * 2**30
    assert find_card("3060 12gb").memory_bytes == 12 * 2**30
    assert find_card("3060 8gb").memory_bytes_per_s < find_card("3060 12gb").memory_bytes_per_s


def test_error_correction_takes_a_sixteenth_of_a_t4() -> None:
    # 16 GiB x 15 / 16 = 15360 MiB, which is what nvidia-smi shows.
    assert find_card("T4").usable_bytes == 15360 * 2**20
    assert find_card("RTX 3090").usable_bytes == find_card("RTX 3090").memory_bytes
