"""A machine that ``canitrain probe --save`` wrote to a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from canitrain.catalog.decode import Owner, decode_json, read_bytes
from canitrain.core.errors import InputError
from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Gpu, Hardware
from canitrain.core.limits import MOST_CORES

_HINT = "write the file with: canitrain probe --save HOST.json"

_Number = Known[int] | Known[float] | Unknown


def load_hardware(path: Path | str) -> Hardware:
    """The machine of the file at ``path``, with the path as its origin.

    Raises:
        InputError: the file is missing, malformed, truncated, has an unknown key, a wrong type, a negative number, no
            core or no memory at all, or more free than there is.
    """
    file = Path(path)
    hardware = decode_json(read_bytes(file, Owner.USER, hint=_HINT), Hardware, file, Owner.USER, hint=_HINT)
    problem = find_inconsistency(hardware)
    if problem is not None:
        raise InputError(f"{file}: {problem}", hint=_HINT)
    return msgspec.structs.replace(hardware, origin=str(file))


def find_inconsistency(hardware: Hardware) -> str | None:
    """What no machine can have although every type is right, or ``None``."""
    for key, fact in _present(hardware):
        if isinstance(fact, Known) and fact.value <= 0:
            return f"{key}.value is {fact.value} and must be above zero"
    cores = hardware.cpu.usable_cores
    if isinstance(cores, Known) and cores.value > MOST_CORES:
        return f"cpu.usable_cores.value is {cores.value:g}, more than the {MOST_CORES} that a machine may have here"
    for key, part, whole in _shares(hardware):
        if isinstance(part, Known) and isinstance(whole, Known) and part.value > whole.value:
            return f"{key}.value is {part.value}, more than the total of {whole.value}"
    return None


def _present(hardware: Hardware) -> Iterator[tuple[str, _Number]]:
    """Facts that are above zero wherever they are known."""
    cpu, ram = hardware.cpu, hardware.ram
    yield "cpu.physical_cores", cpu.physical_cores
    yield "cpu.logical_cores", cpu.logical_cores
    yield "cpu.usable_cores", cpu.usable_cores
    yield "cpu.base_hz", cpu.base_hz
    yield "cpu.max_hz", cpu.max_hz
    yield "ram.total_bytes", ram.total_bytes
    for key, gpu in _gpus(hardware):
        yield f"{key}.total_bytes", gpu.total_bytes
        yield f"{key}.multiprocessors", gpu.multiprocessors
        yield f"{key}.boost_hz", gpu.boost_hz
        yield f"{key}.memory_hz", gpu.memory_hz
        yield f"{key}.memory_bus_bits", gpu.memory_bus_bits
        if gpu.spec is not None:
            numbers = {
                "memory_bytes": gpu.spec.memory_bytes,
                "memory_bytes_per_s": gpu.spec.memory_bytes_per_s,
                "fp32_flops_per_s": gpu.spec.fp32_flops_per_s,
                "multiprocessors": gpu.spec.multiprocessors,
                "boost_hz": gpu.spec.boost_hz,
            }
            for name, number in numbers.items():
                yield f"{key}.spec.{name}", Known(value=number, source="the file")


def _shares(hardware: Hardware) -> Iterator[tuple[str, _Number, _Number]]:
    """Parts and what they are a part of."""
    yield "ram.available_bytes", hardware.ram.available_bytes, hardware.ram.total_bytes
    yield "ram.usable_bytes", hardware.ram.usable_bytes, hardware.ram.total_bytes
    yield "storage.free_bytes", hardware.storage.free_bytes, hardware.storage.total_bytes
    for key, gpu in _gpus(hardware):
        yield f"{key}.free_bytes", gpu.free_bytes, gpu.total_bytes


def _gpus(hardware: Hardware) -> Iterator[tuple[str, Gpu]]:
    if isinstance(hardware.gpus, Known):
        for index, gpu in enumerate(hardware.gpus.value):
            yield f"gpus.value[{index}]", gpu
