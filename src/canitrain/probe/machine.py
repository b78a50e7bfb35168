"""The probe in one screen: every source in turn, then the warnings."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import structs

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import THIS_MACHINE, Gpu, Hardware, Ram
from canitrain.core.unknown_machine import unknown_machine
from canitrain.probe.amd import read_amd
from canitrain.probe.apple import read_apple
from canitrain.probe.cpu import read_cpu
from canitrain.probe.drm import drm_cards
from canitrain.probe.environment import read_surroundings
from canitrain.probe.host import Host, failure_text
from canitrain.probe.intel import read_intel
from canitrain.probe.jetson import read_jetson
from canitrain.probe.limits import read_limits
from canitrain.probe.memory import read_ram
from canitrain.probe.nvidia import Nvidia, read_nvidia
from canitrain.probe.readiness import card_obstacles, obstacles
from canitrain.probe.software import describe_software, read_packages
from canitrain.probe.sources import ThisMachine
from canitrain.probe.storage import read_storage
from canitrain.probe.visible import unseen, visible
from canitrain.probe.warnings import machine_warnings


def probe(data_path: Path) -> Hardware:
    """This machine, with the storage that holds ``data_path``. Never raises; ends within ``host.TimeLimits``."""
    path = absolute(data_path)
    try:
        return probe_host(Host(ThisMachine()), path)
    except Exception as error:  # noqa: BLE001 - a machine that surprises us is unknown, not a crash
        reason = f"the probe failed: {failure_text(error)}"
        nothing = unknown_machine(THIS_MACHINE, reason, data_path=path)
        return structs.replace(nothing, warnings=(f"{reason}: report it with canitrain doctor",))


def absolute(path: Path) -> str:
    """``path`` from the root, without following links or asking the file system."""
    return os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps ".."


def probe_host(host: Host, data_path: str) -> Hardware:
    """The machine behind ``host``; ``data_path`` is absolute."""
    limits = read_limits(host)
    ram = read_ram(host, limits)
    cpu = read_cpu(host, limits)
    storage = read_storage(host, data_path)
    packages = read_packages(host)
    surroundings = read_surroundings(host)
    nvidia = read_nvidia(host)  # last: a stuck driver then takes no other fact with it
    gpus, notes, hidden = _gpus(host, nvidia, ram)
    hardware = Hardware(
        origin=THIS_MACHINE,
        cpu=cpu,
        ram=ram,
        storage=storage,
        gpus=gpus,
        software=describe_software(host, packages, nvidia.driver, (*surroundings, *notes)),
    )
    shown = gpus.value if isinstance(gpus, Known) else ()
    software = structs.replace(hardware.software, obstacles=obstacles(hardware.software, shown))
    if isinstance(gpus, Known):
        own = (structs.replace(gpu, obstacles=card_obstacles(software, shown, gpu)) for gpu in shown)
        gpus = Known(value=tuple(own), source=gpus.source)
    hardware = structs.replace(hardware, software=software, gpus=gpus)
    return structs.replace(hardware, warnings=(*hidden, *machine_warnings(hardware, limits)))


def _gpus(
    host: Host, nvidia: Nvidia, ram: Ram
) -> tuple[Known[tuple[Gpu, ...]] | Unknown, tuple[str, ...], tuple[str, ...]]:
    """The cards that a framework sees (NVIDIA's, else AMD's, Intel's, Apple's), notes, and sentences on hidden ones."""
    if host.system == "Darwin":
        return unseen(host, read_apple(host, ram)), (), ()
    found = nvidia.gpus
    notes: tuple[str, ...] = ()
    if host.system == "Linux":
        jetson = read_jetson(host, ram)
        cards = drm_cards(host)
        if jetson.value:
            found = jetson
        elif isinstance(cards, Unknown):
            found = found if isinstance(found, Known) and found.value else cards
        else:
            amd, intel = read_amd(host, cards.value), read_intel(host, cards.value)
            notes = (*amd.notes, *intel.notes)
            if isinstance(found, Known) and amd.closed is not None and not found.value:
                found = amd.closed
            elif isinstance(found, Known):
                usable = amd.gpus if amd.closed is None else ()
                found = Known(value=(*found.value, *usable, *intel.gpus), source=found.source)
    if isinstance(found, Unknown) or isinstance(unseen(host, found), Unknown):
        return unseen(host, found), notes, ()
    shown: list[Gpu] = []
    hidden: list[str] = []
    for vendor in Vendor:
        own = tuple(gpu for gpu in found.value if isinstance(gpu.vendor, Known) and gpu.vendor.value == vendor.value)
        if own:
            gpus, sentences = visible(host, own, vendor)
            shown += gpus
            hidden += sentences
    return Known(value=tuple(shown), source=found.source), notes, tuple(hidden)
