"""Detected names match exactly, and facts decide between variants."""

import msgspec
import pytest
from bare_machine import machine
from detected_gpus import detected
from hypothesis import given, settings
from hypothesis import strategies as st

from canitrain.catalog.cards import load_cards
from canitrain.catalog.identify import complete, identify
from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Gpu

CARDS = load_cards()

# Name and MiB as nvidia-smi reports them, and the row.
REPORTED = [
    ("NVIDIA GeForce RTX 3060", 12288, "GeForce RTX 3060"),
    ("NVIDIA GeForce RTX 3060", 8192, "GeForce RTX 3060 8GB"),
    ("GeForce RTX 3080", 10018, "GeForce RTX 3080"),
    ("NVIDIA GeForce RTX 3080", 12288, "GeForce RTX 3080 12GB"),
    ("NVIDIA GeForce RTX 4060 Ti", 16380, "GeForce RTX 4060 Ti 16GB"),
    ("NVIDIA GeForce RTX 4060 Ti", 8188, "GeForce RTX 4060 Ti 8GB"),
    ("NVIDIA GeForce GTX 1060 6GB", 6144, "GeForce GTX 1060 6GB"),
    ("NVIDIA GeForce GTX 1060 3GB", 3072, "GeForce GTX 1060 3GB"),
    ("NVIDIA GeForce RTX 4090", 24564, "GeForce RTX 4090"),
    ("NVIDIA GeForce RTX 4090 Laptop GPU", 16376, "GeForce RTX 4090 Laptop GPU"),
    ("NVIDIA GeForce RTX 5090", 32607, "GeForce RTX 5090"),
    ("GeForce RTX 2070 with Max-Q Design", 7982, "GeForce RTX 2070 with Max-Q Design"),
    ("NVIDIA A100-SXM4-40GB", 40960, "A100-SXM4-40GB"),
    ("NVIDIA A100 80GB PCIe", 81920, "A100 80GB PCIe"),
    ("A100-PCIE-40GB", 40536, "A100-PCIE-40GB"),
    ("NVIDIA H100 80GB HBM3", 81559, "H100 80GB HBM3"),
    ("NVIDIA H200", 143771, "H200"),
    ("NVIDIA B200", 183359, "B200"),
    ("Tesla V100-SXM2-16GB", 16160, "Tesla V100-SXM2-16GB"),
    ("Tesla T4", 15109, "Tesla T4"),
    ("NVIDIA A10G", 23028, "A10G"),
    ("NVIDIA L4", 23034, "L4"),
    ("Tesla P40", 22919, "Tesla P40"),
    ("Tesla K80", 11441, "Tesla K80"),
    ("NVIDIA RTX A6000", 49140, "RTX A6000"),
    ("NVIDIA RTX 6000 Ada Generation", 49140, "RTX 6000 Ada Generation"),
    ("NVIDIA TITAN RTX", 24576, "TITAN RTX"),
    ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 97887, "RTX PRO 6000 Blackwell Workstation Edition"),
]


@pytest.mark.parametrize(("name", "memory_mib", "row"), REPORTED)
def test_a_reported_card_gets_its_row(name: str, memory_mib: int, row: str) -> None:
    assert _name(identify(detected(name, memory_mib=memory_mib))) == row


@pytest.mark.parametrize(
    ("name", "memory_mib"),
    [
        ("NVIDIA GeForce RTX 3060 Super", 12288),
        ("NVIDIA RTX 3060", 12288),
        ("GeForce RTX 4090 Laptop", 16376),
        ("GeForce RTX 4090 Mobile", 16376),
        ("NVIDIA A100", 40960),
        ("NVIDIA GeForce RTX 3060 (eGPU)", 12288),
        ("Tesla T4 ", 8192),
        ("NVIDIA GeForce RTX 3060", 6144),
        ("NVIDIA GeForce RTX 4090", 16376),
        ("NVIDIA GeForce RTX 4090", 49140),
        ("NVIDIA GeForce RTX 4060 Ti", 12288),
    ],
)
def test_a_name_that_is_nearly_right_or_the_wrong_memory_is_no_match(name: str, memory_mib: int) -> None:
    assert identify(detected(name, memory_mib=memory_mib)) is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    card=st.sampled_from(CARDS),
    change=st.sampled_from([" Ti", " SUPER", " Laptop GPU", " with Max-Q Design", " D", "0", "x", " 8GB", " Ada"]),
)
def test_a_changed_name_never_matches_the_card_that_it_was_made_from(card: GpuSpec, change: str) -> None:
    changed = card.name + change

    found = identify(detected(changed, vendor=card.vendor.value))

    assert found is None or found.name != card.name or changed in card.detected_names


