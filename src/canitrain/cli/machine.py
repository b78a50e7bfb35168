"""Which machine a check is about: this one, a saved one, or one described by options."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from canitrain.cli.one_pool import share_memory
from canitrain.core.errors import InputError
from canitrain.core.fact import Known, Unknown, value_or_none
from canitrain.core.hardware import DESCRIBED, OF_THE_CHIP, TYPED, Cpu, Driver, Hardware, Ram, Storage, StorageKind
from canitrain.core.recipe import DeviceChoice
from canitrain.core.units import parse_bytes
from canitrain.verdict.device import best_kind

STDIN = Path("/dev/stdin")
"""What ``--hardware -`` reads: a machine that another one's ``probe --json`` prints."""
SHM_SHARE = 0.5
"""Of the RAM, what Linux lets /dev/shm hold unless told. Source: tmpfs(5), ``size``."""
SHM_SOURCE = "half of the RAM described, as Linux mounts it"


class MachineOptions(Struct, frozen=True, kw_only=True):
    """What was typed; ``None`` leaves it to the probe or the file."""

    hardware: Path | None = None
    gpu: str | None = None
    cpu_cores: float | None = None
    ram: str | None = None
    storage: StorageKind | None = None
    disk: str | None = None


def here() -> Path:
    """The folder that this runs in.

    Raises:
        InputError: it was deleted meanwhile.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise InputError("the folder that this runs in was deleted", hint="cd to one that exists") from None


def find_machine(options: MachineOptions, data_path: Path) -> Hardware:
    """The machine of ``--hardware``, else this one as seen from ``data_path``, with what was described put over it.

    Raises:
        InputError: the file, a GPU name or a size is wrong.
    """
    # Each room is imported only where it is needed: a saved machine must not pay for the probe.
    from canitrain import catalog  # noqa: PLC0415

    if options.hardware is not None:
        machine = catalog.load_hardware(STDIN if options.hardware == Path("-") else options.hardware)
    else:
        from canitrain.probe import probe  # noqa: PLC0415

        machine = probe(data_path)
    return catalog.complete(described(machine, options))


def described(machine: Hardware, options: MachineOptions) -> Hardware:
    """``machine`` with what ``options`` describe put over it, and only the warnings that still hold."""
    if options == MachineOptions(hardware=options.hardware):
        return machine
    from canitrain.probe.readiness import needed_builds  # noqa: PLC0415
    from canitrain.probe.warnings import still_true  # noqa: PLC0415

    before = machine
    if options.gpu is not None:
        machine = _with_gpus(machine, options.gpu)
    if options.cpu_cores is not None:
        machine = replace(machine, cpu=_with_cores(machine.cpu, options.cpu_cores))
    if options.ram is not None:
        ram = _with_ram(machine.ram, options.ram, of_another=options.gpu is not None)
        machine = replace(machine, ram=ram)
    if options.storage is not None:
        kind = Known(value=options.storage, source=TYPED)
        bench = None if machine.bench is None else machine.bench.elsewhere()
        machine = replace(machine, storage=replace(machine.storage, kind=kind), bench=bench)
    if options.disk is not None:
        machine = replace(machine, storage=_with_space(machine.storage, options.disk))
    machine = replace(machine, warnings=still_true(before, machine))
    if options.gpu is None:
        return machine
    machine = share_memory(machine, ram_given=options.ram is not None)
    assumed = _assumptions(machine, options.gpu, of_this_machine=options.hardware is None)
    # A card that stays idle needs no build of torch.
    builds = needed_builds(machine.software, best_kind(machine, DeviceChoice.AUTO))
    return replace(machine, warnings=tuple(dict.fromkeys((*assumed, *machine.warnings, *builds))))


def _with_cores(cpu: Cpu, cores: float) -> Cpu:
    """``cpu`` with ``cores`` usable; one with more than there are here has as many hardware threads a core as here."""
    usable = Known(value=cores, source=TYPED)
    logical, physical = value_or_none(cpu.logical_cores), value_or_none(cpu.physical_cores)
    if logical is None or cores <= logical:
        return replace(cpu, usable_cores=usable, bounds=())
    threads = max(1, logical // physical) if physical else 1
    return replace(
        cpu,
        usable_cores=usable,
        logical_cores=Known(value=math.ceil(cores), source=TYPED),
        physical_cores=Known(value=math.ceil(cores / threads), source=TYPED),
        bounds=(),
    )


def _with_ram(ram: Ram, text: str, *, of_another: bool) -> Ram:
    """``ram`` of the size in ``text``, and /dev/shm with it where cards ``of_another`` machine were described too."""
    size = Known(value=parse_bytes(text, needs_unit=True), source=TYPED)
    shm_bytes = ram.shm_bytes
    if of_another and isinstance(shm_bytes, Known):
        shm_bytes = Known(value=int(SHM_SHARE * size.value), source=SHM_SOURCE)
    return replace(
        ram,
        total_bytes=size,
        available_bytes=size,
        usable_bytes=size,
        swap_bytes=Unknown(reason="the RAM was described"),
        shm_bytes=shm_bytes,
        bounds=(),
    )


def _with_space(storage: Storage, text: str) -> Storage:
    """``storage`` that can be written, with the space in ``text`` free and files without number."""
    size = Known(value=parse_bytes(text, needs_unit=True), source=TYPED)
    return replace(
        storage,
        total_bytes=size,
        free_bytes=size,
        free_inodes=Unknown(reason="the disk was described"),
        writable=Known(value=True, source=TYPED),
    )


def _assumptions(machine: Hardware, gpu: str, *, of_this_machine: bool) -> Iterator[str]:
    """What a machine with described cards has without having been described so."""
    from canitrain.catalog.cards import assumed_sizes  # noqa: PLC0415

    yield from assumed_sizes(gpu)
    facts = {
        "cores (--cpu-cores)": machine.cpu.usable_cores,
        "RAM and /dev/shm (--ram)": machine.ram.usable_bytes,
        "kind of disk (--storage)": machine.storage.kind,
    }
    own = (TYPED, OF_THE_CHIP)
    left = [name for name, fact in facts.items() if isinstance(fact, Unknown) or fact.source not in own]
    if left and of_this_machine:
        # Free space alone is not worth a warning: where it is what lacks, the verdict says that it was not described.
        free = machine.storage.free_bytes
        left += [] if isinstance(free, Known) and free.source == TYPED else ["free disk (--disk)"]
        yield f"not described, so taken from this machine: {', '.join(left)}"


def _with_gpus(machine: Hardware, text: str) -> Hardware:
    """``machine`` with the cards of ``text`` in place of its own, idle, and no opinion about the software for them."""
    from canitrain.catalog import describe_gpus  # noqa: PLC0415

    gpus = describe_gpus(text)
    if not gpus:
        raise InputError(f"{text!r} names no GPU", hint='write it like --gpu "2x RTX 3060"; all names: canitrain gpus')
    not_asked = Unknown(reason="the GPU was described, not probed")
    driver = Driver(version=not_asked, cuda_version=not_asked)
    software = replace(machine.software, torch=not_asked, driver=driver, obstacles=())
    return replace(machine, origin=DESCRIBED, gpus=Known(value=gpus, source=TYPED), software=software)
