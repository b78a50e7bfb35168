"""A hundred names as NVML, amdgpu, SYCL, Metal and torch report them: each its own row, or none."""

import pytest
from detected_gpus import detected

from canitrain.catalog.cards import load_cards
from canitrain.catalog.identify import identify
from canitrain.core.gpu import GpuSpec

# Vendor, name, MiB of memory, multiprocessors (0: the driver does not tell), and the row ("-": none may be taken).
REPORTED = """
nvidia | Tesla K80 | 11441 | 13 | Tesla K80
nvidia | Tesla M60 | 8129 | 16 | Tesla M60
nvidia | Tesla P4 | 7611 | 20 | Tesla P4
nvidia | Tesla P40 | 24451 | 30 | Tesla P40
nvidia | Tesla P100-PCIE-16GB | 16280 | 56 | Tesla P100-PCIE-16GB
nvidia | Tesla P100-PCIE-12GB | 12198 | 56 | Tesla P100-PCIE-12GB
nvidia | Tesla P100-SXM2-16GB | 16276 | 56 | Tesla P100-SXM2-16GB
nvidia | Tesla V100-SXM2-16GB | 16160 | 80 | Tesla V100-SXM2-16GB
nvidia | Tesla V100-SXM2-32GB | 32510 | 80 | Tesla V100-SXM2-32GB
nvidia | Tesla V100-SXM2-32GB-LS | 32510 | 80 | -
nvidia | Tesla V100-SXM3-32GB | 32510 | 80 | Tesla V100-SXM3-32GB
nvidia | Tesla V100-SXM3-32GB-H | 32510 | 80 | -
nvidia | Tesla V100-PCIE-32GB | 32510 | 80 | Tesla V100-PCIE-32GB
nvidia | Tesla V100S-PCIE-32GB | 32510 | 80 | Tesla V100S-PCIE-32GB
nvidia | Tesla V100-FHHL-16GB | 16160 | 80 | Tesla V100-FHHL-16GB
nvidia | Tesla V100-DGXS-32GB | 32505 | 80 | Tesla V100-SXM2-32GB
nvidia | Tesla PG503-216 | 32510 | 80 | -
nvidia | Tesla T4 | 15360 | 40 | Tesla T4
nvidia | GRID T4-8C | 8192 | 40 | -
nvidia | GRID V100D-16Q | 16384 | 80 | -
nvidia | NVIDIA A2 | 15356 | 10 | A2
nvidia | NVIDIA A10 | 23028 | 72 | A10
nvidia | NVIDIA A10-24Q | 24512 | 72 | -
nvidia | NVIDIA A10G | 23028 | 80 | A10G
nvidia | NVIDIA A16 | 15356 | 10 | A16
nvidia | NVIDIA A30 | 24576 | 56 | A30
nvidia | NVIDIA A40 | 46068 | 84 | A40
nvidia | NVIDIA A100-SXM4-40GB | 40960 | 108 | A100-SXM4-40GB
nvidia | A100-SXM4-40GB | 40536 | 108 | A100-SXM4-40GB
nvidia | NVIDIA A100-SXM4-80GB | 81920 | 108 | A100-SXM4-80GB
nvidia | NVIDIA A100-PCIE-40GB | 40960 | 108 | A100-PCIE-40GB
nvidia | NVIDIA A100 80GB PCIe | 81920 | 108 | A100 80GB PCIe
nvidia | NVIDIA A100-SXM-64GB | 65536 | 124 | -
nvidia | GRID A100X-40C | 40960 | 108 | -
nvidia | NVIDIA A800-SXM4-80GB | 81920 | 108 | A800-SXM4-80GB
nvidia | NVIDIA L4 | 23034 | 58 | L4
nvidia | NVIDIA L40 | 46068 | 142 | L40
nvidia | NVIDIA L40S | 46068 | 142 | L40S
nvidia | NVIDIA L40S-48Q | 49152 | 142 | -
nvidia | NVIDIA H100 PCIe | 81559 | 114 | H100 PCIe
nvidia | NVIDIA H100 80GB HBM3 | 81559 | 132 | H100 80GB HBM3
nvidia | NVIDIA H100 80GB HBM2e | 81559 | 114 | H100 PCIe
nvidia | NVIDIA H100 NVL | 95830 | 132 | H100 NVL
nvidia | NVIDIA H100 SXM5 64GB | 65247 | 132 | -
nvidia | NVIDIA H200 | 143771 | 132 | H200
nvidia | NVIDIA H200 NVL | 143771 | 132 | H200 NVL
nvidia | NVIDIA H20 | 97871 | 78 | H20
nvidia | NVIDIA GH200 480GB | 97871 | 132 | GH200 480GB
nvidia | NVIDIA GH200 144G HBM3e | 146831 | 132 | GH200 144G HBM3e
nvidia | NVIDIA B200 | 183359 | 148 | B200
nvidia | NVIDIA B300 SXM6 AC | 275040 | 148 | B300
nvidia | NVIDIA GB200 | 189471 | 152 | GB200
nvidia | NVIDIA GB300 | 284208 | 152 | GB300
nvidia | NVIDIA GB10 | 122572 | 48 | GB10
nvidia | NVIDIA TITAN V | 12066 | 80 | TITAN V
nvidia | NVIDIA TITAN Xp | 12288 | 30 | TITAN Xp
nvidia | NVIDIA TITAN X (Pascal) | 12288 | 28 | TITAN X (Pascal)
nvidia | NVIDIA GeForce GTX TITAN X | 12288 | 24 | GeForce GTX TITAN X
nvidia | TITAN RTX | 24220 | 72 | TITAN RTX
nvidia | NVIDIA GeForce GTX 1060 3GB | 3072 | 9 | GeForce GTX 1060 3GB
nvidia | GeForce GTX 1060 6GB | 6078 | 10 | GeForce GTX 1060 6GB
nvidia | GeForce GTX 1060 with Max-Q Design | 6078 | 10 | GeForce GTX 1060 with Max-Q Design
nvidia | NVIDIA GeForce GTX 1660 SUPER | 6144 | 22 | GeForce GTX 1660 SUPER
nvidia | NVIDIA GeForce RTX 2060 | 6144 | 30 | GeForce RTX 2060
nvidia | NVIDIA GeForce RTX 2060 | 12288 | 34 | GeForce RTX 2060 12GB
nvidia | NVIDIA GeForce RTX 2070 with Max-Q Design | 8192 | 36 | GeForce RTX 2070 with Max-Q Design
nvidia | NVIDIA GeForce RTX 2070 Super with Max-Q Design | 8192 | 40 | GeForce RTX 2070 SUPER with Max-Q Design
nvidia | NVIDIA GeForce RTX 2080 Ti | 11264 | 68 | GeForce RTX 2080 Ti
nvidia | NVIDIA GeForce RTX 2080 Ti | 22528 | 68 | -
nvidia | NVIDIA GeForce RTX 3050 | 6144 | 18 | GeForce RTX 3050 6GB
nvidia | NVIDIA GeForce RTX 3050 6GB Laptop GPU | 6144 | 20 | GeForce RTX 3050 6GB Laptop GPU
nvidia | NVIDIA GeForce RTX 3050Ti Laptop GPU | 4096 | 20 | GeForce RTX 3050 Ti Laptop GPU
nvidia | NVIDIA GeForce RTX 3050 4GB Laptop GPU | 4096 | 20 | -
nvidia | NVIDIA GeForce RTX 3050 A Laptop GPU | 4096 | 14 | -
nvidia | NVIDIA A800-SXM4-40GB | 40960 | 108 | A800-SXM4-40GB
nvidia | NVIDIA A800 40GB Active | 40960 | 108 | A800 40GB Active
nvidia | NVIDIA GH200 120GB | 97871 | 132 | GH200 480GB
nvidia | NVIDIA H100 | 65247 | 132 | -
nvidia | NVIDIA RTX 2000E Ada Generation | 16380 | 22 | -
nvidia | NVIDIA RTX PRO 4500 Blackwell Server Edition | 32623 | 82 | -
nvidia | NVIDIA RTX PRO 5000 Blackwell Embedded GPU | 24463 | 82 | -
nvidia | NVIDIA GeForce RTX 3060 | 12288 | 28 | GeForce RTX 3060
nvidia | NVIDIA GeForce RTX 3060 Laptop GPU | 6144 | 30 | GeForce RTX 3060 Laptop GPU
nvidia | NVIDIA GeForce RTX 3080 | 10240 | 68 | GeForce RTX 3080
nvidia | NVIDIA GeForce RTX 3080 | 20480 | 68 | -
nvidia | NVIDIA GeForce RTX 3080 Laptop GPU | 8192 | 48 | GeForce RTX 3080 Laptop GPU
nvidia | NVIDIA GeForce RTX 3080 Laptop GPU | 16384 | 48 | GeForce RTX 3080 16GB Laptop GPU
nvidia | NVIDIA GeForce RTX 4070 Ti SUPER | 16376 | 66 | GeForce RTX 4070 Ti SUPER
nvidia | NVIDIA GeForce RTX 4090 D | 24564 | 114 | GeForce RTX 4090 D
nvidia | NVIDIA GeForce RTX 4090 D | 49140 | 114 | -
nvidia | NVIDIA GeForce RTX 5090 Laptop GPU | 24463 | 82 | GeForce RTX 5090 Laptop GPU
nvidia | NVIDIA GeForce RTX 5090 D v2 | 24463 | 170 | GeForce RTX 5090 D v2
nvidia | Quadro RTX 6000 | 24220 | 72 | Quadro RTX 6000
nvidia | Quadro RTX 5000 with Max-Q Design | 16125 | 48 | Quadro RTX 5000 with Max-Q Design
nvidia | NVIDIA T1200 Laptop GPU | 4096 | 16 | T1200 Laptop GPU
nvidia | NVIDIA RTX A2000 12GB | 12282 | 26 | RTX A2000 12GB
nvidia | NVIDIA RTX A6000 | 49140 | 84 | RTX A6000
nvidia | NVIDIA RTX 6000 Ada Generation | 49140 | 142 | RTX 6000 Ada Generation
nvidia | NVIDIA RTX 6000D | 86016 | 156 | -
nvidia | NVIDIA RTX PRO 6000 Blackwell Server Edition | 97887 | 188 | RTX PRO 6000 Blackwell Server Edition
nvidia | NVIDIA RTX PRO 5000 Blackwell Generation Laptop GPU | 24463 | 82 | RTX PRO 5000 Blackwell Generation Laptop GPU
nvidia | NVIDIA P106-100 | 6080 | 10 | P106-100
nvidia | Orin (nvgpu) | 7619 | 8 | -
nvidia | Orin | 62841 | 16 | -
amd | AMD Instinct MI300X | 196592 | 304 | Instinct MI300X
amd | AMD Instinct MI300X VF | 196592 | 304 | Instinct MI300X
amd | AMD Instinct MI250X / MI250 | 65520 | 110 | Instinct MI250X
amd | AMD Radeon RX 7900 XTX | 24560 | 96 | Radeon RX 7900 XTX
amd | AMD Radeon RX 7900 XT | 20464 | 84 | Radeon RX 7900 XT
amd | Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M] | 24560 | 96 | -
amd | AMD Radeon RX 7900M | 16368 | 72 | -
amd | AMD Radeon Pro W7900 Dual Slot | 49136 | 96 | Radeon PRO W7900
amd | AMD Radeon Graphics | 24560 | 96 | -
amd | AMD Radeon RX 9070 GRE | 12272 | 48 | Radeon RX 9070 GRE
amd | AMD Radeon RX 9070 GRE | 16368 | 48 | -
intel | Intel(R) Arc(TM) B580 Graphics | 11605 | 0 | Arc B580
intel | Intel(R) Arc(TM) A770 Graphics | 15473 | 0 | Arc A770 16GB
intel | Intel(R) Arc(TM) A770M Graphics | 15473 | 0 | Arc A770M
intel | Intel(R) Arc(TM) Graphics | 15473 | 0 | -
intel | Intel(R) Data Center GPU Max 1550 | 65536 | 64 | Data Center GPU Max 1550
intel | Intel(R) Arc(TM) Pro B60 Graphics | 24480 | 0 | Arc Pro B60
apple | Apple M1 | 10922 | 7 | Apple M1 7-core
apple | Apple M1 | 10922 | 8 | Apple M1
apple | Apple M3 Max | 49152 | 30 | Apple M3 Max 30-core
apple | Apple M4 Max | 98304 | 40 | Apple M4 Max
apple | Apple M4 Max | 27648 | 32 | Apple M4 Max 32-core
apple | Apple M5 Ultra | 196608 | 80 | Apple M5 Ultra
apple | Apple M9 | 196608 | 80 | -
"""
ROWS = [tuple(cell.strip() for cell in line.split(" | ")) for line in REPORTED.strip().splitlines()]


