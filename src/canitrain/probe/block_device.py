"""From a mount to the disk that turns or does not, through partitions, device mapper, RAID and loop devices."""

from __future__ import annotations

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import StorageKind
from canitrain.probe.host import Host
from canitrain.probe.mounts import Mount, mount_of

DEPTH_LIMIT = 8
"""Layers (partition, crypt, LVM, RAID, loop) that are followed; a longer chain is a cycle."""
VIRTUAL_MODELS = ("PersistentDisk", "Virtual Disk", "Virtual disk", "QEMU HARDDISK", "VBOX HARDDISK", "VMware Virtual")
"""What hypervisors call their disks (``/sys/block/*/device/model``): their rotational flag says nothing."""
NETWORK_MODELS = ("Amazon Elastic Block Store",)
"""Disks that look like NVMe and are served over a network. Source: AWS, "Amazon EBS volumes and NVMe"."""
SLOWEST_FIRST = (StorageKind.NETWORK, StorageKind.HDD, StorageKind.SSD, StorageKind.NVME, StorageKind.MEMORY)

Answer = tuple[Known[StorageKind] | Unknown, Known[str] | Unknown]


def block_device(host: Host, mounts: tuple[Mount, ...], mount: Mount) -> Answer:
    """Kind and name of the disk under ``mount``."""
    if mount.device.startswith("0:") and mount.source.startswith("/dev/"):
        folder = host.resolve(f"/sys/class/block/{mount.source.rpartition('/')[2]}")  # btrfs numbers itself
    elif mount.device.startswith("0:"):
        unknown = Unknown(reason=f"file system {mount.filesystem}: its disks are not named in /proc/self/mountinfo")
        return unknown, unknown
    else:
        folder = host.resolve(f"/sys/dev/block/{mount.device}")
    return _follow(host, mounts, folder, DEPTH_LIMIT)


def _follow(host: Host, mounts: tuple[Mount, ...], folder: Known[str] | Unknown, depth: int) -> Answer:
    if isinstance(folder, Unknown):
        return folder, folder
    names = host.names(folder.value)
    if isinstance(names, Unknown):
        return names, names
    if depth == 0:
        unknown = Unknown(reason=f"{folder.value}: more than {DEPTH_LIMIT} layers of devices")
        return unknown, unknown
    if "partition" in names.value:
        return _follow(host, mounts, Known(value=folder.value.rpartition("/")[0], source=folder.source), depth - 1)
    if "loop" in names.value:
        backing = host.read(f"{folder.value}/loop/backing_file")
        if isinstance(backing, Unknown):
            return backing, backing
        under = mount_of(mounts, backing.value if backing.value.startswith("/") else "/")
        if under.device.startswith("0:"):
            unknown = Unknown(reason=f"loop device on {under.filesystem}")
            return unknown, unknown
        return _follow(host, mounts, host.resolve(f"/sys/dev/block/{under.device}"), depth - 1)
    slaves = host.names(f"{folder.value}/slaves") if "slaves" in names.value else Known(value=(), source="")
    if isinstance(slaves, Unknown):
        return slaves, slaves
    if slaves.value:
        below = [
            _follow(host, mounts, host.resolve(f"{folder.value}/slaves/{name}"), depth - 1) for name in slaves.value
        ]
        return min(below, key=_slowness)
    return _disk(host, folder.value)


def _slowness(answer: Answer) -> int:
    """Order in which one disk of several decides: an unknown one first, then the slowest."""
    return SLOWEST_FIRST.index(answer[0].value) if isinstance(answer[0], Known) else -1


def _disk(host: Host, folder: str) -> Answer:
    """A whole disk by its name, model and rotational flag."""
    name = folder.rpartition("/")[2]
    device: Known[str] | Unknown = Known(value=name, source=folder)
    if name.startswith(("zram", "ram", "pmem")):
        return Known(value=StorageKind.MEMORY, source=folder), device
    if name.startswith(("vd", "xvd")):
        return Unknown(reason=f"{name} is a virtual disk: only its host knows what it lies on; give --storage"), device
    if name.startswith("mmcblk"):
        return Unknown(reason=f"{name} is an SD card or eMMC, of which rates differ tenfold; give --storage"), device
    if name.startswith(("nbd", "rbd", "drbd")):
        return Known(value=StorageKind.NETWORK, source=folder), device
    model = host.read(f"{folder}/device/model")
    if isinstance(model, Known):
        device = Known(value=f"{name} ({' '.join(model.value.split())})", source=folder)
        if model.value.strip().startswith(VIRTUAL_MODELS):
            return Unknown(
                reason=f"{name} is a virtual disk: only its host knows what it lies on; give --storage"
            ), device
        if model.value.strip().startswith(NETWORK_MODELS):
            return Known(value=StorageKind.NETWORK, source=f"{folder}/device/model"), device
    elif name.startswith("nvme"):
        return model, device  # it may be a cloud's network disk, which looks like NVMe
    if name.startswith("nvme"):
        return Known(value=StorageKind.NVME, source=folder), device
    flag = host.read(f"{folder}/queue/rotational")
    if isinstance(flag, Unknown):
        return flag, device
    kind = {"0": StorageKind.SSD, "1": StorageKind.HDD}.get(flag.value)
    if kind is None:
        return Unknown(reason=f"{flag.source}: makes no sense: {flag.value[:40]!r}"), device
    return Known(value=kind, source=flag.source), device
