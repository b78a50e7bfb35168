"""The rules, one a resource: what a run needs, what there is, and how that ends."""

from __future__ import annotations

from collections.abc import Callable

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import DESCRIBED, OF_THE_CHIP, TYPED
from canitrain.core.interval import Interval
from canitrain.core.memory_status import memory_status
from canitrain.core.question import MemoryEstimate, Question, RunEstimate
from canitrain.core.recipe import CacheMode
from canitrain.core.report import GpuMemory, Reason, Resource, Status, Verdict
from canitrain.core.severity import worst
from canitrain.core.target import GpuTarget
from canitrain.core.units import format_bytes, format_duration
from canitrain.verdict.unified_memory import unified_memory_rule

EXIT_CODES = {Status.GO: 0, Status.TIGHT: 0, Status.NO_GO: 1, Status.UNKNOWN: 3}
"""DESIGN section 4; what ``--fail-on`` starts from."""
_CPU_BUILDS = ("cpu",)
_WITHOUT_SHM = ("windows", "darwin")
"""Systems without ``/dev/shm``, by ``platform.system()``; on one that is unknown it may be there and small."""


def gpu_memory_rule(question: Question, run: MemoryEstimate) -> Reason | None:
    """``required`` decides no-go, ``device`` decides comfort (DESIGN 3.1)."""
    target, memory = question.target, run.memory.gpu
    if memory is None or not isinstance(target, GpuTarget):
        return None
    if memory.budget_bytes is None:
        return Reason(resource=Resource.GPU_MEMORY, status=Status.UNKNOWN, message=target.budget_reason)
    batch = f"batch {run.batch_size}"
    there = f"{format_bytes(memory.budget_bytes)} {'in all' if question.recipe.assume_idle else 'free'}"
    status = memory_status(memory, memory.budget_bytes)
    if status is Status.GO:
        need = f"takes at most {format_bytes(memory.device_bytes.high)} of GPU memory"
    elif status is Status.NO_GO:
        need = f"needs at least {format_bytes(memory.required_bytes.low)} of GPU memory"
    else:
        need = _squeeze(memory, memory.budget_bytes)
    return Reason(resource=Resource.GPU_MEMORY, status=status, message=f"{batch} {need}, {there}")


def ram_rule(question: Question, run: MemoryEstimate) -> Reason | None:
    """RAM that this process may use; swap is never counted."""
    host = run.memory.host
    source = _undescribed(question, question.hardware.ram.usable_bytes, "--ram")
    return _bytes_reason(Resource.RAM, "RAM", host.ram_bytes, host.ram_budget_bytes, source)


def shm_rule(question: Question, run: RunEstimate) -> Reason | None:
    """``/dev/shm`` never forbids a run: fewer workers, or ``--shm-size``, always get it going."""
    host = run.memory.host
    if host.shm_bytes.high <= 0:
        return None
    if host.shm_budget_bytes is None:
        if question.hardware.software.os.lower().startswith(_WITHOUT_SHM):
            return None
        message = "the size of /dev/shm could not be read: loader workers need it, --workers 0 does without"
        return Reason(resource=Resource.SHM, status=Status.TIGHT, message=message)
    if host.shm_bytes.high <= host.shm_budget_bytes:
        return None
    needed = format_bytes(host.shm_bytes.high)
    message = (
        f"loader workers need up to {needed} of /dev/shm, {format_bytes(host.shm_budget_bytes)} free: "
        f"use fewer --workers, or start the container with --shm-size={_whole_gib(host.shm_bytes.high)}"
    )
    return Reason(resource=Resource.SHM, status=Status.TIGHT, message=message)


def disk_rule(question: Question, run: RunEstimate) -> Reason | None:
    """Free space and free files of the data directory, and whether it can be written."""
    disk, storage = run.memory.disk, question.hardware.storage
    if isinstance(storage.writable, Known) and not storage.writable.value and disk.disk_bytes.expected > 0:
        what = "checkpoints need" if question.dataset.path is not None else "the dataset and checkpoints need"
        message = f"{storage.path} is read-only: {what} another folder"
        return Reason(resource=Resource.DISK, status=Status.TIGHT, message=message)
    files = least_files(question)
    if isinstance(storage.free_inodes, Known) and files > storage.free_inodes.value:
        message = f"writes at least {files:,} files, the file system takes {storage.free_inodes.value:,} more (inodes)"
        return Reason(resource=Resource.DISK, status=Status.NO_GO, message=message)
    source = _undescribed(question, storage.free_bytes, "--disk")
    return _bytes_reason(Resource.DISK, "disk", disk.disk_bytes, disk.disk_budget_bytes, source)


def least_files(question: Question) -> int:
    """Files that the run still has to write: the images, as many in a cache on disk, and a checkpoint.

    Known limitations: label files, of which YOLO's format has one an image, are not counted.
    """
    dataset = question.dataset
    images = dataset.images + dataset.validation_images
    copies = (dataset.path is None) + (question.recipe.cache is CacheMode.DISK)
    return copies * images + 1