@pytest.mark.parametrize(("vendor", "name", "memory_mib", "multiprocessors", "row"), ROWS)
def test_a_reported_name_is_its_own_row_or_none(
    vendor: str, name: str, memory_mib: str, multiprocessors: str, row: str
) -> None:
    spec = identify(
        detected(name, vendor=vendor, memory_mib=float(memory_mib), multiprocessors=int(multiprocessors) or None)
    )

    assert (spec.name if spec else "-") == row


def test_a_hundred_names_are_tried() -> None:
    assert len(ROWS) >= 100


def test_a_slice_is_a_part_of_its_own_card() -> None:
    for name, row in {
        "NVIDIA A100-SXM4-80GB MIG 3g.40gb": "A100-SXM4-80GB",
        "NVIDIA A100 80GB PCIe MIG 3g.40gb": "A100 80GB PCIe",
        "NVIDIA H100 80GB HBM3 MIG 3g.40gb": "H100 80GB HBM3",
        "NVIDIA H100 NVL MIG 3g.47gb": "H100 NVL",
        "NVIDIA H200 MIG 3g.71gb": "H200",
    }.items():
        spec = identify(detected(name, memory_mib=40192, multiprocessors=42, mig=True))

        assert spec is not None
        assert spec.name == row
        assert spec.multiprocessors == 42


