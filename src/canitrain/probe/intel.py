"""Intel's discrete cards from ``/sys/class/drm`` (i915 and xe drivers)."""

from __future__ import annotations

from msgspec import Struct, structs

from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Gpu
from canitrain.core.units import GIB_BYTES
from canitrain.probe.drm import INTEL, DrmCard
from canitrain.probe.gpu_record import sparse_gpu
from canitrain.probe.host import Host, derive, first_known, positive

NAMES = {
    0x5690: "Arc A770M", 0x5691: "Arc A730M", 0x5692: "Arc A550M", 0x5693: "Arc A370M", 0x5694: "Arc A350M",
    0x56A0: "Arc A770", 0x56A1: "Arc A750", 0x56A2: "Arc A580", 0x56A5: "Arc A380", 0x56A6: "Arc A310",
    0x56B0: "Arc Pro A30M", 0x56B1: "Arc Pro A40", 0x56B2: "Arc Pro A60M", 0x56B3: "Arc Pro A60",
    0x56C0: "Data Center GPU Flex 170", 0x56C1: "Data Center GPU Flex 140",
    0x0BD5: "Data Center GPU Max 1550", 0x0BD9: "Data Center GPU Max 1100", 0x0BDA: "Data Center GPU Max 1100",
    0xE20B: "Arc B580", 0xE20C: "Arc B570", 0xE211: "Arc Pro B60", 0xE212: "Arc Pro B50",
    0xE223: "Arc Pro B70",
}  # fmt: skip
"""Discrete ones by PCI device number; every other Intel display is integrated. Source: the kernel's intel/pciids.h."""
MEMORY_BAR = 2
"""The PCI resource through which local memory is mapped (LMEM BAR). Source: i915's intel_region_lmem.c."""


class IntelCards(Struct, frozen=True, kw_only=True):
    """Cards to train on, and what was seen and is none."""

    gpus: tuple[Gpu, ...]
    notes: tuple[str, ...]


def read_intel(host: Host, cards: tuple[DrmCard, ...]) -> IntelCards:
    """Intel's discrete cards among ``cards``; integrated ones become a note."""
    gpus, notes = [], []
    for card in (card for card in cards if card.vendor == INTEL):
        if card.device in NAMES:
            gpus.append(_card(host, card))
        else:
            notes.append(f"integrated Intel graphics ({card.device:#06x}), not offered for training")
    return IntelCards(gpus=tuple(gpus), notes=tuple(notes))


def _card(host: Host, card: DrmCard) -> Gpu:
    """Total memory from the driver where it states it, else from the resizable BAR that maps all of it."""
    stated = derive(host.read(f"{card.folder.removesuffix('/device')}/lmem_total_bytes"), positive)
    mapped = derive(host.read(f"{card.folder}/resource"), _mapped_bytes)
    gpu = sparse_gpu(
        NAMES[card.device], Vendor.INTEL, card.folder, unstated="Intel's driver has no file that states it"
    )
    return structs.replace(gpu, total_bytes=first_known(stated, mapped))


def _mapped_bytes(text: str) -> int:
    """Size of the memory BAR; raises ValueError where it is the small window of a machine without resizable BAR."""
    start, end, _ = text.splitlines()[MEMORY_BAR].split()
    size_bytes = int(end, 16) - int(start, 16) + 1
    if size_bytes < GIB_BYTES:
        raise ValueError(text)
    return size_bytes
