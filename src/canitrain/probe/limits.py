"""Limits on this process: cgroups (v1, v2, hybrid, nested), affinity, ulimits, batch systems. The least wins."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Bound
from canitrain.core.units import MIB_BYTES
from canitrain.probe.cgroup import count_cpus, find_cgroups
from canitrain.probe.host import Host, derive, positive


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds that apply, and reasons why others could not be read (then the least is not known)."""

    core_bounds: tuple[Bound, ...]
    ram_bounds: tuple[Bound, ...]
    """Sizes as the limits state them, in bytes."""
    ram_room_bytes: tuple[Bound, ...]
    """What each memory limit leaves now, in bytes, by the same names."""
    unread_cores: tuple[str, ...]
    unread_ram: tuple[str, ...]
    open_files: int | None


def read_limits(host: Host) -> Limits:
    """Every limit on cores and memory that this process is under."""
    cores: list[Bound] = []
    ram: list[Bound] = []
    room: list[Bound] = []
    unread_cores: list[str] = []
    unread_ram: list[str] = []
    open_files: int | None = None
    if host.system == "Linux":
        cgroups = find_cgroups(host)
        if isinstance(cgroups, Unknown):
            unread_cores.append(cgroups.reason)
            unread_ram.append(cgroups.reason)
        else:
            cores += cgroups.core_bounds
            ram += cgroups.ram_bounds
            room += cgroups.ram_room_bytes
            unread_cores += cgroups.unread_cores
            unread_ram += cgroups.unread_ram
        affinity = derive(host.read("/proc/self/status"), lambda text: count_cpus(_field(text, "Cpus_allowed_list:")))
        _add("affinity", affinity, cores, unread_cores)
        ulimits = derive(host.read("/proc/self/limits"), parse_ulimits)
        if isinstance(ulimits, Unknown):
            unread_ram.append(ulimits.reason)
        else:
            open_files = ulimits.value.get("Max open files")
            for row, name in (("Max address space", "RLIMIT_AS"), ("Max data size", "RLIMIT_DATA")):
                if row in ulimits.value:
                    ram.append(Bound(name=name, value=ulimits.value[row]))
                    room.append(ram[-1])
    elif host.system == "Windows":
        affinity = derive(host.psutil("cpu_affinity", list), lambda cpus: positive(len(cpus)))
        _add("affinity", affinity, cores, unread_cores)
        _add("commit limit (RAM and page file)", _commit_limit(host), ram, [])  # above what is available, never least
    for failure in (host.platform, host.environment_read):
        if isinstance(failure, Unknown):  # limits may be stated there
            unread_cores.append(failure.reason)
            unread_ram.append(failure.reason)
    _add_slurm(host.environment, cores, ram, room)
    return Limits(
        core_bounds=_least_by_name(cores),
        ram_bounds=_least_by_name(ram),
        ram_room_bytes=_least_by_name(room),
        unread_cores=tuple(unread_cores),
        unread_ram=tuple(unread_ram),
        open_files=open_files,
    )


def least(fact: Known[int] | Unknown, bounds: tuple[Bound, ...], unread: tuple[str, ...]) -> Known[float] | Unknown:
    """The least of ``fact`` and ``bounds``, by its name; unknown where a bound that may be lower was ``unread``."""
    if unread:
        return Unknown(reason=f"a limit could not be read: {unread[0]}")
    if isinstance(fact, Unknown):
        return fact
    lowest = min((Bound(name=fact.source, value=fact.value), *bounds), key=lambda bound: bound.value)
    return Known(value=float(lowest.value), source=lowest.name)


def parse_ulimits(text: str) -> dict[str, int]:
    """Soft limits of ``/proc/self/limits`` by row, without unlimited ones; raises ValueError for another text."""
    header, *rows = text.splitlines()
    soft_at, hard_at = header.index("Soft Limit"), header.index("Hard Limit")
    limits = {row[:soft_at].strip(): row[soft_at:hard_at].strip() for row in rows}
    if "Max open files" not in limits:
        raise ValueError(header)
    return {name: int(value) for name, value in limits.items() if value != "unlimited"}


def _least_by_name(bounds: list[Bound]) -> tuple[Bound, ...]:
    """One bound a name: of nested groups the least binds."""
    kept: dict[str, Bound] = {}
    for bound in bounds:
        if bound.name not in kept or bound.value < kept[bound.name].value:
            kept[bound.name] = bound
    return tuple(kept.values())


def _field(text: str, key: str) -> str:
    """The rest of the line that starts with ``key``; raises ValueError where there is none."""
    for line in text.splitlines():
        if line.startswith(key):
            return line[len(key) :].strip()
    raise ValueError(key)


def _commit_limit(host: Host) -> Known[int] | Unknown:
    """What all processes of Windows together may reserve, in bytes."""
    page_file = derive(host.psutil("swap_memory", dict), lambda row: int(row["total"]))
    if isinstance(page_file, Unknown):
        return page_file
    return derive(host.psutil("virtual_memory", dict), lambda row: positive(row["total"]) + page_file.value)


def _add(name: str, fact: Known[int] | Unknown, bounds: list[Bound], unread: list[str]) -> None:
    if isinstance(fact, Known):
        bounds.append(Bound(name=name, value=fact.value))
    else:
        unread.append(fact.reason)


def _add_slurm(environment: dict[str, str], cores: list[Bound], ram: list[Bound], room: list[Bound]) -> None:
    """Slurm's grants. Memory is in MiB (sbatch's manual page, SLURM_MEM_PER_NODE and SLURM_MEM_PER_CPU)."""
    granted = {name: _number(environment.get(name, "")) for name in environment if name.startswith("SLURM_")}
    named = ((name, granted.get(name)) for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"))
    cores += [Bound(name=name, value=count) for name, count in named if count is not None]
    if (size := granted.get("SLURM_MEM_PER_NODE")) is not None:
        ram.append(Bound(name="SLURM_MEM_PER_NODE", value=size * MIB_BYTES))
        room.append(ram[-1])
    cpus = granted.get("SLURM_CPUS_ON_NODE") or granted.get("SLURM_CPUS_PER_TASK")
    if (size := granted.get("SLURM_MEM_PER_CPU")) is not None and cpus is not None:
        ram.append(Bound(name="SLURM_MEM_PER_CPU", value=size * cpus * MIB_BYTES))
        room.append(ram[-1])


def _number(text: str) -> int | None:
    """A count above zero, or ``None``: Slurm writes 0 for a limit that it does not set."""
    return int(text) if text.isdecimal() and int(text) > 0 else None