def time_rule(question: Question, run: RunEstimate) -> Reason | None:
    """The whole run against ``--max-time``."""
    recipe, total_s = question.recipe, run.time.total_s
    given = "" if "max_time" in recipe.given else ", the default of --max-time"
    limit = f"the limit is {format_duration(recipe.max_time_s)}{given}"
    epochs = "1 epoch takes" if recipe.epochs == 1 else f"{recipe.epochs:,} epochs take"
    took = f"{epochs} {format_duration(total_s.expected)}"
    if total_s.high <= recipe.max_time_s:
        status, message = Status.GO, f"{took}, {limit}"
    elif total_s.expected <= recipe.max_time_s:
        status, message = Status.TIGHT, f"{took} but maybe {format_duration(total_s.high)}, {limit}"
    else:
        status, message = Status.NO_GO, f"{took}, {limit}"
    return Reason(resource=Resource.TIME, status=status, message=message)


def software_rule(question: Question, run: RunEstimate) -> Reason | None:
    """A torch that cannot use the GPU: one for the CPU only trains there without a word."""
    del run
    if not isinstance(question.target, GpuTarget):
        return None
    torch, obstacles = question.hardware.software.torch, list(question.hardware.software.obstacles)
    obstacles += [obstacle for gpu in question.target.gpus for obstacle in gpu.obstacles]
    if obstacles:
        return Reason(resource=Resource.SOFTWARE, status=Status.TIGHT, message=obstacles[0])
    if isinstance(torch, Known) and torch.value.build in _CPU_BUILDS:
        message = f"torch {torch.value.version} is a CPU-only build and would not use the GPU: install a build for it"
        return Reason(resource=Resource.SOFTWARE, status=Status.TIGHT, message=message)
    return None


RULES: tuple[Callable[[Question, RunEstimate], Reason | None], ...] = (
    gpu_memory_rule,
    ram_rule,
    unified_memory_rule,
    shm_rule,
    disk_rule,
    time_rule,
    software_rule,
)
"""In the order in which a reader cares."""
BATCH_RULES: tuple[Callable[[Question, MemoryEstimate], Reason | None], ...] = (
    gpu_memory_rule,
    ram_rule,
    unified_memory_rule,
)
"""What decides whether a batch size fits."""


def judge(question: Question, run: RunEstimate) -> tuple[Reason, ...]:
    """Every rule's finding."""
    return tuple(reason for rule in RULES if (reason := rule(question, run)) is not None)


def batch_status(question: Question, run: MemoryEstimate) -> Status:
    """Whether the batch fits into memory."""
    return worst(reason.status for rule in BATCH_RULES if (reason := rule(question, run)) is not None)


def verdict_of(reasons: tuple[Reason, ...]) -> Verdict:
    """The worst of the reasons, which come first in it."""
    status = worst(reason.status for reason in reasons)
    ordered = sorted(reasons, key=lambda reason: reason.status is not status)
    return Verdict(status=status, reasons=tuple(ordered), exit_code=EXIT_CODES[status])


def _undescribed(question: Question, fact: Known[int] | Unknown, option: str) -> str:
    """What to add to a budget that is not the described machine's, but the one's that it was described over."""
    if question.hardware.origin != DESCRIBED or (isinstance(fact, Known) and fact.source in (TYPED, OF_THE_CHIP)):
        return ""
    return f" (not described: set {option})"


def _bytes_reason(
    resource: Resource, name: str, need: Interval, budget_bytes: float | None, undescribed: str
) -> Reason:
    if budget_bytes is None:
        return Reason(resource=resource, status=Status.UNKNOWN, message=f"free {name} could not be read{undescribed}")
    there = f"{format_bytes(budget_bytes)} free"
    needed = format_bytes(need.expected)
    if need.high <= budget_bytes:
        status, message = Status.GO, f"needs {needed} of {name}, {there}"
    elif need.expected <= budget_bytes:
        maybe = format_bytes(need.high)
        status, message = Status.TIGHT, f"needs {needed} of {name} but maybe {maybe}, {there}{undescribed}"
    else:
        status, message = Status.NO_GO, f"needs {needed} of {name}, {there}{undescribed}"
    return Reason(resource=resource, status=status, message=message)


def _squeeze(memory: GpuMemory, budget_bytes: float) -> str:
    """How a batch between certainly too much and certainly little enough may end."""
    required, most = memory.required_bytes, format_bytes(memory.device_bytes.high)
    expected = format_bytes(required.expected)
    if required.expected > budget_bytes:
        return f"most likely runs out: it needs about {expected} to run, {format_bytes(required.low)} at the very least"
    return f"most likely runs: it needs about {expected}, but would take up to {most} of GPU memory"


def _whole_gib(size_bytes: float) -> str:
    return f"{int(size_bytes // 2**30) + 1}g"
