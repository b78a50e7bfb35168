"""The catalog's row of a card that a driver reports: exact by name, and only where the facts agree."""

from __future__ import annotations

import re

import msgspec

from canitrain.catalog.cards import load_cards
from canitrain.catalog.derive import bandwidth_of, derive, resized
from canitrain.core.fact import Known, value_or_none
from canitrain.core.gpu import GpuSpec, speed_unknown
from canitrain.core.hardware import Gpu, Hardware

_VENDOR = re.compile(r"^(nvidia|amd|intel|apple)\s+", re.IGNORECASE)
_TRADEMARK = re.compile(r"\((?:r|tm)\)", re.IGNORECASE)
_GRAPHICS = re.compile(r"^(arc|radeon)(.*) graphics$", re.IGNORECASE)
"""``Arc B580 Graphics``, ``Radeon 8060S Graphics``: what SYCL and libdrm add to the name of the card."""
_MIG = re.compile(r"\s+MIG\b.*$")
_LEAST_SHARE, _MOST_SHARE = 0.91, 1.02
"""Of nominal memory that a driver reports: error correction on GDDR takes a sixteenth, firmware a little more."""
_BANDWIDTH_TOLERANCE_RATIO = 0.03
"""How far the driver's memory clock and bus may be from the row: the RTX 4070 with GDDR6 has 5 % less than the row."""


def complete(hardware: Hardware) -> Hardware:
    """``hardware`` with the specification of every GPU that has none: the catalog's row, or one derived from the facts.

    A GPU that is neither in the catalog nor derivable keeps ``None``; that and each derivation become a warning.

    Raises:
        CatalogError: the catalog does not decode.
    """
    if not isinstance(hardware.gpus, Known):
        return hardware
    gpus = tuple(msgspec.structs.replace(gpu, spec=gpu.spec or identify(gpu)) for gpu in hardware.gpus.value)
    told = tuple(dict.fromkeys(warning for gpu in gpus if (warning := _warning(gpu)) is not None))
    return msgspec.structs.replace(
        hardware,
        gpus=Known(value=gpus, source=hardware.gpus.source),
        warnings=hardware.warnings + tuple(warning for warning in told if warning not in hardware.warnings),
    )


def identify(gpu: Gpu) -> GpuSpec | None:
    """The specification of ``gpu``, or ``None`` where neither the catalog nor its facts tell.

    The name must be one that the catalog lists, letter for letter; memory and multiprocessors must agree where they are
    known. So a laptop's card is never the desktop's and the card with 8 GB never the one with 16. A card that is sold
    with slower and faster memory of one size under one name keeps its row but for the driver's bandwidth.
    """
    name = _plain(gpu.name)
    if gpu.mig:
        return _slice(gpu, _MIG.sub("", name))
    cards = [card for card in _named(gpu, name) if _agrees(gpu, card)]
    if not cards:
        return derive(gpu, name)
    card = min(cards, key=lambda card: _strangeness(gpu, card))
    if not card.unified_memory:
        return _with_memory_of(gpu, card)
    total_bytes = value_or_none(gpu.total_bytes) or card.memory_bytes
    cores = value_or_none(gpu.multiprocessors) or card.multiprocessors
    return resized(card, cores, total_bytes, 1.0, "memory and cores of this machine")


def _plain(name: str) -> str:
    """``name`` without its vendor and the marks around it: ``Intel(R) Arc(TM) B580 Graphics`` is ``Arc B580``."""
    bare = _VENDOR.sub("", _TRADEMARK.sub("", name)).strip()
    return _GRAPHICS.sub(r"\1\2", bare)


def _named(gpu: Gpu, name: str) -> list[GpuSpec]:
    """The rows that a driver calls ``name``."""
    vendor = value_or_none(gpu.vendor)
    return [
        card
        for card in load_cards()
        if vendor in (None, card.vendor.value)
        and name.casefold() in {_plain(known).casefold() for known in (card.name, *card.detected_names)}
    ]


def _agrees(gpu: Gpu, card: GpuSpec) -> bool:
    """Whether nothing that the driver says of ``gpu`` contradicts ``card``."""
    if card.unified_memory:
        return True
    total_bytes, multiprocessors = value_or_none(gpu.total_bytes), value_or_none(gpu.multiprocessors)
    laptop = value_or_none(gpu.laptop)
    return (
        (total_bytes is None or _LEAST_SHARE <= total_bytes / card.memory_bytes <= _MOST_SHARE)
        and (multiprocessors is None or multiprocessors == card.multiprocessors)
        and not (laptop and not card.laptop)
    )


def _strangeness(gpu: Gpu, card: GpuSpec) -> tuple[bool, int, int, int]:
    """Orders rows that agree: the right kind of machine first, then the nearest in cores, memory, and the smaller.

    Only rows of unified memory may differ in cores: an M4 Max with 32 has a narrower memory than the one with 40.
    """
    laptop = value_or_none(gpu.laptop) is True and not card.unified_memory
    total_bytes = value_or_none(gpu.total_bytes) or 0
    cores = value_or_none(gpu.multiprocessors)
    apart = 0 if cores is None else abs(card.multiprocessors - cores)
    if card.unified_memory:
        return False, apart, 0, -card.multiprocessors
    return card.laptop is not laptop, apart, abs(card.memory_bytes - total_bytes), card.multiprocessors


def _with_memory_of(gpu: Gpu, card: GpuSpec) -> GpuSpec:
    """``card`` with the driver's bandwidth where that is another: GTX 1650, RTX 3060 Ti and RTX 4070 have two kinds."""
    bandwidth = bandwidth_of(gpu)
    if bandwidth is None or abs(bandwidth / card.memory_bytes_per_s - 1) <= _BANDWIDTH_TOLERANCE_RATIO:
        return card
    source = f"{card.source}; memory clock and bus of this card"
    return msgspec.structs.replace(card, memory_bytes_per_s=bandwidth, source=source)


def _slice(gpu: Gpu, parent_name: str) -> GpuSpec | None:
    """A MIG slice: its share of the whole card's multiprocessors and bandwidth."""
    parents, total_bytes = _named(gpu, parent_name), value_or_none(gpu.total_bytes)
    if not parents or total_bytes is None:
        return None
    parent = parents[0]
    share = min(1.0, total_bytes / parent.memory_bytes)
    cores = value_or_none(gpu.multiprocessors) or max(1, int(share * parent.multiprocessors))
    return resized(parent, cores, total_bytes, share, "the slice's share of it")


def _warning(gpu: Gpu) -> str | None:
    if gpu.spec is None:
        return speed_unknown(gpu.name)
    if gpu.spec.source.startswith("derived"):
        return f"{gpu.name} is not in the GPU catalog: its speed is derived from what its driver reports"
    return None
