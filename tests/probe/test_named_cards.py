"""What a card is called where the driver's name alone does not tell it."""

from __future__ import annotations

import pytest
from recorded_machine import RecordedMachine

from canitrain.catalog import complete
from canitrain.core.fact import Known
from canitrain.core.gpu import GpuSpec
from canitrain.probe.host import Host
from canitrain.probe.machine import probe_host

TURING_2070 = {
    "nvmlDeviceGetName": "NVIDIA GeForce RTX 2070",
    "nvmlDeviceGetCudaComputeCapability": [7, 5],
    "nvmlDeviceGetNumGpuCores": 2304,
    "nvmlDeviceGetMemoryInfo": {"total": 8 * 2**30, "free": 7 * 2**30, "used": 2**30},
    "nvmlDeviceGetMaxClockInfo": {"error": "Not Supported"},
}


def card_of(machine: RecordedMachine) -> GpuSpec | None:
    """The row of the machine's only GPU."""
    hardware = complete(probe_host(Host(machine), machine.data_path))
    assert isinstance(hardware.gpus, Known)
    return hardware.gpus.value[0].spec


@pytest.mark.parametrize(("chassis", "row"), [("3", "GeForce RTX 2070"), ("10", "GeForce RTX 2070 Laptop GPU")])
def test_the_chassis_tells_a_laptops_chip_that_is_called_like_the_desktops_card(chassis: str, row: str) -> None:
    machine = RecordedMachine("gtx1060-desktop")
    machine.devices[0] |= TURING_2070
    machine.files["/sys/class/dmi/id/chassis_type"] = f"{chassis}\n"

    card = card_of(machine)

    assert card is not None
    assert card.name == row


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("NVIDIA GeForce RTX 2070 SUPER", "GeForce RTX 2070 SUPER"),
        ("NVIDIA GeForce RTX 2070 Super", "GeForce RTX 2070 SUPER Laptop GPU"),
    ],
)
def test_nvidia_spells_super_of_a_laptop_in_small_letters(name: str, row: str) -> None:
    machine = RecordedMachine("gtx1060-desktop")
    machine.devices[0] |= {**TURING_2070, "nvmlDeviceGetName": name, "nvmlDeviceGetNumGpuCores": 2560}

    card = card_of(machine)

    assert card is not None
    assert card.name == row


def test_a_desktops_card_beside_a_laptop_stays_the_desktops() -> None:
    # An RTX 30 in a box of its own: a laptop's chip would say so.
    machine = RecordedMachine("rtx3090-occupied")
    machine.files["/sys/class/dmi/id/chassis_type"] = "10\n"

    card = card_of(machine)

    assert card is not None
    assert card.name == "GeForce RTX 3090"


@pytest.mark.parametrize(
    ("model", "ram_gib", "row"),
    [
        ("NVIDIA Jetson AGX Orin Developer Kit", 30, "Jetson AGX Orin 32GB"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", 7.4, "Jetson Orin Nano Super"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit", 7.4, "Jetson Orin Nano 8GB"),
        ("NVIDIA Jetson Orin NX Engineering Reference Developer Kit Super", 15.3, "Jetson Orin NX 16GB Super"),
        ("NVIDIA Orin Nano Developer Kit", 7.4, "Jetson Orin Nano 8GB"),
        ("NVIDIA Orin NX Developer Kit", 15.3, "Jetson Orin NX 16GB"),
        ("NVIDIA Jetson Xavier NX Developer Kit", 6.7, "Jetson Xavier NX 8GB"),
        ("Jetson-AGX", 31, "Jetson AGX Xavier 32GB"),
        ("NVIDIA Jetson Nano 2GB Developer Kit", 1.9, "Jetson Nano 2GB"),
        ("NVIDIA Jetson Nano Developer Kit", 3.9, "Jetson Nano"),
        ("NVIDIA Jetson AGX Thor Developer Kit", 122, "Jetson AGX Thor"),
        ("NVIDIA Jetson AGX Next Developer Kit", 500, None),
    ],
)
def test_a_jetson_is_known_by_its_device_tree_and_memory(model: str, ram_gib: float, row: str | None) -> None:
    machine = RecordedMachine("jetson-agx-orin")
    machine.files["/proc/device-tree/model"] = f"{model}\0"
    kib = round(ram_gib * 2**20)
    lines = machine.files["/proc/meminfo"].splitlines()
    others = [line for line in lines if "MemTotal" not in line]
    machine.files["/proc/meminfo"] = "\n".join([f"MemTotal: {kib} kB", *others])

    card = card_of(machine)

    assert (card and card.name) == row


@pytest.mark.parametrize(
    ("device", "revision", "memory_gib", "units", "row"),
    [
        (0x740C, 1, 64, 104, "Instinct MI250"),
        (0x740C, 1, 64, 110, "Instinct MI250X"),
        (0x7408, 0, 64, 110, "Instinct MI250X"),
        (0x66A1, 2, 32, 60, "Instinct MI50 32GB"),
        (0x66A1, 2, 16, 60, "Instinct MI50"),
        (0x66A1, 2, 32, 64, "Instinct MI60"),
        (0x66A1, 6, 16, 60, "Radeon Pro VII"),
        (0x74A1, 0, 192, 304, "Instinct MI300X"),
        (0x744A, 0, 48, 96, "Radeon PRO W7900"),
        (0x744C, 0xC8, 24, 96, "Radeon RX 7900 XTX"),
        (0x7590, 0xC0, 16, 32, "Radeon RX 9060 XT 16GB"),
    ],
)
def test_cards_of_amd_with_one_device_number_are_told_apart(
    device: int, revision: int, memory_gib: int, units: int, row: str
) -> None:
    machine = RecordedMachine("mi250")
    _amd_card(machine, device, revision, memory_gib, units)

    card = card_of(machine)

    assert card is not None
    assert card.name == row


def _amd_card(machine: RecordedMachine, device: int, revision: int, memory_gib: int, units: int) -> None:
    """Every card of ``machine`` becomes that one, with libdrm's table beside it."""
    for path in list(machine.files):
        if path.endswith("/device") and "drm" not in path.rpartition("/")[0].rpartition("/")[2]:
            machine.files[path] = f"{device:#06x}\n"
            machine.files[path.removesuffix("device") + "revision"] = f"{revision:#04x}\n"
        if path.endswith("/mem_info_vram_total"):
            machine.files[path] = f"{memory_gib * 2**30}\n"
        if path.endswith("/properties"):
            machine.files[path] = "\n".join(
                f"simd_count {units * 4}" if line.startswith("simd_count") and line.split()[1] != "0" else line
                for line in machine.files[path].splitlines()
            )
    machine.files["/usr/share/libdrm/amdgpu.ids"] = (
        "66A1,\t02,\tAMD Instinct MI60 / MI50\n66A1,\t06,\tAMD Radeon Pro VII\n"
        "744A,\t00,\tAMD Radeon Pro W7900 Dual Slot\n744C,\tC8,\tAMD Radeon RX 7900 XTX\n"
        "7590,\tC0,\tAMD Radeon RX 9060 XT\n"
    )
