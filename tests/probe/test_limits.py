"""Limits on this process: control groups, batch systems, ulimits, on text and numbers written by hand."""

from __future__ import annotations

import pytest
from recorded_machine import CloudContainer, RecordedMachine

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Bound
from canitrain.probe.cgroup import count_cpus, find_cgroups, parse_membership
from canitrain.probe.host import Host, derive
from canitrain.probe.limits import least, parse_ulimits, read_limits

GIB = 2**30


@pytest.mark.parametrize(("text", "count"), [("0-3", 4), ("0-3,8", 5), ("7", 1), ("0,2,4-5", 4)])
def test_a_cpu_list_counts_its_cpus(text, count):
    assert count_cpus(text) == count


@pytest.mark.parametrize("text", ["", "a-b", "3-1", "\n"])
def test_a_text_that_is_no_cpu_list_is_refused(text):
    assert isinstance(derive(Known(value=text, source="file"), count_cpus), Unknown)


def test_membership_of_both_versions_is_read():
    text = "3:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c\n"
    assert parse_membership(text) == ((("cpu", "cpuacct"), "/a"), (("name=systemd",), "/b"), ((), "/c"))


def test_a_colon_in_the_name_of_a_group_is_a_part_of_it():
    assert parse_membership("0::/user.slice/a:b.scope") == (((), "/user.slice/a:b.scope"),)


@pytest.mark.parametrize("text", ["", "x::/", "0::outer", "0:memory"])
def test_a_text_that_is_no_membership_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the contract is the kind
        parse_membership(text)


@pytest.mark.parametrize(
    ("filesystems", "limits"),
    [
        ("nodev\tproc\n\text4\n", True),  # a kernel without control groups: there certainly is no limit of theirs
        ("nodev\tproc\nnodev\tcgroup2\n", False),  # it has some, which cannot be read
        ("garbage", False),
    ],
)
def test_without_membership_there_is_no_limit_only_where_the_kernel_has_no_groups(filesystems, limits):
    machine = CloudContainer({"/proc/filesystems": filesystems})
    del machine.files["/proc/self/cgroup"]
    found = find_cgroups(Host(machine))
    assert isinstance(found, Unknown) is not limits
    if limits:
        assert not found.core_bounds
        assert not found.unread_cores


def test_a_group_outside_of_what_a_container_sees_is_judged_by_what_it_sees():
    inside = find_cgroups(Host(CloudContainer({"/proc/self/cgroup": "0::/\n"})))
    outside = find_cgroups(Host(CloudContainer({"/proc/self/cgroup": "0::/../outer\n"})))
    assert outside.core_bounds == inside.core_bounds != []
    assert outside.ram_room_bytes == inside.ram_room_bytes != []
    assert outside.unread_cores == outside.unread_ram == []


def test_the_least_quota_on_the_way_to_the_root_wins():
    root = "/sys/fs/cgroup"
    files = {"/proc/self/cgroup": "0::/outer/inner\n"}
    for folder, quota in ((f"{root}/outer", "150000 100000"), (f"{root}/outer/inner", "max 100000")):
        files |= {f"{folder}/cgroup.procs": "", f"{folder}/cpu.max": quota}
    found = find_cgroups(Host(CloudContainer(files)))
    # outer 150000/100000 = 1.5, the mount's own 200000/100000 = 2, inner none
    assert [bound.value for bound in found.core_bounds if "cpu.max" in bound.name] == [1.5, 2.0]


def test_memory_high_counts_like_memory_max():
    found = find_cgroups(Host(CloudContainer({"/sys/fs/cgroup/memory.high": f"{3 * GIB}\n"})))
    # 3 GiB less the 2 in use, of which 1 is page cache that can go: 3 - (2 - 1) = 2
    assert ("cgroup v2 memory.high", 2 * GIB) in [(bound.name, bound.value) for bound in found.ram_room_bytes]


