"""AMD cards from ``/sys/class/drm`` and the compute driver's topology under ``/sys/class/kfd``.

Source: the kernel's Documentation/gpu/amdgpu/driver-misc.rst (mem_info_*, product_name),
kfd_topology.c and kfd_process.c.
"""

from __future__ import annotations

from functools import partial

from msgspec import Struct, structs

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Gpu, GpuProcess
from canitrain.core.units import MHZ
from canitrain.probe.drm import AMD, DrmCard
from canitrain.probe.gpu_record import sparse_gpu
from canitrain.probe.host import Host, derive, positive

UW_PER_W = 1e6
"""Of hwmon's ``power1_cap``. Source: the kernel's Documentation/hwmon/sysfs-interface.rst."""
NODES = "/sys/class/kfd/kfd/topology/nodes"
PROCESSES = "/sys/class/kfd/kfd/proc"
IDS_FILE = "/usr/share/libdrm/amdgpu.ids"
NAMES = {
    0x738C: "Instinct MI100", 0x7408: "Instinct MI250X", 0x740C: "Instinct MI250",
    0x740F: "Instinct MI210", 0x74A0: "Instinct MI300A", 0x74A1: "Instinct MI300X", 0x74A2: "Instinct MI308X",
    0x74A5: "Instinct MI325X", 0x74B5: "Instinct MI300X VF", 0x75A0: "Instinct MI350X", 0x75A3: "Instinct MI355X",
    0x73A3: "Radeon PRO W6800", 0x7448: "Radeon PRO W7900",
}  # fmt: skip
"""Where the device number alone says it. Source: the PCI ID repository and libdrm's amdgpu.ids.

0x740C is the MI250 and some MI250X, which their compute units tell apart. 0x66A1 is not here: it is the MI50, the MI60
and the Radeon Pro VII, by revision.
"""
INTEGRATED_TARGETS = frozenset({
    "gfx902", "gfx909", "gfx90c", "gfx1033", "gfx1035", "gfx1036", "gfx1103",
    "gfx1150", "gfx1151", "gfx1152", "gfx1153",
})  # fmt: skip
"""APUs. Source: LLVM's "User Guide for AMDGPU Backend", table of processors."""


class AmdCards(Struct, frozen=True, kw_only=True):
    """Cards to train on, and what was seen and is none."""

    gpus: tuple[Gpu, ...]
    notes: tuple[str, ...]
    closed: Unknown | None = None
    """Why no program can compute on them, where the compute driver's device is not there."""


class _Node(Struct, frozen=True, kw_only=True):
    """A GPU of the compute topology, by its PCI address."""

    location: int
    target: str
    compute_units: int
    clock_hz: float
    processes: tuple[GpuProcess, ...]


def read_amd(host: Host, cards: tuple[DrmCard, ...]) -> AmdCards:
    """AMD's cards among ``cards``; integrated ones become a note."""
    own = [card for card in cards if card.vendor == AMD]
    if not own:
        return AmdCards(gpus=(), notes=())
    topology = _topology(host)
    gpus, notes = [], []
    for card in own:
        gpu = _card(host, card, topology)
        target = gpu.compute_capability.value if isinstance(gpu.compute_capability, Known) else ""
        if target in INTEGRATED_TARGETS:
            notes.append(f"integrated AMD graphics ({target}), not offered for training")
        else:
            gpus.append(gpu)
    nodes = host.names("/dev")
    if isinstance(nodes, Known) and "kfd" in nodes.value:
        return AmdCards(gpus=tuple(gpus), notes=tuple(notes))
    closed = nodes if isinstance(nodes, Unknown) else Unknown(reason="an AMD card is there, but /dev/kfd is not")
    return AmdCards(gpus=tuple(gpus), notes=tuple(notes), closed=closed if gpus else None)


