"""Memory that a processor and its GPU share: Apple silicon, Jetson, APUs."""

from __future__ import annotations

from canitrain.core.gpu import Vendor
from canitrain.core.units import GIB_BYTES

LARGE_BYTES = 36 * GIB_BYTES
SHARE_SMALL, SHARE_LARGE = 2 / 3, 3 / 4
"""Of unified memory that Metal recommends at most (``recommendedMaxWorkingSetSize``): up to and beyond ``LARGE_BYTES``.

Source: values that Metal reports, as owners publish them (16 GB: 10.7, 64 GB: 48); Apple documents the property only.
"""


def gpu_share_bytes(vendor: Vendor, pool_bytes: int) -> int:
    """Bytes that a GPU of ``vendor`` may take of a pool of ``pool_bytes``: Metal's share, all of it elsewhere."""
    if vendor is not Vendor.APPLE:
        return pool_bytes
    return int(pool_bytes * (SHARE_LARGE if pool_bytes > LARGE_BYTES else SHARE_SMALL))
