"""The disk under a path on Windows, from the descriptors that its driver answers with."""

from __future__ import annotations

import struct

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import StorageKind
from canitrain.probe.block_device import BY_MODEL, VIRTUAL, Disk
from canitrain.probe.host import derive

_BY_DRIVE = {4: StorageKind.NETWORK, 6: StorageKind.MEMORY}
"""``GetDriveType``: DRIVE_REMOTE and DRIVE_RAMDISK (fileapi.h)."""
_BY_BUS: dict[int, StorageKind | str] = {
    9: StorageKind.NETWORK,  # iSCSI
    12: "is an SD card, of which rates differ tenfold; give --storage",
    13: "is an SD card or eMMC, of which rates differ tenfold; give --storage",
    14: VIRTUAL,
    15: VIRTUAL,
    17: StorageKind.NVME,
    19: StorageKind.SSD,  # UFS
    20: StorageKind.NETWORK,  # NVMe over fabrics
}
"""``STORAGE_BUS_TYPE`` (winioctl.h). What lies on another bus turns or does not: its seek penalty says which."""
_BUS_OFFSET, _PRODUCT_OFFSET = 28, 16
"""Of BusType and ProductIdOffset in ``STORAGE_DEVICE_DESCRIPTOR``."""
_PENALTY_OFFSET = 8
"""Of IncursSeekPenalty in ``DEVICE_SEEK_PENALTY_DESCRIPTOR``."""


def read_windows_disk(answer: Known[dict[str, object]] | Unknown) -> Disk:
    """Kind and name of the disk from ``windows_calls.disk_of``."""
    found = derive(answer, _kind)
    kind = Unknown(reason=found.value) if isinstance(found, Known) and isinstance(found.value, str) else found
    return Disk(kind=kind, device=derive(answer, _name))  # type: ignore[arg-type]  # a string became a reason


def _kind(answer: dict[str, object]) -> StorageKind | str:
    """The kind, or why it is not known; raises ValueError or KeyError where the answer makes no sense."""
    if answer["drive"] in _BY_DRIVE:
        return _BY_DRIVE[int(str(answer["drive"]))]
    device = bytes.fromhex(str(answer["device"]))
    name, (bus,) = _product(device), struct.unpack_from("<I", _whole(device, _BUS_OFFSET + 4), _BUS_OFFSET)
    by_model = next((kind for beginnings, kind in BY_MODEL if name.startswith(beginnings)), None)
    verdict = _BY_BUS.get(bus) if by_model is None else by_model
    if isinstance(verdict, str):
        return f"{name or 'the disk'} {verdict}"
    if verdict is not None:
        return verdict
    penalty = _whole(bytes.fromhex(str(answer["seek_penalty"])), _PENALTY_OFFSET + 1)
    return StorageKind.HDD if penalty[_PENALTY_OFFSET] else StorageKind.SSD


def _name(answer: dict[str, object]) -> str:
    if answer["drive"] in _BY_DRIVE:
        return str(answer["filesystem"])
    return _product(bytes.fromhex(str(answer["device"]))) or "disk"


def _product(device: bytes) -> str:
    """The model, which the descriptor ends with as zero-terminated text; empty where it states none."""
    (start,) = struct.unpack_from("<I", _whole(device, _PRODUCT_OFFSET + 4), _PRODUCT_OFFSET)
    return " ".join(device[start:].split(b"\0")[0].decode(errors="replace").split()) if start else ""


def _whole(descriptor: bytes, size_bytes: int) -> bytes:
    """``descriptor``; raises ValueError where it is shorter than ``size_bytes``."""
    if len(descriptor) < size_bytes:
        raise ValueError(descriptor.hex())
    return descriptor
