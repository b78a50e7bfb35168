"""NVIDIA cards through NVML, each MIG slice as a card of its own."""

from __future__ import annotations

import re

from msgspec import Struct, structs

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Driver, Gpu
from canitrain.core.units import MHZ
from canitrain.probe.host import Host, derive, filled, first_known, positive
from canitrain.probe.nvidia_notes import NO_LINK, card_notes, card_processes
from canitrain.probe.nvidia_trace import trace_of_a_card

CORES_PER_SM = {
    "3.0": 192, "3.5": 192, "3.7": 192, "5.0": 128, "5.2": 128, "5.3": 128, "6.0": 64, "6.1": 128, "6.2": 128,
    "7.0": 64, "7.2": 64, "7.5": 64, "8.0": 64, "8.6": 128, "8.7": 128, "8.9": 128, "9.0": 128,
    "10.0": 128, "10.3": 128, "11.0": 128, "12.0": 128, "12.1": 128,
}  # fmt: skip
"""FP32 cores a multiprocessor by capability. Source: CUDA C++ Programming Guide, "Arithmetic instructions"."""
PCIE_BYTES_PER_S_PER_LANE = {1: 250e6, 2: 500e6, 3: 984.6e6, 4: 1969.2e6, 5: 3938.5e6, 6: 7563e6}
"""One direction, after line coding, by generation. Source: PCI Express Base Specification."""
BY_NVML = Known(value=Vendor.NVIDIA.value, source="NVML")
"""The vendor of a card that NVML told of."""
MOST_DEVICES = 256
"""More than any machine has: another count makes no sense."""
FIRST_MIG_MAJOR = 8
"""Ampere's compute capability. Source: NVIDIA MIG user guide, "Supported GPUs"."""
MW_PER_W = 1e3
SAYS_LAPTOP = re.compile(r"\b(Laptop|Max-Q Design|Mobile)\b|RTX 20[78]0 Super\b")
"""NVIDIA spells the desktop's card ``SUPER``. Source: the list of products beside its kernel modules."""
SHARED_NAME = re.compile(r"GeForce (GTX 10|GTX 16|RTX 20)|Quadro (RTX|P\d|T\d)")
"""Series whose laptop chips NVML calls like the desktop's cards; from the RTX 30 on their names say ``Laptop GPU``."""
LAPTOP_CHASSIS = frozenset({8, 9, 10, 14, 30, 31, 32})
"""Portable, laptop, notebook, sub notebook, tablet, convertible, detachable. Source: SMBIOS specification, 7.4.1."""
CLOCK_SM, CLOCK_MEMORY = 1, 2
"""``nvmlClockType_t``. Source: nvml.h."""


class Nvidia(Struct, frozen=True, kw_only=True):
    """What NVML says: the driver, and the cards or why there are none to see."""

    driver: Driver
    gpus: Known[tuple[Gpu, ...]] | Unknown


def read_nvidia(host: Host) -> Nvidia:
    """The driver and every card. ``Known(())`` only where nothing of NVIDIA's is there; NVML is then not loaded."""
    trace = trace_of_a_card(host)
    if isinstance(trace, Known):
        no_driver = Unknown(reason=f"no NVIDIA card ({trace.source})")
        driver = Driver(version=no_driver, cuda_version=no_driver)
        return Nvidia(driver=driver, gpus=Known(value=(), source=trace.source))
    start = host.nvml("nvmlInit", type(None))
    if isinstance(start, Unknown):
        return Nvidia(driver=Driver(version=start, cuda_version=start), gpus=_without_nvml(host, trace, start))
    driver = Driver(
        version=derive(host.nvml("nvmlSystemGetDriverVersion", str), filled),
        cuda_version=derive(host.nvml("nvmlSystemGetCudaDriverVersion_v2", int), _cuda_version),
    )
    return Nvidia(driver=driver, gpus=_cards(host))