def test_a_slice_of_a_card_that_the_catalog_lacks_is_none() -> None:
    assert identify(detected("NVIDIA H300 MIG 3g.40gb", memory_mib=40192, multiprocessors=42, mig=True)) is None


@pytest.mark.parametrize(
    ("name", "memory_mib", "multiprocessors", "memory_mhz", "bus_bits", "gb_per_s"),
    [
        ("NVIDIA GeForce GTX 1650", 4096, 14, 4001, 128, 128),
        ("NVIDIA GeForce GTX 1650", 4096, 14, 6001, 128, 192),  # with GDDR6
        ("NVIDIA GeForce RTX 3060 Ti", 8192, 38, 7001, 256, 448),
        ("NVIDIA GeForce RTX 3060 Ti", 8192, 38, 9501, 256, 608),  # with GDDR6X
        ("NVIDIA GeForce RTX 4070", 12282, 46, 10001, 192, 480),  # with GDDR6
    ],
)
def test_a_card_that_is_sold_with_two_kinds_of_memory_has_its_own_bandwidth(
    name: str, memory_mib: int, multiprocessors: int, *, memory_mhz: int, bus_bits: int, gb_per_s: int
) -> None:
    # 6001 MHz x 2 transfers x 128 / 8 bytes = 192 GB/s.
    spec = identify(
        detected(
            name,
            memory_mib=memory_mib,
            multiprocessors=multiprocessors,
            memory_mhz=memory_mhz,
            bus_bits=bus_bits,
            laptop=False,
        )
    )

    assert spec is not None
    assert spec.name == name.removeprefix("NVIDIA ")
    assert spec.memory_bytes_per_s == pytest.approx(gb_per_s * 1e9, rel=0.01)


