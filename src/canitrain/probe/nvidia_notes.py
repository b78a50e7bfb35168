"""Processes on an NVIDIA card, and oddities of it that are worth a warning."""

from __future__ import annotations

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import GpuProcess
from canitrain.core.limits import LARGEST_BYTES
from canitrain.probe.host import Host, derive

THROTTLE_REASONS = {
    0x04: "clocks are held down by the power limit",
    0x08: "clocks are slowed down by hardware (power brake or heat)",
    0x20: "clocks are held down by heat",
    0x40: "clocks are halved by heat: check the cooling",
    0x80: "clocks are halved by the power supply: check its cables",
}
"""``nvmlClocksEventReason*`` bits that cost speed. Source: nvml.h."""
MOST_LINKS = 18
"""``NVML_NVLINK_MAX_LINKS``. Source: nvml.h."""
UNCORRECTED, VOLATILE = 1, 0
"""``nvmlMemoryErrorType_t`` and ``nvmlEccCounterType_t``. Source: nvml.h."""


def card_processes(host: Host, handle: object) -> tuple[GpuProcess, ...]:
    """Processes that hold memory of the card; one of several contexts counts once, with the most."""
    rows: dict[int, GpuProcess] = {}
    for function in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
        answer = host.nvml(function, list, handle)
        for row in answer.value if isinstance(answer, Known) else []:
            found = derive(Known(value=row, source=function), lambda fields: int(fields["pid"]))
            if isinstance(found, Unknown) or found.value in rows:
                continue
            name = host.nvml("nvmlSystemGetProcessName", str, found.value)
            rows[found.value] = GpuProcess(
                pid=found.value,
                name=derive(name, lambda text: text.replace("\\", "/").rpartition("/")[2]),
                memory_bytes=derive(Known(value=row, source=function), lambda fields: _bytes(fields["usedGpuMemory"])),
            )
    return tuple(rows[pid] for pid in sorted(rows))


NO_LINK = "no NVLink is up, so gradients cross PCIe: fit the NVLink bridge between the cards"


def card_notes(host: Host, handle: object, *, alone: bool) -> tuple[str, ...]:
    """Sentences on a narrow PCIe link, throttled clocks, memory errors, virtual cards, and links that lie idle."""
    notes = [] if alone else _idle_links(host, handle)
    width = host.nvml("nvmlDeviceGetCurrPcieLinkWidth", int, handle)
    widest = host.nvml("nvmlDeviceGetMaxPcieLinkWidth", int, handle)
    if isinstance(width, Known) and isinstance(widest, Known) and 0 < width.value < widest.value:
        notes.append(f"PCIe link is x{width.value} of x{widest.value}: reseat the card or use another slot")
    reasons = host.nvml("nvmlDeviceGetCurrentClocksThrottleReasons", int, handle)
    if isinstance(reasons, Known):
        notes += [text for bit, text in THROTTLE_REASONS.items() if reasons.value & bit]
    errors = host.nvml("nvmlDeviceGetTotalEccErrors", int, handle, UNCORRECTED, VOLATILE)
    if isinstance(errors, Known) and errors.value > 0:
        notes.append(f"{errors.value} uncorrected memory errors since boot: reset the card, replace it if they return")
    mode = host.nvml("nvmlDeviceGetVirtualizationMode", int, handle)
    if isinstance(mode, Known) and mode.value == 2:  # noqa: PLR2004 - NVML_GPU_VIRTUALIZATION_MODE_VGPU
        notes.append("a vGPU: other virtual machines share the card's time")
    return tuple(notes)


def _idle_links(host: Host, handle: object) -> list[str]:
    """A sentence where the card has NVLinks of which none is up."""
    states = []
    for link in range(MOST_LINKS):
        state = host.nvml("nvmlDeviceGetNvLinkState", int, handle, link)
        if isinstance(state, Unknown):
            break  # no such link
        states.append(state.value)
    if states and not any(states):
        return [NO_LINK]
    return []


def _bytes(value: object) -> int:
    """Bytes; raises ValueError where NVML has no number (Windows' WDDM, another container's process)."""
    if not isinstance(value, int) or not 0 < value < LARGEST_BYTES:
        raise ValueError(value)
    return value
