"""MIG slices of a card by the name that a person types: ``A100 80GB MIG 1g.10gb``."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from canitrain.catalog.derive import resized
from canitrain.core.errors import InputError
from canitrain.core.gpu import GpuSpec
from canitrain.core.units import GIB_BYTES

_NAME = re.compile(
    r"[\s,(_-]+(?:mig[\s:_-]*)?(?P<name>(?P<compute>[1-7])g\.(?P<gigabytes>\d{1,3})gb)(?:\+me(?:\.all)?)?\)?\s*$",
    re.IGNORECASE,
)
_MULTIPROCESSORS = {
    "8.0": {1: 14, 2: 28, 3: 42, 4: 56, 7: 98},
    "9.0": {1: 16, 2: 32, 3: 60, 4: 64, 7: 132},
}
"""By compute capability and compute slices: A100 and A30, H100 SXM. Source: ``nvidia-smi mig -lgip``.

Known limitations: a PCIe card of Hopper has fewer in each slice, and is taken to have as many.
"""
_MEMORY_SLICES = 8
_EIGHTHS = {1: (1, 2), 2: (2, 4), 3: (4,), 4: (4, 8), 7: (8,)}
"""Parts of a card's memory, of 8, by compute slices; the larger ones of 2g and 4g are an A30's, which has 4 of each.

Source: NVIDIA MIG User Guide, supported profiles.
"""
_LEAST_SHARE = 0.95
"""Of the gigabytes in its name, in GiB: 1g.5gb has 4.75, 3g.20gb 19.5. Source: ``nvidia-smi mig -lgip``."""


class Slice(Struct, frozen=True, kw_only=True):
    """What a slice's name says."""

    name: str
    """``1g.10gb``."""
    compute: int
    """Slices of the card's multiprocessors."""
    gigabytes: int


def split_slice(text: str) -> tuple[str, Slice | None]:
    """``text`` as the card's name and the slice of it, ``None`` where it names none."""
    found = _NAME.search(text)
    if found is None:
        return text, None
    size = Slice(name=found["name"].lower(), compute=int(found["compute"]), gigabytes=int(found["gigabytes"]))
    return text[: found.start()], size


def slice_of(card: GpuSpec, size: Slice) -> GpuSpec:
    """``size`` of ``card``: its multiprocessors, memory and share of bandwidth and cache; no links, power not known.

    Raises:
        InputError: the card has no slices that are known here, or none of that size.
    """
    sizes = _MULTIPROCESSORS.get(card.compute_capability or "")
    if sizes is None:
        raise InputError(
            f"MIG slices of {card.name} are not known here",
            hint="read one where it is: canitrain probe --save HOST.json there, then --hardware HOST.json",
        )
    share = size.gigabytes * GIB_BYTES / card.memory_bytes
    slices = round(share * _MEMORY_SLICES)
    if size.compute not in sizes or slices not in _EIGHTHS[size.compute]:
        raise InputError(f"{card.name} has no slice {size.name}", hint=_hint(card))
    part = resized(
        card,
        min(sizes[size.compute], card.multiprocessors),
        round(size.gigabytes * GIB_BYTES * _LEAST_SHARE),
        slices / _MEMORY_SLICES,
        f"MIG {size.name}: {slices} of {_MEMORY_SLICES} parts of the memory, {size.compute} of multiprocessors",
    )
    return msgspec.structs.replace(
        part,
        name=f"{card.name} MIG {size.name}",
        aliases=(),
        detected_names=(),
        l2_bytes=None if card.l2_bytes is None else card.l2_bytes * slices // _MEMORY_SLICES,
        link_bytes_per_s=None,
        tdp_w=None,
    )


def _hint(card: GpuSpec) -> str:
    half_gib = card.memory_bytes // GIB_BYTES // 2
    return f"write it like {card.name} MIG 3g.{half_gib}gb, with the memory of the card where it is sold with several"
