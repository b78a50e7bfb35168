"""A machine of which nothing is known."""

from __future__ import annotations

from canitrain.core.fact import Unknown
from canitrain.core.hardware import Cpu, Driver, Hardware, Ram, Software, Storage


def unknown_machine(origin: str, reason: str, *, data_path: str = "") -> Hardware:
    """Every fact unknown for one ``reason``."""
    nothing = Unknown(reason=reason)
    return Hardware(
        origin=origin,
        cpu=Cpu(
            model=nothing,
            architecture=nothing,
            physical_cores=nothing,
            logical_cores=nothing,
            usable_cores=nothing,
            base_hz=nothing,
            max_hz=nothing,
            vector_extensions=nothing,
        ),
        ram=Ram(
            total_bytes=nothing,
            available_bytes=nothing,
            usable_bytes=nothing,
            swap_bytes=nothing,
            shm_bytes=nothing,
        ),
        storage=Storage(
            path=data_path,
            kind=nothing,
            device=nothing,
            filesystem=nothing,
            total_bytes=nothing,
            free_bytes=nothing,
            free_inodes=nothing,
            writable=nothing,
        ),
        gpus=nothing,
        software=Software(
            python="unknown", os="unknown", torch=nothing, driver=Driver(version=nothing, cuda_version=nothing)
        ),
    )
