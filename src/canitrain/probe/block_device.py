"""From a mount to the disk that turns or does not, through partitions, device mapper, RAID and loop devices."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import StorageKind
from canitrain.probe.host import Host, derive
from canitrain.probe.mounts import Mount, mount_of

DEPTH_LIMIT = 8
"""Layers (partition, crypt, LVM, RAID, loop) that are followed; a longer chain is a cycle."""
VIRTUAL = "is a virtual disk: only its host knows what it lies on; give --storage"
BY_NAME: tuple[tuple[tuple[str, ...], StorageKind | str], ...] = (
    (("zram", "ram", "pmem"), StorageKind.MEMORY),
    (("nbd", "rbd", "drbd"), StorageKind.NETWORK),
    (("vd", "xvd"), VIRTUAL),
    (("mmcblk",), "is an SD card or eMMC, of which rates differ tenfold; give --storage"),
)
"""Disks whose kind, or why it is unknown, follows from the name. Source: the kernel's admin-guide/devices.txt."""
BY_MODEL: tuple[tuple[tuple[str, ...], StorageKind | str], ...] = (
    (
        ("PersistentDisk", "Virtual Disk", "Virtual disk", "QEMU HARDDISK", "VBOX HARDDISK", "VMware Virtual"),
        VIRTUAL,
    ),
    (("Amazon Elastic Block Store",), StorageKind.NETWORK),
)
"""What hypervisors call their disks (``device/model``), and AWS a network disk ("Amazon EBS volumes and NVMe")."""
SLOWEST_FIRST = (StorageKind.NETWORK, StorageKind.HDD, StorageKind.SSD, StorageKind.NVME, StorageKind.MEMORY)


class Disk(Struct, frozen=True, kw_only=True):
    """Kind and name of what a file system lies on."""

    kind: Known[StorageKind] | Unknown
    device: Known[str] | Unknown


def block_device(host: Host, mounts: tuple[Mount, ...], mount: Mount) -> Disk:
    """Kind and name of the disk under ``mount``."""
    return _follow(host, mounts, _folder(host, mount), DEPTH_LIMIT)


def _folder(host: Host, mount: Mount) -> Known[str] | Unknown:
    """The device's folder under ``/sys``. btrfs numbers itself, and is found by the name of its device."""
    if not mount.device.startswith("0:"):
        return host.resolve(f"/sys/dev/block/{mount.device}")
    if mount.source.startswith("/dev/"):
        return host.resolve(f"/sys/class/block/{mount.source.rpartition('/')[2]}")
    return Unknown(reason=f"file system {mount.filesystem}: its disks are not named in /proc/self/mountinfo")


def _follow(host: Host, mounts: tuple[Mount, ...], folder: Known[str] | Unknown, depth: int) -> Disk:
    """The disk at the end of the chain that begins at ``folder``; of several, the one that decides."""
    if isinstance(folder, Unknown):
        return _nothing(folder)
    names = host.names(folder.value)
    if isinstance(names, Unknown):
        return _nothing(names)
    if depth == 0:
        return _nothing(Unknown(reason=f"{folder.value}: more than {DEPTH_LIMIT} layers of devices"))
    below = _below(host, mounts, folder.value, names.value)
    if isinstance(below, Unknown):
        return _nothing(below)
    if not below:
        return _disk(host, folder.value)
    return min((_follow(host, mounts, part, depth - 1) for part in below), key=_slowness)


def _below(
    host: Host, mounts: tuple[Mount, ...], folder: str, names: tuple[str, ...]
) -> list[Known[str] | Unknown] | Unknown:
    """What a partition, loop device, or layer of device mapper or RAID lies on; nothing for a disk."""
    if "partition" in names:
        return [Known(value=folder.rpartition("/")[0], source=folder)]
    if "loop" in names:
        backing = host.read(f"{folder}/loop/backing_file")
        if isinstance(backing, Unknown):
            return backing
        return [_folder(host, mount_of(mounts, backing.value if backing.value.startswith("/") else "/"))]
    if "slaves" not in names:
        return []
    slaves = host.names(f"{folder}/slaves")
    if isinstance(slaves, Unknown):
        return slaves
    return [host.resolve(f"{folder}/slaves/{name}") for name in slaves.value]


def _slowness(disk: Disk) -> int:
    """Order in which one disk of several decides: an unknown one first, then the slowest."""
    return SLOWEST_FIRST.index(disk.kind.value) if isinstance(disk.kind, Known) else -1


def _nothing(why: Unknown) -> Disk:
    return Disk(kind=why, device=why)


def _disk(host: Host, folder: str) -> Disk:
    """A whole disk."""
    name = folder.rpartition("/")[2]
    model = host.read(f"{folder}/device/model")
    label = f"{name} ({' '.join(model.value.split())})" if isinstance(model, Known) else name
    return Disk(kind=_kind(host, folder, name, model), device=Known(value=label, source=folder))


def _kind(host: Host, folder: str, name: str, model: Known[str] | Unknown) -> Known[StorageKind] | Unknown:
    """By name, by model, or by the rotational flag."""
    table = [(name, row) for row in BY_NAME]
    if isinstance(model, Known):
        table += [(model.value.strip(), row) for row in BY_MODEL]
    for text, (beginnings, verdict) in table:
        if text.startswith(beginnings):
            if isinstance(verdict, str):
                return Unknown(reason=f"{name} {verdict}")
            return Known(value=verdict, source=folder)
    if name.startswith("nvme"):  # without a model it may be a cloud's network disk
        return derive(model, lambda _: StorageKind.NVME, folder)
    flags = {"0": StorageKind.SSD, "1": StorageKind.HDD}
    return derive(host.read(f"{folder}/queue/rotational"), lambda flag: flags[flag])