@pytest.mark.parametrize(
    ("name", "capability", "multiprocessors", "fp16_per_sm_and_clock"),
    [
        ("NVIDIA L40-48Q", "8.9", 142, 512),  # L40 and A10G run fp16 with fp32 sums at half rate, whole or virtual
        ("NVIDIA L40S-48Q", "8.9", 142, 1024),
        ("NVIDIA A10G-24Q", "8.6", 80, 512),
        ("NVIDIA A10-24Q", "8.6", 72, 1024),
        ("GRID T4-8C", "7.5", 40, 1024),
        ("NVIDIA GeForce RTX 3080", "8.6", 68, 512),
    ],
)
def test_a_card_that_is_derived_has_the_rates_of_its_kind(
    name: str, capability: str, multiprocessors: int, fp16_per_sm_and_clock: int
) -> None:
    spec = identify(
        detected(
            name,
            memory_mib=20480,
            capability=capability,
            multiprocessors=multiprocessors,
            boost_mhz=2000,
            memory_mhz=8000,
            bus_bits=384,
        )
    )

    assert spec is not None
    assert spec.source.startswith("derived")
    assert spec.fp16_flops_per_s == pytest.approx(fp16_per_sm_and_clock * multiprocessors * spec.boost_hz)


def test_a_row_that_answers_to_the_name_of_another_differs_from_it_in_a_fact() -> None:
    named = {card.name.casefold(): card for card in load_cards()}

    for card in load_cards():
        others = [named[name.casefold()] for name in card.detected_names if name.casefold() in named]
        assert all(_told_apart(card, other) for other in others if other is not card), card.name


def _told_apart(card: GpuSpec, other: GpuSpec) -> bool:
    return (card.memory_bytes, card.multiprocessors, card.laptop) != (
        other.memory_bytes,
        other.multiprocessors,
        other.laptop,
    )
