"""A machine as text: what it has, what of it this process may use, and what to know before training."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TypeVar

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Bench, Cpu, Gpu, Hardware, Ram, Software, Storage
from canitrain.core.units import GB_BYTES, GHZ, MB_BYTES, format_bytes, format_number

T = TypeVar("T")

INDENT = 10


def hardware_text(hardware: Hardware, *, columns: int = 80) -> str:
    """``hardware`` for a reader, no line longer than ``columns``."""
    rows = [
        *_rows("CPU", _cpu(hardware.cpu)),
        *_rows("RAM", _ram(hardware.ram)),
        *_rows("Storage", _storage(hardware.storage)),
        *_gpus(hardware.gpus),
        *_rows("Software", _software(hardware.software)),
        *(_rows("Bench", _bench(hardware.bench)) if hardware.bench is not None else ()),
    ]
    lines = [line for label, text in rows for line in _wrapped(label, text, columns)]
    if hardware.warnings:
        lines += ["", "To know"]
        lines += [line for warning in hardware.warnings for line in _bullet(warning, columns)]
    return "\n".join(lines) + "\n"


def _wrapped(label: str, text: str, columns: int) -> list[str]:
    return textwrap.wrap(
        text,
        width=columns,
        initial_indent=label.ljust(INDENT),
        subsequent_indent=" " * INDENT,
        break_on_hyphens=False,
    )


def _bullet(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, width=columns, initial_indent=" - ", subsequent_indent="   ", break_on_hyphens=False)


def _rows(label: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    """The label before the first text only."""
    return [(label if number == 0 else "", text) for number, text in enumerate(texts)]


def _say(fact: Known[T] | Unknown, form: str, unknown: str) -> str:
    """``form`` filled with a known value, else ``unknown`` with the reason."""
    return form.format(fact.value) if isinstance(fact, Known) else f"{unknown} ({fact.reason})"


def _size(fact: Known[int] | Unknown, unknown: str) -> str:
    return format_bytes(fact.value) if isinstance(fact, Known) else f"{unknown} ({fact.reason})"


def _cpu(cpu: Cpu) -> list[str]:
    usable = cpu.usable_cores
    room = (
        f"{usable.value:g} usable by {usable.source}"
        if isinstance(usable, Known)
        else _say(usable, "", "usable unknown")
    )
    clock = "clock unknown"
    if isinstance(cpu.max_hz, Known):
        clock = f"up to {cpu.max_hz.value / GHZ:.2f} GHz"
    elif isinstance(cpu.base_hz, Known):
        clock = f"{cpu.base_hz.value / GHZ:.2f} GHz"
    vector = cpu.vector_extensions
    names = " ".join(vector.value) if isinstance(vector, Known) else f"vector units unknown ({vector.reason})"
    return [
        _say(cpu.model, "{}", "model unknown"),
        f"{_say(cpu.physical_cores, '{}', '?')} cores, {_say(cpu.logical_cores, '{}', '?')} threads, {room}",
        f"{clock}; {names}",
    ]


def _ram(ram: Ram) -> list[str]:
    usable = ram.usable_bytes
    room = (
        f"{format_bytes(usable.value)} usable by {usable.source}"
        if isinstance(usable, Known)
        else _size(usable, "usable unknown")
    )
    rows = [
        f"{_size(ram.total_bytes, 'total unknown')}, {room}",
        f"shared memory {_size(ram.shm_bytes, 'unknown')} free, swap {_size(ram.swap_bytes, 'unknown')}",
    ]
    return rows + [f"limit {bound.name}: {format_bytes(bound.value)}" for bound in ram.bounds]


def _storage(storage: Storage) -> list[str]:
    kind = storage.kind.value.value if isinstance(storage.kind, Known) else f"kind unknown ({storage.kind.reason})"
    files = storage.free_inodes
    return [
        f"{storage.path}: {kind}",
        f"{_say(storage.device, '{}', 'device unknown')}, {_say(storage.filesystem, '{}', 'file system unknown')}",
        f"{_size(storage.free_bytes, 'free space unknown')} free of {_size(storage.total_bytes, 'unknown')}"
        + (f", room for {files.value} files" if isinstance(files, Known) else "")
        + (", read-only" if isinstance(storage.writable, Known) and not storage.writable.value else ""),
    ]


def _gpus(gpus: Known[tuple[Gpu, ...]] | Unknown) -> list[tuple[str, str]]:
    if isinstance(gpus, Unknown):
        return [("GPU", f"unknown: {gpus.reason}")]
    if not gpus.value:
        return [("GPU", f"none to train on ({gpus.source})")]
    return [row for gpu in gpus.value for row in _rows(f"GPU {gpu.index}", _gpu(gpu))]


def _gpu(gpu: Gpu) -> list[str]:
    details = (
        f"capability {gpu.compute_capability.value}" if isinstance(gpu.compute_capability, Known) else "",
        f"{gpu.multiprocessors.value} multiprocessors" if isinstance(gpu.multiprocessors, Known) else "",
        f"{gpu.boost_hz.value / GHZ:.2f} GHz" if isinstance(gpu.boost_hz, Known) else "",
        f"PCIe {gpu.pcie_bytes_per_s.value / GB_BYTES:.1f} GB/s" if isinstance(gpu.pcie_bytes_per_s, Known) else "",
        f"{gpu.power_limit_w.value:.0f} W" if isinstance(gpu.power_limit_w, Known) else "",
    )
    free = gpu.free_bytes
    room = f"{format_bytes(free.value)} free" if isinstance(free, Known) else f"free memory unknown ({free.reason})"
    first = f"{gpu.name}{', a MIG slice' if gpu.mig else ''}: {_size(gpu.total_bytes, 'memory unknown')}, {room}"
    shown = ", ".join(detail for detail in details if detail)
    return [first, shown] if shown else [first]


def _software(software: Software) -> list[str]:
    torch = software.torch
    if isinstance(torch, Known):
        about = f"torch {torch.value.version} ({torch.value.build or 'build unknown'})"
    else:
        about = f"no torch ({torch.reason})"
    rows = [f"Python {software.python}, {software.os}", about]
    if software.libraries:
        rows.append(", ".join(f"{package.name} {package.version}" for package in software.libraries))
    if isinstance(software.driver.version, Known):
        rows.append(
            f"NVIDIA driver {software.driver.version.value}, CUDA {_say(software.driver.cuda_version, '{}', 'unknown')}"
        )
    if software.notes:
        rows.append(", ".join(software.notes))
    return rows


def _bench(bench: Bench) -> list[str]:
    rates = (
        ("decode", bench.decode_s_per_megapixel, lambda per_megapixel_s: f"{per_megapixel_s * 1e3:.1f} ms a megapixel"),
        ("sequential read", bench.sequential_read_bytes_per_s, _rate),
        ("random read", bench.random_read_bytes_per_s, _rate),
        ("memory", bench.memory_bytes_per_s, _rate),
    )
    return [
        f"{name} {say(fact.value) if isinstance(fact, Known) else f'unknown ({fact.reason})'}"
        for name, fact, say in rates
    ]


def _rate(bytes_per_s: float) -> str:
    """``595 MB/s``, ``29.8 GB/s``."""
    unit_bytes, suffix = (GB_BYTES, "GB/s") if bytes_per_s >= GB_BYTES else (MB_BYTES, "MB/s")
    return f"{format_number(bytes_per_s / unit_bytes, 3)} {suffix}"
