"""GPUs as a probe would report them, for the tests of this folder."""

from __future__ import annotations

from typing import TypeVar

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Gpu

T = TypeVar("T")
MIB = 2**20


def detected(
    name: str,
    *,
    vendor: str = "nvidia",
    memory_mib: float | None = None,
    capability: str | None = None,
    multiprocessors: int | None = None,
    boost_mhz: float | None = None,
    memory_mhz: float | None = None,
    bus_bits: int | None = None,
    laptop: bool | None = None,
    mig: bool = False,
) -> Gpu:
    """A GPU with the facts that are given; everything else is unknown."""
    total = None if memory_mib is None else round(memory_mib * MIB)
    return Gpu(
        index=0,
        name=name,
        vendor=Known(value=vendor, source="test"),
        uuid=_fact(None),
        total_bytes=_fact(total),
        free_bytes=_fact(total),
        compute_capability=_fact(capability),
        multiprocessors=_fact(multiprocessors),
        boost_hz=_fact(None if boost_mhz is None else boost_mhz * 1e6),
        memory_hz=_fact(None if memory_mhz is None else memory_mhz * 1e6),
        memory_bus_bits=_fact(bus_bits),
        pcie_bytes_per_s=_fact(None),
        power_limit_w=_fact(None),
        mig=mig,
        laptop=_fact(laptop),
    )


def _fact(value: T | None) -> Known[T] | Unknown:
    return Unknown(reason="test") if value is None else Known(value=value, source="test")
