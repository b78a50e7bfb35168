"""Main memory, swap and ``/dev/shm``."""

from __future__ import annotations

from canitrain.core.hardware import Ram
from canitrain.core.units import KIB_BYTES
from canitrain.probe.host import Host, derive, first_known, not_negative, positive
from canitrain.probe.limits import Limits, least


def read_ram(host: Host, limits: Limits) -> Ram:
    """Main memory, and how much of it this process may still take."""
    if host.system == "Linux":
        meminfo = derive(host.read("/proc/meminfo"), parse_meminfo)
        total = derive(meminfo, lambda row: positive(row["MemTotal"]))
        available = first_known(
            derive(meminfo, lambda row: row["MemAvailable"]),
            # kernels before 3.14 do not add it up themselves
            derive(meminfo, lambda row: row["MemFree"] + row["Cached"] + row["Buffers"]),
        )
        swap = derive(meminfo, lambda row: row["SwapTotal"])
        shm = derive(host.volume("/dev/shm"), lambda volume: not_negative(volume.free_bytes))  # noqa: S108 - measured, not written
    else:
        memory = host.psutil("virtual_memory", dict)
        total = derive(memory, lambda row: positive(row["total"]))
        available = derive(memory, lambda row: not_negative(row["available"]))
        swap = derive(host.psutil("swap_memory", dict), lambda row: not_negative(row["total"]))
        shm = derive(available, int, "no separate limit: shared memory is ordinary memory here")
    return Ram(
        total_bytes=total,
        available_bytes=available,
        usable_bytes=derive(least(available, limits.ram_room_bytes, limits.unread_ram), int),
        bounds=limits.ram_bounds,
        swap_bytes=swap,
        shm_bytes=shm,
    )


def parse_meminfo(text: str) -> dict[str, int]:
    """Rows of ``/proc/meminfo`` in bytes; raises ValueError for anything else. Its ``kB`` is 1024 bytes."""
    rows = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        rows[key] = not_negative(number) * (KIB_BYTES if unit == "kB" else 1)
    return rows