def _cards(host: Host) -> Known[tuple[Gpu, ...]] | Unknown:
    """Every card; unknown where one of them cannot be asked, for nobody says which one a job would get."""
    count = derive(host.nvml("nvmlDeviceGetCount", int), _small)
    if isinstance(count, Unknown):
        return count
    gpus: list[Gpu] = []
    for number in range(count.value):
        handle = host.nvml("nvmlDeviceGetHandleByIndex", object, number)
        if isinstance(handle, Unknown):
            return Unknown(reason=f"card {number} of {count.value} does not answer ({handle.reason})")
        cards = _card(host, handle.value, len(gpus), alone=count.value == 1)
        if isinstance(cards, Unknown):
            return cards
        gpus += cards
    return Known(value=tuple(_linkable(gpu, gpus) for gpu in gpus), source="NVML")


def _linkable(gpu: Gpu, gpus: list[Gpu]) -> Gpu:
    """``gpu`` without a note on its links where no other card is of its kind: a bridge joins equal cards only."""
    if sum(other.name == gpu.name for other in gpus) > 1:
        return gpu
    return structs.replace(gpu, notes=tuple(note for note in gpu.notes if note != NO_LINK))


def _without_nvml(host: Host, trace: Unknown, start: Unknown) -> Known[tuple[Gpu, ...]] | Unknown:
    """Why the cards are unknown; elsewhere than on Linux, no driver library means no card."""
    if host.system == "Linux":
        return Unknown(reason=f"{trace.reason} ({start.reason})")
    if "not found" in start.reason.lower() or "not installed" in start.reason:
        return Known(value=(), source="no NVIDIA driver library")
    return start


def _card(host: Host, handle: object, index: int, *, alone: bool) -> list[Gpu] | Unknown:
    """One card, or its MIG slices where it is cut into such; unknown where that cannot be told."""
    mode = host.nvml("nvmlDeviceGetMigMode", list, handle)
    whole = _gpu(host, handle, index, alone=alone)
    if isinstance(mode, Unknown):
        return [whole] if _cannot_be_cut(mode, whole) else mode
    if mode.value[:1] == [0]:
        return [whole]
    limit = derive(host.nvml("nvmlDeviceGetMaxMigDeviceCount", int, handle), _small)
    if isinstance(limit, Unknown):
        return limit
    slices = [host.nvml("nvmlDeviceGetMigDeviceHandleByIndex", object, handle, number) for number in range(limit.value)]
    lost = [fact for fact in slices if isinstance(fact, Unknown) and "Not Found" not in fact.reason]
    if lost:
        return lost[0]
    found = [fact.value for fact in slices if isinstance(fact, Known)]
    return [_slice(host, part, whole, index + offset) for offset, part in enumerate(found)]


def _cannot_be_cut(mode: Unknown, whole: Gpu) -> bool:
    """Whether MIG is out of the question: the card says so, or is older than Ampere."""
    if "Not Supported" in mode.reason or "Function Not Found" in mode.reason:
        return True
    capability = whole.compute_capability
    return isinstance(capability, Known) and int(capability.value.split(".", maxsplit=1)[0]) < FIRST_MIG_MAJOR


def _gpu(host: Host, handle: object, index: int, *, alone: bool) -> Gpu:
    name = host.nvml("nvmlDeviceGetName", str, handle)
    title = name.value if isinstance(name, Known) else "NVIDIA card"
    capability = derive(host.nvml("nvmlDeviceGetCudaComputeCapability", tuple, handle), _capability)
    memory = host.nvml("nvmlDeviceGetMemoryInfo", dict, handle)
    return Gpu(
        index=index,
        name=title,
        vendor=BY_NVML,
        uuid=derive(host.nvml("nvmlDeviceGetUUID", str, handle), filled),
        total_bytes=derive(memory, lambda row: positive(row["total"])),
        free_bytes=derive(memory, lambda row: _at_most(row["free"], row["total"])),
        compute_capability=capability,
        multiprocessors=_multiprocessors(host, handle, capability),
        boost_hz=derive(host.nvml("nvmlDeviceGetMaxClockInfo", int, handle, CLOCK_SM), lambda mhz: positive(mhz) * MHZ),
        memory_hz=derive(
            host.nvml("nvmlDeviceGetMaxClockInfo", int, handle, CLOCK_MEMORY), lambda mhz: positive(mhz) * MHZ
        ),
        memory_bus_bits=derive(host.nvml("nvmlDeviceGetMemoryBusWidth", int, handle), positive),
        pcie_bytes_per_s=_pcie(host, handle),
        power_limit_w=derive(
            host.nvml("nvmlDeviceGetPowerManagementLimit", int, handle),
            lambda power_mw: positive(power_mw) / MW_PER_W,
        ),
        laptop=_laptop(host, name),
        processes=card_processes(host, handle),
        notes=card_notes(host, handle, alone=alone),
    )


