"""From a data directory to the disk below it, on trees of ``/sys`` written by hand."""

from __future__ import annotations

import pytest
from recorded_machine import RecordedMachine

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Storage, StorageKind
from canitrain.probe.host import Host
from canitrain.probe.storage import read_storage

ROOT = "27 1 8:1 / / rw - ext4 /dev/sda1 rw"
SDA, SDB = "/sys/devices/a/block/sda", "/sys/devices/b/block/sdb"


class Disks(RecordedMachine):
    """A machine with an SSD ``sda`` that holds ``/``, a hard disk ``sdb``, and what a test adds."""

    def __init__(self, mount: str, files: dict[str, str] | None = None, links: dict[str, str] | None = None) -> None:
        super().__init__("no-gpu-vm")
        self.files |= {
            "/proc/self/mountinfo": f"{ROOT}\n{mount}\n",
            f"{SDA}/queue/rotational": "0\n",
            f"{SDA}/sda1/partition": "1\n",
            f"{SDB}/queue/rotational": "1\n",
            **(files or {}),
        }
        self.links |= {"/sys/dev/block/8:1": f"{SDA}/sda1", "/sys/dev/block/8:16": SDB, **(links or {})}


def storage(mount: str, files: dict[str, str] | None = None, links: dict[str, str] | None = None) -> Storage:
    return read_storage(Host(Disks(mount, files, links)), "/data")


def layers(*below: str) -> tuple[dict[str, str], dict[str, str]]:
    """A device mapper ``dm-0`` over the given folders."""
    top = "/sys/devices/virtual/block/dm-0"
    links = {"/sys/dev/block/253:0": top}
    links |= {f"{top}/slaves/{folder.rpartition('/')[2]}": folder for folder in below}
    return {f"{top}/dm/name": "data\n"}, links


LVM = "30 27 253:0 / /data rw - ext4 /dev/mapper/data rw"


def test_a_partition_has_the_kind_of_its_disk():
    assert storage("").kind == Known(value=StorageKind.SSD, source=f"{SDA}/queue/rotational")


def test_a_volume_over_an_ssd_and_a_hard_disk_is_as_slow_as_the_hard_disk():
    assert storage(LVM, *layers(SDA, SDB)).kind.value is StorageKind.HDD


def test_a_volume_with_a_disk_of_unknown_kind_is_of_unknown_kind():
    files, links = layers(SDB, "/sys/devices/c/block/vdb")
    assert isinstance(storage(LVM, {**files, "/sys/devices/c/block/vdb/queue/rotational": "1"}, links).kind, Unknown)


def test_devices_that_lie_on_each_other_in_a_circle_come_to_an_end():
    files, links = layers("/sys/devices/virtual/block/dm-0")
    kind = storage(LVM, files, links).kind
    assert isinstance(kind, Unknown)


def test_a_loop_device_has_the_kind_of_the_disk_that_holds_its_file():
    loop = "/sys/devices/virtual/block/loop3"
    files = {f"{loop}/loop/backing_file": "/images/data.img\n"}
    found = storage("30 27 7:3 / /data rw - ext4 /dev/loop3 rw", files, {"/sys/dev/block/7:3": loop})
    assert found.kind.value is StorageKind.SSD


def test_btrfs_is_found_by_the_name_of_its_device():
    mount = "30 27 0:45 /sub /data rw - btrfs /dev/sdb rw,subvol=/sub"
    assert storage(mount, None, {"/sys/class/block/sdb": SDB}).kind.value is StorageKind.HDD


def test_a_bind_mount_has_the_kind_of_its_own_disk():
    assert storage("30 27 8:16 /films /data rw - ext4 /dev/sdb rw").kind.value is StorageKind.HDD


def test_a_file_system_in_memory_is_called_so():
    assert storage("30 27 0:46 / /data rw - tmpfs tmpfs rw").kind.value is StorageKind.MEMORY


@pytest.mark.parametrize("filesystem", ["nfs4", "cifs", "lustre", "fuse.sshfs", "fuse.gcsfuse", "ceph"])
def test_a_network_file_system_is_called_so(filesystem):
    assert storage(f"30 27 0:47 / /data rw - {filesystem} server:/export rw").kind.value is StorageKind.NETWORK


def test_an_overlay_lies_where_the_containers_hosts_file_lies():
    mounts = "30 1 0:50 / /data rw - overlay overlay rw\n40 27 8:16 /docker/hosts /etc/hosts rw - ext4 /dev/sdb rw"
    assert storage(mounts).kind.value is StorageKind.HDD


def test_an_overlay_outside_a_container_lies_where_its_upper_layer_lies():
    found = storage("30 27 0:50 / /data rw - overlay overlay rw,lowerdir=/l,upperdir=/var/u,workdir=/w")
    assert found.kind.value is StorageKind.SSD


def test_an_overlay_of_which_nothing_shows_is_unknown():
    assert isinstance(storage("30 27 0:50 / /data rw - overlay overlay rw").kind, Unknown)


def test_a_mount_that_is_read_only_cannot_be_written_whoever_asks():
    assert storage("30 27 8:16 / /data ro - ext4 /dev/sdb rw").writable == Known(
        value=False, source="mounted read-only"
    )


def test_zfs_names_no_disk_and_is_unknown():
    assert isinstance(storage("30 27 0:51 / /data rw - zfs tank/data rw").kind, Unknown)
