"""The file system of the data directory, and the device behind it through LVM, RAID, loops, overlays and bind mounts."""

from __future__ import annotations

from pathlib import PurePosixPath

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Storage, StorageKind
from canitrain.probe.block_device import block_device
from canitrain.probe.host import Host, derive
from canitrain.probe.mounts import Mount, is_under, mount_of, read_mounts

NETWORK_FILESYSTEMS = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "afs", "9p", "orangefs",
    "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.juicefs", "fuse.glusterfs", "fuse.ceph-fuse", "fuse.rclone",
    "fuse.blobfuse", "fuse.blobfuse2", "fuse.mount-s3", "fuse.goofys", "webdav", "afpfs", "virtiofs", "wekafs",
})  # fmt: skip
MEMORY_FILESYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs"})


def read_storage(host: Host, path: str) -> Storage:
    """The file system that holds ``path`` (absolute; of a path that does not exist yet, its nearest parent's)."""
    existing, volume = path, host.volume(path)
    while isinstance(volume, Unknown) and volume.reason.endswith("not there") and existing != _parent(existing):
        existing = _parent(existing)
        volume = host.volume(existing)
    kind: Known[StorageKind] | Unknown
    device: Known[str] | Unknown
    filesystem: Known[str] | Unknown
    match host.system:
        case "Linux":
            real = host.resolve(existing)
            mounts = read_mounts(host)
            if isinstance(real, Unknown) or isinstance(mounts, Unknown):
                kind = device = filesystem = real if isinstance(real, Unknown) else mounts
                read_only = False
            else:
                mount = mount_of(mounts.value, real.value)
                filesystem = Known(value=mount.filesystem, source="/proc/self/mountinfo")
                kind, device = _behind(host, mounts.value, mount)
                read_only = "ro" in mount.options
        case "Darwin":
            kind, device, filesystem = _macos(host, existing)
            read_only = False
        case _:
            kind = device = Unknown(reason="Windows tells the kind of a disk only to administrators; give --storage")
            filesystem = Unknown(reason="not read on Windows")
            read_only = False
    writable = host.writable(existing)
    return Storage(
        path=path,
        kind=kind,
        device=device,
        filesystem=filesystem,
        total_bytes=derive(volume, lambda room: _count(room.total_bytes)),
        free_bytes=derive(volume, lambda room: _count(room.free_bytes)),
        free_inodes=derive(volume, lambda room: _count(room.free_inodes)),
        writable=Known(value=False, source="mounted read-only") if read_only else writable,
    )


def _behind(
    host: Host, mounts: tuple[Mount, ...], mount: Mount
) -> tuple[Known[StorageKind] | Unknown, Known[str] | Unknown]:
    """Kind and device behind ``mount``."""
    if mount.filesystem in NETWORK_FILESYSTEMS:
        kind, device = StorageKind.NETWORK, f"{mount.filesystem} server"
    elif mount.filesystem in MEMORY_FILESYSTEMS:
        kind, device = StorageKind.MEMORY, mount.filesystem
    else:
        if mount.filesystem == "overlay":
            under = _overlay_mount(mounts, mount)
            if under is None:
                reason = Unknown(reason="overlay: the disk under the container's layers is not visible here")
                return reason, reason
            return _behind(host, mounts, under)
        return block_device(host, mounts, mount)
    source = f"file system {mount.filesystem} in /proc/self/mountinfo"
    return Known(value=kind, source=source), Known(value=device, source=source)


def _overlay_mount(mounts: tuple[Mount, ...], overlay: Mount) -> Mount | None:
    """The mount on which an overlay's upper layer lies.

    Within a container that folder is not visible; but its runtime mounts ``/etc/hosts`` from the same file system.
    """
    upper = overlay.option("upperdir")
    if upper is not None and overlay.point != "/":
        return mount_of(mounts, upper)
    files = [mount for mount in mounts if mount.point in {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}]
    return next((mount for mount in files if mount.filesystem not in {"overlay", *MEMORY_FILESYSTEMS}), None)


def _macos(host: Host, path: str) -> tuple[Known[StorageKind] | Unknown, Known[str] | Unknown, Known[str] | Unknown]:
    """Source: ``diskutil info`` prints ``Solid State``, ``Protocol`` and ``Type (Bundle)``."""
    volume = "/".join(path.split("/")[:3]) if is_under(path, "/Volumes") else "/"
    text = host.run("diskutil", "info", volume)
    rows = derive(
        text,
        lambda out: {key.strip(): value.strip() for key, _, value in (row.partition(":") for row in out.splitlines())},
    )
    return (
        derive(rows, lambda row: _MACOS_KINDS[row["Solid State"], row["Protocol"]]),
        derive(rows, lambda row: row["Device Identifier"]),
        derive(rows, lambda row: row["Type (Bundle)"]),
    )


_MACOS_KINDS = {
    ("Yes", "Apple Fabric"): StorageKind.NVME,
    ("Yes", "PCI-Express"): StorageKind.NVME,
    ("Yes", "SATA"): StorageKind.SSD,
    ("Yes", "USB"): StorageKind.SSD,
    ("No", "SATA"): StorageKind.HDD,
    ("No", "USB"): StorageKind.HDD,
}


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/" if "\\" not in path else str(PurePosixPath(path).parent)


def _count(number: int | None) -> int:
    """A count that is not negative; raises ValueError for anything else."""
    if number is None or number < 0:
        raise ValueError(number)
    return number
