"""The file system of the data directory, and the disk behind LVM, RAID, loops, overlays and bind mounts."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Storage, StorageKind
from canitrain.probe.block_device import Disk, block_device
from canitrain.probe.host import Host, derive, filled, is_absent, not_negative
from canitrain.probe.mounts import Mount, is_under, mount_of, read_mounts
from canitrain.probe.sources import Volume
from canitrain.probe.windows_disk import read_windows_disk

NETWORK_FILESYSTEMS = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "afs", "9p", "orangefs",
    "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.juicefs", "fuse.glusterfs", "fuse.ceph-fuse", "fuse.rclone",
    "fuse.blobfuse", "fuse.blobfuse2", "fuse.mount-s3", "fuse.goofys", "webdav", "afpfs", "virtiofs", "wekafs",
})  # fmt: skip
MOUNTINFO = "/proc/self/mountinfo"
MEMORY_FILESYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs"})
ELSEWHERE = Unknown(reason="disks are read on Linux, macOS and Windows only; give --storage")


class _Place(Struct, frozen=True, kw_only=True):
    """What a path lies on."""

    disk: Disk
    filesystem: Known[str] | Unknown
    read_only: bool = False


def read_storage(host: Host, path: str) -> Storage:
    """The file system that holds ``path`` (absolute; of a path that does not exist yet, its nearest parent's)."""
    existing, volume = path, host.volume(path)
    while isinstance(volume, Unknown) and is_absent(volume) and existing != _parent(existing):
        existing = _parent(existing)
        volume = host.volume(existing)
    match host.system:
        case "Linux":
            place = _linux(host, existing)
        case "Darwin":
            place = _macos(host, existing)
        case "Windows":
            place = _windows(host, existing)
        case _:
            place = _Place(disk=Disk(kind=ELSEWHERE, device=ELSEWHERE), filesystem=ELSEWHERE)
    return Storage(
        path=path,
        kind=place.disk.kind,
        device=place.disk.device,
        filesystem=place.filesystem,
        total_bytes=derive(volume, lambda room: not_negative(room.total_bytes)),
        free_bytes=derive(volume, lambda room: not_negative(room.free_bytes)),
        free_inodes=derive(volume, _free_inodes),
        writable=Known(value=False, source="mounted read-only") if place.read_only else host.writable(existing),
    )


def _linux(host: Host, path: str) -> _Place:
    real, mounts = host.resolve(path), read_mounts(host)
    if isinstance(real, Unknown):
        return _Place(disk=Disk(kind=real, device=real), filesystem=real)
    if isinstance(mounts, Unknown):
        return _Place(disk=Disk(kind=mounts, device=mounts), filesystem=mounts)
    mount = mount_of(mounts.value, real.value if real.value.startswith("/") else "/")
    return _Place(
        disk=_behind(host, mounts.value, mount),
        filesystem=Known(value=mount.filesystem, source=MOUNTINFO),
        read_only="ro" in mount.options,
    )


def _behind(host: Host, mounts: tuple[Mount, ...], mount: Mount) -> Disk:
    """Kind and device behind ``mount``."""
    if mount.filesystem in NETWORK_FILESYSTEMS:
        return _stated(StorageKind.NETWORK, f"{mount.filesystem} server", mount)
    if mount.filesystem in MEMORY_FILESYSTEMS:
        return _stated(StorageKind.MEMORY, mount.filesystem, mount)
    if mount.filesystem != "overlay":
        return block_device(host, mounts, mount)
    under = _overlay_mount(mounts, mount)
    if under is None or under.filesystem == "overlay":
        reason = Unknown(reason="overlay: the disk under the container's layers is not visible here")
        return Disk(kind=reason, device=reason)
    return _behind(host, mounts, under)


def _stated(kind: StorageKind, device: str, mount: Mount) -> Disk:
    source = f"file system {mount.filesystem} in {MOUNTINFO}"
    return Disk(kind=Known(value=kind, source=source), device=Known(value=device, source=source))


def _overlay_mount(mounts: tuple[Mount, ...], overlay: Mount) -> Mount | None:
    """The mount on which an overlay's upper layer lies.

    Within a container that folder is not visible; but its runtime mounts ``/etc/hosts`` from the same file system.
    """
    upper = overlay.option("upperdir")
    if upper is not None and overlay.point != "/":
        return mount_of(mounts, upper)
    files = [mount for mount in mounts if mount.point in {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}]
    return next((mount for mount in files if mount.filesystem not in {"overlay", *MEMORY_FILESYSTEMS}), None)


def _macos(host: Host, path: str) -> _Place:
    """Source: ``diskutil info`` prints ``Solid State``, ``Protocol`` and ``Type (Bundle)``."""
    volume = "/".join(path.split("/")[:3]) if is_under(path, "/Volumes") else "/"
    rows = derive(host.run("diskutil", "info", volume), _fields)
    return _Place(
        disk=Disk(
            kind=derive(rows, lambda row: _MACOS_KINDS[row["Solid State"], row["Protocol"]]),
            device=derive(rows, lambda row: row["Device Identifier"]),
        ),
        filesystem=derive(rows, lambda row: row["Type (Bundle)"]),
    )


def _fields(text: str) -> dict[str, str]:
    """``Key:   value`` lines."""
    return {key.strip(): value.strip() for key, _, value in (row.partition(":") for row in text.splitlines())}


_MACOS_KINDS = {
    ("Yes", "Apple Fabric"): StorageKind.NVME,
    ("Yes", "PCI-Express"): StorageKind.NVME,
    ("Yes", "SATA"): StorageKind.SSD,
    ("Yes", "USB"): StorageKind.SSD,
    ("No", "SATA"): StorageKind.HDD,
    ("No", "USB"): StorageKind.HDD,
}


def _windows(host: Host, path: str) -> _Place:
    answer = host.windows_disk(path)
    return _Place(disk=read_windows_disk(answer), filesystem=derive(answer, lambda row: filled(row["filesystem"])))


def _free_inodes(room: Volume) -> int:
    """Files that can still be made; raises ValueError where the file system does not count them."""
    if room.free_inodes is None:
        raise ValueError(room)
    return not_negative(room.free_inodes)


def _parent(path: str) -> str:
    """The folder above, by the separator that the path has; a root's is itself."""
    separator = "\\" if "\\" in path else "/"
    return path.rpartition(separator)[0] or separator