@pytest.mark.parametrize(
    ("current_gib", "stat", "room_gib"),
    [
        (2, "inactive_file 1073741824\n", 2),  # 3 less the 1 that cannot go
        (2, "nonsense", 1),  # what may be given back is not known: all of it is held
        (4, "inactive_file 0\n", 0),  # over the limit, which was lowered
        (1, "inactive_file 2147483648\n", 3),  # read a moment later than the usage
    ],
)
def test_a_memory_limit_leaves_what_is_neither_held_nor_beyond_it(current_gib, stat, room_gib):
    root = "/sys/fs/cgroup"
    files = {
        f"{root}/memory.high": f"{3 * GIB}\n",
        f"{root}/memory.current": f"{current_gib * GIB}\n",
        f"{root}/memory.stat": stat,
    }
    room = {bound.name: bound.value for bound in find_cgroups(Host(CloudContainer(files))).ram_room_bytes}
    assert room["cgroup v2 memory.high"] == room_gib * GIB


def test_a_limit_that_nobody_reaches_is_none():
    found = find_cgroups(Host(CloudContainer({"/sys/fs/cgroup/memory.high": f"{2**60}\n"})))
    assert all(bound.name != "cgroup v2 memory.high" for bound in found.ram_bounds)


def test_slurms_memory_a_cpu_is_multiplied_by_its_cpus():
    limits = read_limits(Host(CloudContainer(environment={"SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_ON_NODE": "3"})))
    # 2048 MiB x 3
    assert ("SLURM_MEM_PER_CPU", 6 * GIB) in [(bound.name, bound.value) for bound in limits.ram_bounds]


@pytest.mark.parametrize(
    ("environment", "name", "value"),
    [
        ({"SLURM_MEM_PER_NODE": "4096"}, "SLURM_MEM_PER_NODE", 4 * GIB),
        ({"SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_PER_TASK": "1"}, "SLURM_MEM_PER_CPU", GIB),
    ],
)
def test_what_slurm_grants_is_all_that_there_is_room_for(environment, name, value):
    limits = read_limits(Host(CloudContainer(environment=environment)))
    for bounds in (limits.ram_bounds, limits.ram_room_bytes):
        assert (name, value) in [(bound.name, bound.value) for bound in bounds]


def test_one_core_of_slurms_is_a_limit():
    limits = read_limits(Host(CloudContainer(environment={"SLURM_CPUS_PER_TASK": "1"})))
    assert ("SLURM_CPUS_PER_TASK", 1) in [(bound.name, bound.value) for bound in limits.core_bounds]


def test_a_soft_limit_on_data_is_all_that_there_is_room_for():
    header = "Limit                     Soft Limit           Hard Limit           Units     \n"
    table = header + "Max open files            1024                 4096                 files     \n"
    table += "Max data size             8589934592           unlimited            bytes     \n"
    limits = read_limits(Host(CloudContainer({"/proc/self/limits": table})))
    for bounds in (limits.ram_bounds, limits.ram_room_bytes):
        assert ("RLIMIT_DATA", 8 * GIB) in [(bound.name, bound.value) for bound in bounds]


def test_windows_may_reserve_ram_and_page_file_together():
    machine = RecordedMachine("windows-rtx4070")
    answers = {"virtual_memory": {"total": 3 * GIB}, "swap_memory": {"total": 5 * GIB}, "cpu_affinity": [0, 1]}
    machine.psutil = answers.__getitem__
    (commit,) = read_limits(Host(machine)).ram_bounds
    assert commit.value == 8 * GIB


def test_the_first_limit_that_could_not_be_read_is_the_reason():
    found = least(Known(value=4, source="cores"), (), ("cpu.max: permission denied", "cpuset: not there"))
    assert found == Unknown(reason="a limit could not be read: cpu.max: permission denied")
    bounds = (Bound(name="quota", value=1.5), Bound(name="affinity", value=2))
    assert least(Known(value=4, source="cores"), bounds, ()) == Known(value=1.5, source="quota")


def test_slurms_zero_is_no_limit():
    limits = read_limits(Host(CloudContainer(environment={"SLURM_MEM_PER_NODE": "0"})))
    assert not [bound for bound in limits.ram_bounds if bound.name.startswith("SLURM")]


def test_a_soft_address_space_limit_bounds_memory():
    header = "Limit                     Soft Limit           Hard Limit           Units     \n"
    table = header + "Max open files            1024                 4096                 files     \n"
    table += "Max address space         8589934592           unlimited            bytes     \n"
    assert parse_ulimits(table) == {"Max open files": 1024, "Max address space": 8 * GIB}