def _card(host: Host, card: DrmCard, nodes: Known[tuple[_Node, ...]] | Unknown) -> Gpu:
    total = derive(host.read(f"{card.folder}/mem_info_vram_total"), positive)
    used = derive(host.read(f"{card.folder}/mem_info_vram_used"), int)
    location = derive(host.resolve(card.folder), _location)
    node = location if isinstance(location, Unknown) else derive(nodes, lambda rows: _at(rows, location.value))
    gpu = sparse_gpu(_name(host, card), Vendor.AMD, card.folder, unstated="the amdgpu driver's files do not state it")
    power = host.names(f"{card.folder}/hwmon")
    cap = derive(power, lambda names: names[0])
    watts = host.read(f"{card.folder}/hwmon/{cap.value}/power1_cap") if isinstance(cap, Known) else cap
    return structs.replace(
        gpu,
        total_bytes=total,
        free_bytes=derive(used, lambda taken: _free(total, taken), f"{card.folder}/mem_info_vram_used"),
        compute_capability=derive(node, lambda found: found.target, NODES),
        multiprocessors=derive(node, lambda found: found.compute_units, NODES),
        boost_hz=derive(node, lambda found: found.clock_hz, NODES),
        processes=node.value.processes if isinstance(node, Known) else (),
        power_limit_w=derive(watts, lambda text: positive(text) / UW_PER_W),
    )


def _name(host: Host, card: DrmCard) -> str:
    """The vendor's name without ``AMD``, from our table, libdrm's, or the card itself."""
    if card.device in NAMES:
        return NAMES[card.device]
    revision = derive(host.read(f"{card.folder}/revision"), lambda text: int(text, 16))
    table = host.read(IDS_FILE)
    if isinstance(revision, Known) and isinstance(table, Known):
        key = f"{card.device:04X},\t{revision.value:02X},\t"
        row = next((line for line in table.value.splitlines() if line.upper().startswith(key)), None)
        if row is not None:
            return row[len(key) :].strip().removeprefix("AMD ")
    stated = host.read(f"{card.folder}/product_name")
    if isinstance(stated, Known) and stated.value.strip():
        return stated.value.strip().removeprefix("AMD ")
    return f"AMD card {card.device:#06x}"


def _topology(host: Host) -> Known[tuple[_Node, ...]] | Unknown:
    names = host.names(NODES)
    if isinstance(names, Unknown):
        return names
    found = []
    for name in names.value:
        properties = derive(host.read(f"{NODES}/{name}/properties"), _parse_properties)
        if isinstance(properties, Known) and properties.value.get("simd_count", 0) > 0:
            number = host.read(f"{NODES}/{name}/gpu_id")
            holders = _processes(host, number.value) if isinstance(number, Known) else ()
            node = derive(properties, partial(_parse_node, processes=holders))
            if isinstance(node, Known):
                found.append(node.value)
    return Known(value=tuple(found), source=NODES)


def _parse_properties(text: str) -> dict[str, int]:
    return {key: int(value) for key, value in (line.split() for line in text.splitlines())}


def _processes(host: Host, gpu_id: str) -> tuple[GpuProcess, ...]:
    """Processes that hold memory of the GPU with that number in the topology."""
    pids = host.names(PROCESSES)
    found = []
    for pid in pids.value if isinstance(pids, Known) else ():
        size = derive(host.read(f"{PROCESSES}/{pid}/vram_{gpu_id}"), positive)
        if pid.isdecimal() and isinstance(size, Known):
            found.append(GpuProcess(pid=int(pid), name=host.read(f"/proc/{pid}/comm"), memory_bytes=size))
    return tuple(found)


def _parse_node(row: dict[str, int], processes: tuple[GpuProcess, ...]) -> _Node:
    """``gfx_target_version`` 90010 is gfx90a: major, minor, stepping, two decimal digits each, then in hexadecimal."""
    version = positive(row["gfx_target_version"])
    return _Node(
        location=(row.get("domain", 0) << 16) | row["location_id"],
        target=f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}",
        compute_units=positive(row["simd_count"] // positive(row.get("simd_per_cu", 4))),
        clock_hz=positive(row["max_engine_clk_fcompute"]) * MHZ,
        processes=processes,
    )


def _location(folder: str) -> int:
    """``.../0000:c1:00.0`` as the topology numbers it: domain, bus, device and function."""
    domain, bus, rest = folder.rpartition("/")[2].split(":")
    device, function = rest.split(".")
    return int(domain, 16) << 16 | int(bus, 16) << 8 | int(device, 16) << 3 | int(function, 16)


def _at(rows: tuple[_Node, ...], location: int) -> _Node:
    """The node at a PCI address; raises IndexError where there is none."""
    return [node for node in rows if node.location == location][0]  # noqa: RUF015 - IndexError is the contract


def _free(total: Known[int] | Unknown, used: int) -> int:
    """Bytes not in use; raises ValueError where that is no number."""
    if isinstance(total, Unknown) or not 0 <= used <= total.value:
        raise ValueError(used)
    return total.value - used
