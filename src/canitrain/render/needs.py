"""Need against budget, one row a resource: what bars, tables and annotations are made of."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.interval import Interval
from canitrain.core.report import Report, Resource, Status
from canitrain.core.severity import worst
from canitrain.core.units import format_bytes, format_duration
from canitrain.render.figures import bytes_interval, duration_interval
from canitrain.render.words import RESOURCE

LINUX = "Linux"
SHARED = "Shared mem"
"""Other systems have no folder ``/dev/shm`` for what loader processes hand over."""


class Need(Struct, frozen=True, kw_only=True):
    """What the run needs of one resource, in the unit of that resource (bytes or seconds)."""

    resource: Resource
    label: str
    need: Interval
    budget: float | None
    need_text: str
    budget_text: str
    status: Status


def needs(report: Report) -> tuple[Need, ...]:
    """The rows in reading order; empty where nothing could be estimated."""
    rows: list[Need] = []
    if report.memory is not None:
        memory = report.memory
        if memory.gpu is not None:
            row = _bytes_row(report, Resource.GPU_MEMORY, memory.gpu.device_bytes, memory.gpu.budget_bytes)
            rows.append(replace(row, label="Each GPU") if report.recipe.all_gpus > 1 else row)
        rows.append(_bytes_row(report, Resource.RAM, memory.host.ram_bytes, memory.host.ram_budget_bytes))
        if memory.host.shm_bytes.high > 0:
            row = _bytes_row(report, Resource.SHM, memory.host.shm_bytes, memory.host.shm_budget_bytes)
            rows.append(row if report.hardware.software.os.startswith(LINUX) else replace(row, label=SHARED))
        rows.append(_bytes_row(report, Resource.DISK, memory.disk.disk_bytes, memory.disk.disk_budget_bytes))
    if report.time is not None:
        limit_s = report.recipe.max_time_s
        rows.append(
            Need(
                resource=Resource.TIME,
                label=RESOURCE[Resource.TIME],
                need=report.time.total_s,
                budget=limit_s,
                need_text=duration_interval(report.time.total_s),
                budget_text=f"{format_duration(limit_s)} limit",
                status=_status(report, Resource.TIME),
            )
        )
    return tuple(rows)


def _bytes_row(report: Report, resource: Resource, need: Interval, budget_bytes: float | None) -> Need:
    return Need(
        resource=resource,
        label=RESOURCE[resource],
        need=need,
        budget=budget_bytes,
        need_text=bytes_interval(need),
        budget_text="unknown" if budget_bytes is None else f"{format_bytes(budget_bytes)} free",
        status=_status(report, resource),
    )


def _status(report: Report, resource: Resource) -> Status:
    return worst(reason.status for reason in report.verdict.reasons if reason.resource is resource)
