"""Typed names and lists of cards."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canitrain.catalog.cards import describe_gpus, find_card, load_cards
from canitrain.core.errors import InputError
from canitrain.core.fact import Known, Unknown

MEANT = {
    "rtx3060": "GeForce RTX 3060",
    "RTX 3060": "GeForce RTX 3060",
    "NVIDIA GeForce RTX 3060": "GeForce RTX 3060",
    "3060": "GeForce RTX 3060",
    "3060 12gb": "GeForce RTX 3060",
    "3060 12 GiB": "GeForce RTX 3060",
    "3060 8gb": "GeForce RTX 3060 8GB",
    "3060ti": "GeForce RTX 3060 Ti",
    "rtx-3060-ti": "GeForce RTX 3060 Ti",
    "4060 ti": "GeForce RTX 4060 Ti 8GB",
    "4060Ti 16G": "GeForce RTX 4060 Ti 16GB",
    "1060": "GeForce GTX 1060 6GB",
    "1060 3gb": "GeForce GTX 1060 3GB",
    "gtx1660 super": "GeForce GTX 1660 SUPER",
    "4080s": "GeForce RTX 4080 SUPER",
    "4090 laptop": "GeForce RTX 4090 Laptop GPU",
    "RTX 4090 mobile": "GeForce RTX 4090 Laptop GPU",
    "4090laptop": "GeForce RTX 4090 Laptop GPU",
    "rtx3080timobile": "GeForce RTX 3080 Ti Laptop GPU",
    "2070 max q": "GeForce RTX 2070 with Max-Q Design",
    "a100": "A100-SXM4-40GB",
    "A100 80GB": "A100-SXM4-80GB",
    "A100 80": "A100-SXM4-80GB",
    "4060 ti 16": "GeForce RTX 4060 Ti 16GB",
    "v100 32": "Tesla V100-SXM2-32GB",
    "a100 pcie": "A100-PCIE-40GB",
    "A100-PCIe-80GB": "A100 80GB PCIe",
    "NVIDIA A100-SXM4-80GB": "A100-SXM4-80GB",
    "v100": "Tesla V100-SXM2-16GB",
    "V100 32GB": "Tesla V100-SXM2-32GB",
    "v100 pcie": "Tesla V100-PCIE-16GB",
    "t4": "Tesla T4",
    "h100": "H100 80GB HBM3",
    "h100 sxm5": "H100 80GB HBM3",
    "h100 nvl": "H100 NVL",
    "l4": "L4",
    "l40": "L40",
    "l40s": "L40S",
    "a10": "A10",
    "a10g": "A10G",
    "6000 ada": "RTX 6000 Ada Generation",
    "quadro rtx 6000": "Quadro RTX 6000",
    "rtx pro 6000": "RTX PRO 6000 Blackwell Workstation Edition",
    "titan xp": "TITAN Xp",
    "7900xtx": "Radeon RX 7900 XTX",
    "AMD Radeon RX 7900 XT": "Radeon RX 7900 XT",
    "mi250x": "Instinct MI250X",
    "arc a770 16gb": "Arc A770 16GB",
    "M1": "Apple M1",
    "m2 max": "Apple M2 Max",
    "NVIDIA V100 16GB (DGX-1)": "Tesla V100-SXM2-16GB",
    "NVIDIA V100 (Big Basin, NVLink)": "Tesla V100-SXM2-16GB",
    "TITAN X (Pascal)": "TITAN X (Pascal)",
    "H100 80GB PCIe5": "H100 PCIe",
    "H200 140GB SXM": "H200",
    "dgx spark 128gb": "GB10",
    "L4 24GB": "L4",
    "orin nano 8gb": "Jetson Orin Nano 8GB",
    "H200 141GB HBM3e": "H200",
    "GH200 120GB": "GH200 480GB",
    "NVIDIA B300 SXM6 AC": "B300",
    "Tesla V100-DGXS-32GB": "Tesla V100-SXM2-32GB",
    "Ryzen AI Max+ 395": "Radeon 8060S",
    "AMD RYZEN AI MAX+ PRO 395 w/ Radeon 8060S": "Radeon 8060S",
    "Jetson Orin Nano 8GB Super Developer Kit": "Jetson Orin Nano Super",
    "NVIDIA Jetson AGX Orin 64GB Developer Kit": "Jetson AGX Orin 64GB",
    "A100 SXM4 40GB HBM2": "A100-SXM4-40GB",
    "H100 SXM 80GB HBM3": "H100 80GB HBM3",
    "H100 80GB HBM2e": "H100 PCIe",
    "RTX 3090 24GB GDDR6X": "GeForce RTX 3090",
    "A40 48GB PCIe": "A40",
    "MI300X OAM": "Instinct MI300X",
    "B200 SXM": "B200",
    "GB200 NVL72": "GB200",
    "Grace Hopper GH200": "GH200 480GB",
    "Volta V100": "Tesla V100-SXM2-16GB",
    "Ampere A100 80GB": "A100-SXM4-80GB",
    "Titan X (Maxwell)": "GeForce GTX TITAN X",
    "Titan X Pascal": "TITAN X (Pascal)",
    "GTX Titan X (Pascal)": "TITAN X (Pascal)",
    "GTX TITAN X": "GeForce GTX TITAN X",
    "Colab T4": "Tesla T4",
    "GTX 2080Ti": "GeForce RTX 2080 Ti",
    "GTX 3060": "GeForce RTX 3060",
    "RTX 1080 Ti": "GeForce GTX 1080 Ti",
    "Quadro A6000": "RTX A6000",
    "GTX TITAN": "GeForce GTX TITAN",
    "Tesla K40c": "Tesla K40m",
    "rtx6000ada": "RTX 6000 Ada Generation",
    "m2ultra": "Apple M2 Ultra",
    "GeForceRTX3090": "GeForce RTX 3090",
    "TeslaV100": "Tesla V100-SXM2-16GB",
    "H100PCIe": "H100 PCIe",
    "QuadroRTX8000": "Quadro RTX 8000",
    "GeForce_MX350": "GeForce MX350",
    "AMD INSTINCT MI250 (MCM) OAM AC MBA": "Instinct MI250",
}


@pytest.mark.parametrize("text", MEANT)
def test_a_typed_name_finds_the_card_that_is_meant(text: str) -> None:
    assert find_card(text).name == MEANT[text]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("rtx 3061", "GeForce RTX 3060"),
        ("4090 48gb", "GeForce RTX 4090 (24.0 GiB)"),
        ("A100-SXM-64GB", "A100-SXM4-80GB (80.0 GiB)"),
        ("K80 24GB", "Tesla K80 (12.0 GiB)"),
        ("H200 PCIe", "H200 NVL"),
        ("TITAN X", "say which: GeForce GTX TITAN X, TITAN X (Pascal)"),
        ("GTX 1650 Ti", "say which: GeForce GTX 1650 Ti Laptop GPU, GeForce GTX 1650 Ti with Max-Q Design"),
        ("gtx 6000", "say which"),
        ("titan", "say which"),
        ("H100 80GB HBM3e", "H100 NVL"),
        ("T4 (Kaggle x2)", "Tesla T4"),
        ("T4 (2)", "Tesla T4"),
        ("T4 2", "Tesla T4"),
        ("3060 16", "GeForce RTX 3060"),
        ("p4d.24xlarge", '--gpu "8x A100 40GB"'),
        ("Standard_NC24ads_A100_v4", '--gpu "A100 80GB PCIe"'),
        ("a3-highgpu-8g", '--gpu "8x H100"'),
        ("DGX-1", '--gpu "8x V100"'),
        ("DGX A100", '--gpu "8x A100 40GB"'),
        ("MIG 1g.10gb", "A100 80GB MIG 1g.10gb"),
        ("RTX 3090 MIG 1g.10gb", "canitrain probe --save HOST.json"),
        ("A100 40GB MIG 1g.80gb", "A100-SXM4-40GB MIG 3g.20gb"),
        ("A100 40GB MIG 5g.20gb", "A100-SXM4-40GB MIG 3g.20gb"),
        ("A100 MIG 3g.40gb", "with the memory of the card"),
        ("cpu", "--device cpu"),
        ("rtx 6000", "RTX 6000 Ada Generation"),
        ("orin", "Jetson Orin NX"),
        ("jetson", "Jetson Nano"),
        ("m4 max 48gb", "Apple M4 Max, and its memory with --ram 48GiB"),
        ("jetson", "canitrain gpus jetson"),
        ("mi300", "Instinct MI300X"),
        ("banana", "canitrain gpus"),
        ("", "canitrain gpus"),
        ("nvidia", "canitrain gpus"),
        ("8gb", "canitrain gpus"),
    ],
)
def test_an_unknown_or_ambiguous_name_names_the_nearest(text: str, named: str) -> None:
    with pytest.raises(InputError) as caught:
        find_card(text)

    assert named in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_laptop_is_only_found_by_saying_so() -> None:
    for card in load_cards():
        if card.laptop and "Laptop" in card.name and f"{card.name.replace(' Laptop GPU', '')}" in _names():
            assert not find_card(card.name.replace(" Laptop GPU", "")).laptop


def test_the_x_of_max_counts_nothing() -> None:
    with pytest.raises(InputError, match="no GPU is called 'M3 Max 36'"):
        describe_gpus("M3 Max 36")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("M3 Max x1", ["Apple M3 Max"]),
        ("4x A100 80", ["A100-SXM4-80GB"] * 4),
        ("2x A100 80GB, T4", ["A100-SXM4-80GB"] * 2 + ["Tesla T4"]),
        ("2 x RTX 3060", ["GeForce RTX 3060"] * 2),
        ("2xRTX 3060", ["GeForce RTX 3060"] * 2),
        ("2\u00d7 4090", ["GeForce RTX 4090"] * 2),
        ("T4 x4", ["Tesla T4"] * 4),
        ("4 T4", ["Tesla T4"] * 4),
        ("3 * l4 + h100", ["L4"] * 3 + ["H100 80GB HBM3"]),
        ("2x3090 and T4", ["GeForce RTX 3090"] * 2 + ["Tesla T4"]),
        ("7900xtx", ["Radeon RX 7900 XTX"]),
        ("2x7900xtx", ["Radeon RX 7900 XTX"] * 2),
        ("1080", ["GeForce GTX 1080"]),
        ("gtx 970", ["GeForce GTX 970"]),
        ("gtx970 x2", ["GeForce GTX 970"] * 2),
        ("980 ti", ["GeForce GTX 980 Ti"]),
        ("980 x2", ["GeForce GTX 980"] * 2),
        ("T4X2", ["Tesla T4"] * 2),
        ("L40Sx4", ["L40S"] * 4),
        ("3060 x 2", ["GeForce RTX 3060"] * 2),
        ("T4 (x2)", ["Tesla T4"] * 2),
        ("T4(2x)", ["Tesla T4"] * 2),
        ("8 x V100 (32 GB)", ["Tesla V100-SXM2-32GB"] * 8),
        ("T4+L4", ["Tesla T4", "L4"]),
        ("dual 2080Ti", ["GeForce RTX 2080 Ti"] * 2),
        ("single T4", ["Tesla T4"]),
        ("2x Ryzen AI Max+ 395", ["Radeon 8060S"] * 2),
        ("NVIDIA V100 (Big Basin, NVLink)", ["Tesla V100-SXM2-16GB"]),
    ],
)
def test_counts_and_lists_are_read(text: str, names: list[str]) -> None:
    gpus = describe_gpus(text)

    assert [gpu.name for gpu in gpus] == names
    assert [gpu.index for gpu in gpus] == list(range(len(names)))


def test_every_card_is_described_by_its_own_name() -> None:
    for card in load_cards():
        for text, count in ((card.name, 1), (card.name.lower(), 1), (f"2x {card.name}", 2), (f"{card.name} x2", 2)):
            assert [gpu.name for gpu in describe_gpus(text)] == [card.name] * count


@pytest.mark.parametrize("text", ["rx580", "rx 580", "2x rx 580", "gtx 9701"])
def test_the_number_of_a_card_is_no_count(text: str) -> None:
    with pytest.raises(InputError, match="no GPU is called"):
        describe_gpus(text)


@pytest.mark.parametrize("text", ["0x T4", "-1x T4", "65x T4", "T4 x0", "", " ", "T4,,L4", "T4,", "2x", "2x banana"])
def test_a_bad_list_is_one_line_and_a_hint(text: str) -> None:
    with pytest.raises(InputError) as caught:
        describe_gpus(text)

    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_described_gpu_has_the_datasheet_facts_and_no_invented_ones() -> None:
    (gpu,) = describe_gpus("T4")

    assert gpu.spec == find_card("T4")
    assert gpu.total_bytes == Known(value=15360 * 2**20, source="datasheet")
    assert isinstance(gpu.free_bytes, Known)
    assert isinstance(gpu.uuid, Unknown)
    assert isinstance(gpu.memory_hz, Unknown)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=st.text(max_size=30))
def test_any_text_is_a_list_of_cards_or_an_input_error(text: str) -> None:
    try:
        described = describe_gpus(text)
    except InputError:
        return
    assert described


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    card=st.sampled_from(load_cards()),
    spelling=st.sampled_from(
        [str.upper, str.lower, str.title, lambda name: f" {name} ", lambda name: f"NVIDIA {name}"]
    ),
)
def test_case_vendor_and_spaces_do_not_matter(card: object, spelling: object) -> None:
    name = card.name  # type: ignore[attr-defined]

    assert find_card(spelling(name)) == card  # type: ignore[operator]


def _names() -> set[str]:
    return {card.name for card in load_cards()}


@pytest.mark.parametrize(
    ("text", "name", "multiprocessors", "gib", "bandwidth_ratio"),
    [
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", "A100-SXM4-80GB MIG 1g.10gb", 14, 9.5, 1 / 8),
        ("A100 80GB 3g.40gb", "A100-SXM4-80GB MIG 3g.40gb", 42, 38.0, 4 / 8),
        ("a100 (MIG 2g.10gb)", "A100-SXM4-40GB MIG 2g.10gb", 28, 9.5, 2 / 8),
        ("A30 MIG 1g.6gb", "A30 MIG 1g.6gb", 14, 5.7, 2 / 8),
        ("H100 80GB HBM3 MIG 1g.20gb", "H100 80GB HBM3 MIG 1g.20gb", 16, 19.0, 2 / 8),
        ("H200 MIG 1g.18gb", "H200 MIG 1g.18gb", 16, 17.1, 1 / 8),
        ("A30 MIG 2g.12gb", "A30 MIG 2g.12gb", 28, 11.4, 4 / 8),
        ("H100 MIG 7g.80gb", "H100 80GB HBM3 MIG 7g.80gb", 132, 76.0, 1),
    ],
)
def test_a_slice_is_its_share_of_the_card(
    text: str, name: str, multiprocessors: int, gib: float, bandwidth_ratio: float
) -> None:
    card, whole = find_card(text), find_card(name.split(" MIG ", maxsplit=1)[0])

    assert (card.name, card.multiprocessors, card.memory_bytes / 2**30) == (name, multiprocessors, pytest.approx(gib))
    assert card.memory_bytes_per_s == pytest.approx(whole.memory_bytes_per_s * bandwidth_ratio)
    assert card.fp32_flops_per_s == pytest.approx(whole.fp32_flops_per_s * multiprocessors / whole.multiprocessors)
    assert card.link_bytes_per_s is None
    (gpu,) = describe_gpus(text)
    assert gpu.mig
    assert gpu.name == name
