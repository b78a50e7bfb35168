"""A machine of which only the GPUs matter."""

from __future__ import annotations

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Cpu, Driver, Gpu, Hardware, Ram, Software, Storage

NOBODY_ASKED = Unknown(reason="test")


def machine(gpus: tuple[Gpu, ...]) -> Hardware:
    """A machine with ``gpus`` and nothing else known."""
    nothing = NOBODY_ASKED
    return Hardware(
        origin="test",
        cpu=Cpu(
            model=nothing,
            architecture=nothing,
            physical_cores=nothing,
            logical_cores=Known(value=8, source="test"),
            usable_cores=Known(value=8.0, source="test"),
            base_hz=nothing,
            max_hz=nothing,
            vector_extensions=nothing,
        ),
        ram=Ram(
            total_bytes=Known(value=32 * 2**30, source="test"),
            available_bytes=nothing,
            usable_bytes=nothing,
            swap_bytes=nothing,
            shm_bytes=nothing,
        ),
        storage=Storage(
            path="/data",
            kind=nothing,
            device=nothing,
            filesystem=nothing,
            total_bytes=nothing,
            free_bytes=nothing,
            free_inodes=nothing,
            writable=nothing,
        ),
        gpus=Known(value=gpus, source="test"),
        software=Software(
            python="3.11.0", os="Linux", torch=nothing, driver=Driver(version=nothing, cuda_version=nothing)
        ),
    )
