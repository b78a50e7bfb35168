"""The host of a measured run."""

from __future__ import annotations

from msgspec.structs import replace

from canitrain.core.accuracy import Measurement
from canitrain.core.fact import Known
from canitrain.core.hardware import Hardware, Package
from canitrain.core.unknown_machine import unknown_machine

UNKNOWN_HOST = unknown_machine("published run", "a published run does not say")
_SOURCE = "the row of the measured run"
_RELEASES = ("1", "2")
"""Releases of PyTorch that a run may have had which does not say; the first is what most published runs have had."""


def host_of(measurement: Measurement) -> Hardware | None:
    """The machine as far as the row describes it; ``None`` without its cores, which decide what a loader delivers."""
    if measurement.cores is None:
        return None
    host = UNKNOWN_HOST
    usable_cores = Known(value=measurement.cores, source=_SOURCE)
    host = replace(host, cpu=replace(host.cpu, usable_cores=usable_cores))
    if measurement.ram_bytes is not None:
        size = Known(value=int(measurement.ram_bytes), source=_SOURCE)
        ram = replace(host.ram, total_bytes=size, available_bytes=size, usable_bytes=size)
        host = replace(host, ram=ram)
    if measurement.storage is not None:
        kind = Known(value=measurement.storage, source=_SOURCE)
        host = replace(host, storage=replace(host.storage, kind=kind))
    return host


def with_releases(host: Hardware, measurement: Measurement) -> tuple[Hardware, ...]:
    """``host`` with the release of PyTorch that the run had, or with each that it may have had, likeliest first."""
    told = _RELEASES if measurement.torch is None else (measurement.torch,)
    source = "assumed" if measurement.torch is None else _SOURCE
    releases = [Known(value=Package(name="torch", version=version), source=source) for version in told]
    return tuple(replace(host, software=replace(host.software, torch=release)) for release in releases)
