"""A ``Gpu`` from the few facts that a source has: everything else is unknown for one stated reason."""

from __future__ import annotations

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Gpu


def sparse_gpu(name: str, vendor: Vendor, source: str, *, unstated: str) -> Gpu:
    """A card of which ``source`` tells the name; ``unstated`` says why nothing else is known (replace what is)."""
    nothing = Unknown(reason=unstated)
    return Gpu(
        index=0,
        name=name,
        vendor=Known(value=vendor.value, source=source),
        uuid=nothing,
        total_bytes=nothing,
        free_bytes=nothing,
        compute_capability=nothing,
        multiprocessors=nothing,
        boost_hz=nothing,
        memory_hz=nothing,
        memory_bus_bits=nothing,
        pcie_bytes_per_s=nothing,
        power_limit_w=nothing,
        laptop=Known(value=name.endswith("M") or "Laptop" in name, source="its name"),
    )
