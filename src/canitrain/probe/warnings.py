"""What a person should know of this machine before training on it: one sentence each, with the fix."""

from __future__ import annotations

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import GpuProcess, Hardware, StorageKind
from canitrain.core.units import GIB_BYTES, MIB_BYTES, format_bytes
from canitrain.probe.limits import Limits
from canitrain.probe.readiness import readiness_warnings
from canitrain.probe.visible import is_on_visibility

SHM = "/dev/shm"  # noqa: S108 - named, not written to
SMALL_SHM_BYTES = GIB_BYTES
"""Less shared memory than this stops loaders of detection batches; Docker gives 64 MiB unless told."""
FEW_FILES = 2048
"""Loader workers keep a file open for each tensor that they hand over (torch's file_descriptor sharing strategy)."""
FEW_INODES = 10_000
NOTICEABLE_BYTES = 256 * MIB_BYTES
"""Memory that another process holds on a card and that is worth a sentence."""


def machine_warnings(hardware: Hardware, limits: Limits) -> tuple[str, ...]:
    """Sentences on the cards, torch, memory, cores, open files and storage, in that order."""
    found = [
        *_unread_cards(hardware),
        *_cards(hardware),
        *_readiness(hardware),
        *_memory(hardware),
        *_cores(hardware),
        *_open_files(limits),
        *_storage(hardware),
    ]
    return tuple(dict.fromkeys(found))


def still_true(before: Hardware, after: Hardware) -> tuple[str, ...]:
    """The warnings of ``before`` that hold for ``after`` too, which is the same machine with some facts replaced."""
    topics = (_unread_cards, _cards, _readiness, _memory, _cores, _storage)
    said, holds = ({sentence for topic in topics for sentence in topic(each)} for each in (before, after))
    gone = said - holds
    if before.gpus != after.gpus:
        # Software for other cards is not looked at.
        gone |= {sentence for sentence in before.warnings if is_on_visibility(sentence)} | {*_readiness(before)}
    return tuple(sentence for sentence in before.warnings if sentence not in gone)


def _readiness(hardware: Hardware) -> tuple[str, ...]:
    return readiness_warnings(hardware.software, hardware.gpus.value if isinstance(hardware.gpus, Known) else ())


def _unread_cards(hardware: Hardware) -> list[str]:
    if not isinstance(hardware.gpus, Unknown):
        return []
    mend = "run nvidia-smi, and install or reload the NVIDIA driver"
    if "/dev/kfd" in hardware.gpus.reason:
        mend = "install the amdgpu driver of ROCm, or start the container with --device /dev/kfd --device /dev/dri"
    elif "Insufficient Permissions" in hardware.gpus.reason or "permission denied" in hardware.gpus.reason:
        mend = "add this user to the groups video and render"
    elif any("container" in note or "pod" in note for note in hardware.software.notes):
        mend = "start the container with --gpus all, or request nvidia.com/gpu, and check nvidia-smi on its host"
    return [f"the GPUs could not be read ({hardware.gpus.reason}): {mend}"]


def _cards(hardware: Hardware) -> list[str]:
    found = []
    gpus = hardware.gpus.value if isinstance(hardware.gpus, Known) else ()
    for gpu in gpus:
        label = f"GPU {gpu.index} {gpu.name}"
        found += [f"{label}: {note}" for note in gpu.notes]
        found += [f"{label}: {sentence}" for process in gpu.processes if (sentence := _held(process))]
    slices = [gpu for gpu in gpus if gpu.mig]
    if len(slices) > 1:
        found.append(
            "a process can use one MIG slice: choose it with CUDA_VISIBLE_DEVICES=MIG-... (nvidia-smi -L lists them)"
        )
    if len({gpu.name for gpu in gpus if not gpu.mig}) > 1:
        found.append(
            "the cards differ, and together run at the pace and memory of the least: choose with CUDA_VISIBLE_DEVICES, "
            "and export CUDA_DEVICE_ORDER=PCI_BUS_ID so that CUDA counts them as nvidia-smi does"
        )
    return found


