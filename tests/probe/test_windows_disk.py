"""Descriptors of disks on Windows, built as winioctl.h lays them out."""

from __future__ import annotations

import struct

import pytest
from recorded_machine import RecordedMachine

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import StorageKind
from canitrain.probe.host import Host
from canitrain.probe.storage import read_storage
from canitrain.probe.windows_disk import read_windows_disk

SATA, USB, SPACES, ISCSI, VIRTUAL, NVME = 11, 7, 16, 9, 14, 17
FIXED, REMOTE, RAM_DISK = 3, 4, 6


def answer(bus: int, product: str, *, turns: bool | None = None, drive: int = FIXED) -> Known:
    """Version, Size, four bytes, VendorIdOffset, ProductIdOffset, revision, serial number, BusType; then the text."""
    text = product.encode() + b"\0"
    head = struct.pack("<II4BIIIII", 40, 36 + len(text), 0, 0, 0, 0, 0, 36 if product else 0, 0, 0, bus)
    penalty = "" if turns is None else struct.pack("<II?3x", 12, 12, turns).hex()
    told = {"drive": drive, "filesystem": "NTFS", "device": (head.ljust(36, b"\0") + text).hex()}
    return Known(value=told | {"seek_penalty": penalty}, source="DeviceIoControl")


@pytest.mark.parametrize(
    ("told", "kind", "device"),
    [
        (answer(NVME, "Samsung SSD 990 PRO 2TB"), StorageKind.NVME, "Samsung SSD 990 PRO 2TB"),
        (answer(SATA, "CT1000MX500SSD1", turns=False), StorageKind.SSD, "CT1000MX500SSD1"),
        (answer(SATA, "ST4000DM004-2CV104", turns=True), StorageKind.HDD, "ST4000DM004-2CV104"),
        (answer(USB, "Expansion", turns=True), StorageKind.HDD, "Expansion"),
        (answer(SPACES, "", turns=False), StorageKind.SSD, "disk"),
        (answer(ISCSI, "Virtual-Target"), StorageKind.NETWORK, "Virtual-Target"),
        (answer(NVME, "Amazon Elastic Block Store"), StorageKind.NETWORK, "Amazon Elastic Block Store"),
        (Known(value={"drive": REMOTE, "filesystem": "NTFS"}, source="x"), StorageKind.NETWORK, "NTFS"),
        (Known(value={"drive": RAM_DISK, "filesystem": "FAT32"}, source="x"), StorageKind.MEMORY, "FAT32"),
    ],
)
def test_the_kind_follows_from_drive_model_bus_and_seek_penalty(told, kind, device):
    disk = read_windows_disk(told)
    assert (disk.kind.value, disk.device.value) == (kind, device)


def test_a_system_that_nobody_knows_is_not_asked_like_windows():
    machine = RecordedMachine("windows-rtx4070")
    machine.facts["platform"]["system"] = "FreeBSD"
    kind = read_storage(Host(machine), machine.data_path).kind
    assert isinstance(kind, Unknown)
    assert "Linux, macOS and Windows only" in kind.reason


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (answer(VIRTUAL, "Virtual Disk"), "Virtual Disk is a virtual disk: only its host knows"),
        (answer(SATA, "QEMU HARDDISK", turns=True), "is a virtual disk"),
        (answer(SATA, "CT1000MX500SSD1"), "makes no sense"),  # the driver does not say whether it turns
        (Known(value={"drive": FIXED, "device": "00"}, source="DeviceIoControl"), "makes no sense"),
        (Unknown(reason="DeviceIoControl: access is denied"), "access is denied"),
    ],
)
def test_what_the_driver_does_not_tell_is_unknown(told, reason):
    kind = read_windows_disk(told).kind
    assert isinstance(kind, Unknown)
    assert reason in kind.reason
