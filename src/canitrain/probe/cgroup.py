"""Control groups: the limits that containers, Kubernetes, systemd and Slurm set on cores and memory.

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/{memory,cpusets}.rst, sched-bwc.rst.
"""

from __future__ import annotations

from msgspec import Struct, field

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Bound
from canitrain.core.limits import LARGEST_BYTES
from canitrain.probe.host import Host, derive, positive
from canitrain.probe.mounts import Mount, is_under, read_mounts


class Cgroups(Struct, kw_only=True):
    """Bounds that were found on the way from this process's group to the root, and why others could not be read."""

    core_bounds: list[Bound] = field(default_factory=list)
    ram_bounds: list[Bound] = field(default_factory=list)
    ram_room_bytes: list[Bound] = field(default_factory=list)
    unread_cores: list[str] = field(default_factory=list)
    unread_ram: list[str] = field(default_factory=list)


class _Group(Struct, frozen=True, kw_only=True):
    """One folder of a hierarchy, and the files in it."""

    path: str
    files: tuple[str, ...]
    version: int


def find_cgroups(host: Host) -> Cgroups | Unknown:
    """The limits of every control group that this process is in."""
    membership = derive(host.read("/proc/self/cgroup"), parse_membership)
    if isinstance(membership, Unknown):
        filesystems = host.read("/proc/filesystems")
        if isinstance(filesystems, Known) and "proc" in filesystems.value and "cgroup" not in filesystems.value:
            return Cgroups()  # a kernel without control groups has no limits of theirs
        return membership
    mounts = read_mounts(host)
    if isinstance(mounts, Unknown):
        return mounts
    found = Cgroups()
    readers = (
        ("memory", _memory, found.unread_ram),
        ("cpu", _quota, found.unread_cores),
        ("cpuset", _cpuset, found.unread_cores),
    )
    for controllers, path in membership.value:
        for controller, read, unread in readers:
            if controller in controllers or not controllers:
                for group in _chain(host, _mount(mounts.value, controllers, controller), path, unread):
                    read(host, group, found)
    return found


def parse_membership(text: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """``(controllers, path)`` of each line of ``/proc/self/cgroup``; version 2 has no controllers there."""
    rows = [line.split(":", 2) for line in text.splitlines()]
    if not rows or not all(number.isdecimal() and path.startswith("/") for number, _, path in rows):
        raise ValueError(text)
    return tuple((tuple(names.split(",")) if names else (), path) for _, names, path in rows)


def _mount(mounts: tuple[Mount, ...], controllers: tuple[str, ...], controller: str) -> Mount | None:
    """Where the hierarchy with that controller is mounted: version 2 has one for all."""
    for mount in mounts:
        if mount.filesystem == "cgroup2" and not controllers:
            return mount
        if mount.filesystem == "cgroup" and controllers and controller in mount.options:
            return mount
    return None


def _chain(host: Host, mount: Mount | None, path: str, unread: list[str]) -> list[_Group]:
    """The group at ``path`` and its parents up to the mount point, so far as they are visible."""
    if mount is None:
        unread.append("control groups are not mounted here")
        return []
    # Without a cgroup namespace a container sees its host's path, of which only the mount's root is there
    visible = is_under(path, mount.root) and not path.startswith("/..")
    inner = path[len(mount.root.rstrip("/")) :] if visible else "/"
    groups = []
    while True:
        folder = (mount.point + inner).rstrip("/")
        names = host.names(folder)
        if isinstance(names, Unknown):
            unread.append(names.reason)
        elif "cgroup.procs" not in names.value:
            unread.append(f"{folder}/: not a control group")
        else:
            groups.append(_Group(path=folder, files=names.value, version=2 if mount.filesystem == "cgroup2" else 1))
        if inner in {"", "/"}:
            return groups
        inner = inner.rpartition("/")[0]


def _memory(host: Host, group: _Group, found: Cgroups) -> None:
    limits = ("memory.max", "memory.high") if group.version == 2 else ("memory.limit_in_bytes",)  # noqa: PLR2004
    usage_name = "memory.current" if group.version == 2 else "memory.usage_in_bytes"  # noqa: PLR2004
    for name in limits:
        if name not in group.files:
            continue  # the root of version 2, or a controller that is not enabled here
        limit = derive(host.read(f"{group.path}/{name}"), _parse_limit)
        if isinstance(limit, Unknown):
            found.unread_ram.append(limit.reason)
            continue
        if limit.value is None:
            continue
        bound = Bound(name=f"cgroup v{group.version} {name}", value=limit.value)
        found.ram_bounds.append(bound)
        usage = derive(host.read(f"{group.path}/{usage_name}"), int)
        cache = derive(host.read(f"{group.path}/memory.stat"), _reclaimable)
        if isinstance(usage, Unknown):
            found.unread_ram.append(usage.reason)
            continue
        held = usage.value - (cache.value if isinstance(cache, Known) else 0)
        found.ram_room_bytes.append(Bound(name=bound.name, value=max(bound.value - max(held, 0), 0)))


def _parse_limit(text: str) -> int | None:
    """Bytes, or ``None`` for no limit, for which version 1 writes PAGE_COUNTER_MAX (about 2**63)."""
    if text.strip() == "max":
        return None
    value = positive(text)
    return None if value >= LARGEST_BYTES else value


def _reclaimable(text: str) -> int:
    """Page cache that the kernel gives back before it kills, in bytes."""
    fields = dict(line.split() for line in text.splitlines())
    return int(fields.get("total_inactive_file", fields["inactive_file"]))


def _quota(host: Host, group: _Group, found: Cgroups) -> None:
    quota: Known[float | None] | Unknown
    if "cpu.max" in group.files:
        name = "cgroup v2 cpu.max"
        quota = derive(host.read(f"{group.path}/cpu.max"), _parse_cpu_max)
    elif "cpu.cfs_quota_us" in group.files:
        name = "cgroup v1 cpu.cfs_quota_us"
        period = host.read(f"{group.path}/cpu.cfs_period_us")
        period_us = period.value if isinstance(period, Known) else ""  # no number: a quota is then unknown
        quota = derive(host.read(f"{group.path}/cpu.cfs_quota_us"), lambda text: _parse_cfs(text, period_us))
    else:
        return
    if isinstance(quota, Unknown):
        found.unread_cores.append(quota.reason)
    elif quota.value is not None:
        found.core_bounds.append(Bound(name=name, value=quota.value))


def _parse_cpu_max(text: str) -> float | None:
    """Cores that ``QUOTA PERIOD`` allows, or ``None`` for ``max``."""
    quota_us, period_us = text.split()
    return None if quota_us == "max" else positive(quota_us) / positive(period_us)


def _parse_cfs(quota_us: str, period_us: str) -> float | None:
    """Cores that version 1's two files allow, or ``None`` for a quota of -1."""
    return None if int(quota_us) == -1 else positive(quota_us) / positive(period_us)


def _cpuset(host: Host, group: _Group, found: Cgroups) -> None:
    for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
        if name in group.files:
            cpus = derive(host.read(f"{group.path}/{name}"), count_cpus)
            if isinstance(cpus, Known):
                found.core_bounds.append(Bound(name=f"cgroup v{group.version} {name}", value=cpus.value))
            else:
                found.unread_cores.append(cpus.reason)
            return


def count_cpus(text: str) -> int:
    """How many CPUs a list such as ``0-3,8`` names; raises ValueError where it is none."""
    count = 0
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return positive(count)