def _held(process: GpuProcess) -> str | None:
    """What another process holds of a card, where that is worth a sentence."""
    size, name = process.memory_bytes, process.name
    if not isinstance(size, Known) or size.value < NOTICEABLE_BYTES:
        return None
    who = name.value if isinstance(name, Known) else "a process"
    return f"{who} (pid {process.pid}) holds {format_bytes(size.value)}: end it or plan with the rest"


def _memory(hardware: Hardware) -> list[str]:
    found = []
    ram, notes = hardware.ram, hardware.software.notes
    if isinstance(ram.shm_bytes, Known) and ram.shm_bytes.value < SMALL_SHM_BYTES:
        size = format_bytes(ram.shm_bytes.value)
        if "Kubernetes pod" in notes:
            mend = "mount an emptyDir with medium: Memory on /dev/shm"
        elif any("container" in note for note in notes):
            mend = "start the container with --shm-size=8g or --ipc=host"
        else:
            mend = "mount -o remount,size=8G /dev/shm, or train with --workers 0"
        found.append(f"{SHM} has only {size} free, and loader workers hand their batches over there: {mend}")
    if (
        isinstance(ram.usable_bytes, Known)
        and isinstance(ram.available_bytes, Known)
        and ram.usable_bytes.value < ram.available_bytes.value
    ):
        found.append(
            f"{ram.usable_bytes.source} leaves {format_bytes(ram.usable_bytes.value)} of "
            f"{format_bytes(ram.available_bytes.value)} available RAM: raise that limit if the job needs more"
        )
    if hardware.software.os.startswith("Windows"):
        found.append(
            "each loader worker reserves several GiB of RAM and page file together, whether it uses them or not: "
            "let Windows manage the size of the page file if workers end with WinError 1455"
        )
    elif isinstance(ram.swap_bytes, Known) and ram.swap_bytes.value > 0:
        found.append(f"{format_bytes(ram.swap_bytes.value)} of swap is not counted as memory: a job that swaps crawls")
    if "WSL2" in notes:
        found.append(
            "WSL2 gives Linux half of Windows' RAM by default: raise memory= in .wslconfig, then wsl --shutdown"
        )
    return found


def _cores(hardware: Hardware) -> list[str]:
    usable, logical = hardware.cpu.usable_cores, hardware.cpu.logical_cores
    if isinstance(usable, Known) and isinstance(logical, Known) and usable.value < logical.value:
        mend = (
            "ask for more, for example --cpus-per-task=8"
            if "Slurm job" in hardware.software.notes
            else "more loader workers than that do not help"
        )
        return [f"{usable.source} leaves {usable.value:g} of {logical.value} cores: {mend}"]
    return []


def _open_files(limits: Limits) -> list[str]:
    if limits.open_files is not None and limits.open_files < FEW_FILES:
        return [f"at most {limits.open_files} open files: run ulimit -n 65535 before training with many workers"]
    return []


def _storage(hardware: Hardware) -> list[str]:
    found = []
    storage = hardware.storage
    network = isinstance(storage.kind, Known) and storage.kind.value is StorageKind.NETWORK
    if network and "WSL2" in hardware.software.notes:
        found.append("the data lies on a Windows drive, which WSL2 reads slowly: move it into Linux's own file system")
    elif network:
        found.append("the data lies on a network file system: copy it to a local disk first, or use --cache ram")
    if isinstance(storage.writable, Known) and not storage.writable.value:
        found.append("the data directory cannot be written: point caches and checkpoints elsewhere")
    if isinstance(storage.free_inodes, Known) and storage.free_inodes.value < FEW_INODES:
        found.append(f"only {storage.free_inodes.value} more files fit on the data's file system: delete small files")
    return found
