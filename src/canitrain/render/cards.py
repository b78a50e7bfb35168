"""GPU cards as a list and one by one."""

from __future__ import annotations

from collections.abc import Sequence

from canitrain.core.gpu import GpuSpec, Vendor
from canitrain.core.units import GB_BYTES, GIB_BYTES, MHZ, format_bytes
from canitrain.render.lines import EMPTY_LINE, Line, Span, Tone, labelled
from canitrain.render.table import Column, table

TFLOPS = 1e12
NOTHING = "-"
"""The card has no such unit, or nobody states it."""
LABEL_COLUMNS = 17
MULTIPROCESSOR = {Vendor.NVIDIA: "SMs", Vendor.AMD: "CUs", Vendor.INTEL: "Xe cores", Vendor.APPLE: "GPU cores"}

_COLUMNS = (
    Column("GPU"),
    Column("GiB", right=True),
    Column("GB/s", right=True),
    Column("fp32", right=True),
    Column("tf32", right=True),
    Column("half", right=True),
    Column("W", right=True),
    Column("year", right=True),
)


def card_list(cards: Sequence[GpuSpec], width: int) -> list[Line]:
    """One line a card: memory, bandwidth, dense peaks in TFLOPS, power and year."""
    rows = [
        (
            card.name,
            f"{card.memory_bytes / GIB_BYTES:,.0f}",
            f"{card.memory_bytes_per_s / GB_BYTES:,.0f}",
            tflops(card.fp32_flops_per_s),
            tflops(card.tf32_flops_per_s),
            tflops(card.fp16_flops_per_s),
            NOTHING if card.tdp_w is None else f"{card.tdp_w:,.0f}",
            NOTHING if card.year is None else str(card.year),
        )
        for card in cards
    ]
    count = f"{len(cards)} card{'' if len(cards) == 1 else 's'}. Peaks are dense TFLOPS; half is fp16 with fp32 sums."
    return [*table(_COLUMNS, rows, width), EMPTY_LINE, (Span(count, Tone.QUIET),)]


def card_details(card: GpuSpec, width: int) -> list[Line]:
    """Everything that the catalog knows of ``card``, one fact a line."""
    peaks = {
        "fp32": card.fp32_flops_per_s,
        "tf32": card.tf32_flops_per_s,
        "fp16": card.fp16_flops_per_s,
        "bf16": card.bf16_flops_per_s,
    }
    kind = [card.vendor.value, card.generation.value]
    kind += [card.compute_capability] if card.compute_capability else []
    kind += ["laptop"] if card.laptop else []
    between = _rate(card.link_bytes_per_s)
    memory = f"{format_bytes(card.memory_bytes)}{', shared with the CPU' if card.unified_memory else ''}"
    facts = {
        "Kind": ", ".join(kind),
        "Memory": f"{memory}, {card.memory_bytes_per_s / GB_BYTES:,.0f} GB/s",
        "Peak TFLOPS": ", ".join(f"{name} {tflops(rate)}" for name, rate in peaks.items()) + " (dense)",
        "Units": f"{card.multiprocessors:,} {MULTIPROCESSOR[card.vendor]} at {card.boost_hz / MHZ:,.0f} MHz",
        "L2 cache": None if card.l2_bytes is None else format_bytes(card.l2_bytes),
        "PCIe": _rate(card.pcie_bytes_per_s),
        "Between cards": f"{between}, over a bridge that is sold apart" if card.link_bridge else between,
        "Power": None if card.tdp_w is None else f"{card.tdp_w:,.0f} W",
        "Year": None if card.year is None else str(card.year),
        "Also called": ", ".join((*card.aliases, *card.detected_names)) or None,
        "Source": card.source,
    }
    lines: list[Line] = [(Span(card.name, Tone.STRONG),)]
    for label, text in facts.items():
        if text is not None:
            lines += labelled(f" {label}", text, columns=width, indent=LABEL_COLUMNS)
    return lines


def tflops(rate: float | None) -> str:
    """FLOPs a second as TFLOPS with about three figures."""
    if rate is None:
        return NOTHING
    value = rate / TFLOPS
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}"  # noqa: PLR2004  # three figures


def _rate(bytes_per_s: float | None) -> str | None:
    return None if bytes_per_s is None else f"{bytes_per_s / GB_BYTES:,.1f} GB/s each way"