def _laptop(host: Host, name: Known[str] | Unknown) -> Known[bool] | Unknown:
    """Whether it is a laptop's chip: its name says so, or the name leaves it open and the machine is a laptop."""
    said = derive(name, lambda text: SAYS_LAPTOP.search(text) is not None)
    if isinstance(name, Unknown) or isinstance(said, Unknown) or said.value or not SHARED_NAME.search(name.value):
        return said
    return first_known(
        derive(host.read("/sys/class/dmi/id/chassis_type"), lambda text: int(text) in LAPTOP_CHASSIS), said
    )


def _slice(host: Host, handle: object, whole: Gpu, index: int) -> Gpu:
    """A MIG slice: memory and multiprocessors of its own, everything else the card's."""
    name = host.nvml("nvmlDeviceGetName", str, handle)
    memory = host.nvml("nvmlDeviceGetMemoryInfo", dict, handle)
    attributes = host.nvml("nvmlDeviceGetAttributes_v2", dict, handle)
    return structs.replace(
        whole,
        index=index,
        name=name.value if isinstance(name, Known) else f"{whole.name} MIG",
        uuid=derive(host.nvml("nvmlDeviceGetUUID", str, handle), filled),
        total_bytes=derive(memory, lambda row: positive(row["total"])),
        free_bytes=derive(memory, lambda row: _at_most(row["free"], row["total"])),
        multiprocessors=derive(attributes, lambda row: positive(row["multiprocessorCount"])),
        mig=True,
        processes=card_processes(host, handle),
    )


def _multiprocessors(host: Host, handle: object, capability: Known[str] | Unknown) -> Known[int] | Unknown:
    cores = derive(host.nvml("nvmlDeviceGetNumGpuCores", int, handle), positive)
    if isinstance(capability, Unknown):
        return capability
    return derive(cores, lambda count: positive(count // CORES_PER_SM[capability.value]))


def _pcie(host: Host, handle: object) -> Known[float] | Unknown:
    """One direction: the best generation that card and slot share (an idle link steps down), at today's width."""
    generation = host.nvml("nvmlDeviceGetMaxPcieLinkGeneration", int, handle)
    if isinstance(generation, Unknown):
        return generation
    width = host.nvml("nvmlDeviceGetCurrPcieLinkWidth", int, handle)
    return derive(width, lambda lanes: PCIE_BYTES_PER_S_PER_LANE[generation.value] * positive(lanes))


def _capability(pair: tuple[object, ...]) -> str:
    major, minor = pair
    return f"{positive(int(str(major)))}.{int(str(minor))}"


def _cuda_version(number: int) -> str:
    """12040 is 12.4. Source: nvmlSystemGetCudaDriverVersion."""
    return f"{positive(number // 1000)}.{number % 1000 // 10}"


def _at_most(part: int, whole: int) -> int:
    if not 0 <= int(part) <= int(whole):
        raise ValueError(part)
    return int(part)


def _small(count: int) -> int:
    """A count of devices; raises ValueError for one that no machine has."""
    if not 0 <= count <= MOST_DEVICES:
        raise ValueError(count)
    return count