@settings(max_examples=200, deadline=None, derandomize=True)
@given(card=st.sampled_from([card for card in CARDS if not card.unified_memory]), ratio=st.floats(0.3, 3))
def test_the_memory_of_a_match_always_agrees_with_the_fact(card: GpuSpec, ratio: float) -> None:
    memory_mib = card.memory_bytes / 2**20 * ratio

    found = identify(detected(card.name, vendor=card.vendor.value, memory_mib=memory_mib))

    if 0.95 <= ratio <= 1.01:
        assert found is not None
    if found is not None:
        assert 0.9 <= memory_mib * 2**20 / found.memory_bytes <= 1.03


@pytest.mark.parametrize("card", CARDS, ids=[card.name for card in CARDS])
def test_every_row_is_found_again_from_its_own_facts(card: GpuSpec) -> None:
    found = identify(
        detected(
            card.name,
            vendor=card.vendor.value,
            memory_mib=card.usable_bytes / 2**20,
            multiprocessors=card.multiprocessors,
            laptop=card.laptop,
        )
    )

    assert _name(found) == card.name


def test_a_laptop_with_the_desktops_name_gets_the_laptops_row() -> None:
    desktop = detected("NVIDIA GeForce RTX 2070", memory_mib=8192, laptop=False)
    laptop = detected("NVIDIA GeForce RTX 2070", memory_mib=8192, laptop=True)

    assert _name(identify(desktop)) == "GeForce RTX 2070"
    assert _name(identify(laptop)) == "GeForce RTX 2070 Laptop GPU"


def test_multiprocessors_tell_cards_of_one_name_apart() -> None:
    # The laptop's GTX 1070 has 16 SMs, the desktop's 15, and both call themselves GTX 1070.
    assert _name(identify(detected("GeForce GTX 1070", memory_mib=8192, multiprocessors=16))).endswith("Laptop GPU")
    assert _name(identify(detected("GeForce GTX 1070", memory_mib=8192, multiprocessors=15))) == "GeForce GTX 1070"


def test_a_card_of_another_vendor_with_that_name_is_no_match() -> None:
    assert identify(detected("GeForce RTX 3060", vendor="amd", memory_mib=12288)) is None


def test_a_mig_slice_has_its_share_of_the_whole_card() -> None:
    # 1g.5gb of an A100: 14 of 108 SMs and 4864 of 40960 MiB.
    slice_ = identify(detected("NVIDIA A100-SXM4-40GB MIG 1g.5gb", memory_mib=4864, multiprocessors=14, mig=True))

    assert slice_ is not None
    assert slice_.multiprocessors == 14
    assert slice_.memory_bytes == 4864 * 2**20
    assert slice_.fp16_flops_per_s == pytest.approx(311.9e12 * 14 / 108, rel=0.001)
    assert slice_.memory_bytes_per_s == pytest.approx(1555e9 * 4864 / 40960, rel=0.001)


def test_an_apple_chip_counts_the_cores_and_memory_of_the_machine() -> None:
    chip = identify(detected("M1 Max", vendor="apple", memory_mib=21845, multiprocessors=24))

    assert chip is not None
    assert chip.memory_bytes == 21845 * 2**20
    assert chip.fp32_flops_per_s == pytest.approx(10.6e12 * 24 / 32, rel=0.01)
    assert chip.memory_bytes_per_s == pytest.approx(409.6e9)


def test_complete_fills_in_specs_and_says_what_it_could_not() -> None:
    known = detected("NVIDIA GeForce RTX 3060", memory_mib=12288)
    unheard = detected("NVIDIA Mystery 9000", memory_mib=12288)

    hardware = complete(machine(gpus=(known, unheard)))

    assert isinstance(hardware.gpus, Known)
    first, second = hardware.gpus.value
    assert _name(first.spec) == "GeForce RTX 3060"
    assert second.spec is None
    assert [warning for warning in hardware.warnings if "Mystery 9000" in warning]
    assert not [warning for warning in hardware.warnings if "RTX 3060" in warning]


def test_complete_leaves_a_machine_without_knowledge_of_gpus_alone() -> None:
    unknown = msgspec.structs.replace(machine(gpus=()), gpus=Unknown(reason="no driver"))

    assert complete(unknown) == unknown


def test_complete_twice_is_complete_once() -> None:
    gpus: tuple[Gpu, ...] = (detected("NVIDIA Mystery 9000", memory_mib=12288),)
    once = complete(machine(gpus=gpus))

    assert complete(once) == once


def _name(spec: GpuSpec | None) -> str:
    assert spec is not None
    return spec.name
