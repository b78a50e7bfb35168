"""The answer, from which text, JSON, Markdown and HTML are all rendered."""

from __future__ import annotations

import enum
from typing import Literal

from msgspec import Struct

from canitrain.core.dataset import Dataset
from canitrain.core.evidence import Evidence
from canitrain.core.hardware import Hardware
from canitrain.core.interval import Interval
from canitrain.core.model_summary import ModelSummary
from canitrain.core.network import NetworkUse
from canitrain.core.profile import ImageSize, Phase, Precision
from canitrain.core.recipe import Recipe


class Status(enum.Enum):
    """The verdict, best first; ``unknown`` when a fact that decides is missing."""

    GO = "go"
    TIGHT = "tight"
    NO_GO = "no-go"
    UNKNOWN = "unknown"


class Bottleneck(enum.Enum):
    """What a step waits for."""

    GPU_COMPUTE = "gpu-compute"
    GPU_MEMORY_BANDWIDTH = "gpu-memory-bandwidth"
    LAUNCHES = "launches"
    CPU_COMPUTE = "cpu-compute"
    DECODE = "decode"
    """The loader's processes."""
    STORAGE = "storage"
    COMMUNICATION = "communication"
    """The GPUs of one node."""
    NETWORK = "network"
    """What connects several nodes."""


OF_THE_CARD = (Bottleneck.GPU_COMPUTE, Bottleneck.GPU_MEMORY_BANDWIDTH)  # a quicker card would help


class Resource(enum.Enum):
    """What can run out."""

    GPU_MEMORY = "gpu_memory"
    RAM = "ram"
    SHM = "shm"
    DISK = "disk"
    TIME = "time"
    SOFTWARE = "software"
    HARDWARE = "hardware"


class Reason(Struct, frozen=True, kw_only=True):
    """One finding behind the verdict: the rule's resource, what it found, and in one sentence why."""

    resource: Resource
    status: Status
    message: str


class Verdict(Struct, frozen=True, kw_only=True):
    """The worst of the reasons, and the exit code that goes with it before any ``--fail-on``."""

    status: Status
    reasons: tuple[Reason, ...]
    exit_code: int


class Recommendation(Struct, frozen=True, kw_only=True):
    """What to run. ``batch_size`` is images a GPU and step, ``None`` where nothing fits."""

    batch_size: int | None
    precision: Precision
    accumulation_steps: int
    workers: int
    image_size: ImageSize
    batch_reason: str
    """What capped the batch: memory, the dataset, the default batch of the recipe, the option."""


class GpuMemory(Struct, frozen=True, kw_only=True):
    """The four figures of one GPU (DESIGN 3.1) and the parts of the device figure."""

    allocated_bytes: Interval
    reserved_bytes: Interval
    device_bytes: Interval
    required_bytes: Interval
    budget_bytes: float | None
    """What may be used: free memory, or the whole card with ``--assume-idle``; ``None`` where unknown."""
    total_bytes: float | None
    parts: dict[str, float]
    """weights, buffers, gradients, optimizer, ema, activations (with the batch), workspace, slack, validation, context.

    They sum to ``device_bytes.expected``.
    """


class HostMemory(Struct, frozen=True, kw_only=True):
    """RAM and /dev/shm of the whole job on this host. ``parts`` sum to ``ram_bytes.expected``."""

    ram_bytes: Interval
    ram_budget_bytes: float | None
    shm_bytes: Interval
    shm_budget_bytes: float | None
    parts: dict[str, float]


class DiskNeed(Struct, frozen=True, kw_only=True):
    """Disk of the data directory: what is still to be written. ``parts`` sum to ``disk_bytes.expected``."""

    disk_bytes: Interval
    disk_budget_bytes: float | None
    parts: dict[str, float]


class Memory(Struct, frozen=True, kw_only=True):
    """Every kind of memory. ``gpu`` is ``None`` when the run trains on the CPU."""

    gpu: GpuMemory | None
    host: HostMemory
    disk: DiskNeed


class StepParts(Struct, frozen=True, kw_only=True):
    """Seconds of one step by what could be the slowest, each on its own; ``step_s`` says how they add up."""

    compute_s: float
    launches_s: float
    loader_s: float
    storage_s: float
    communication_s: float
    optimizer_s: float
    """Part of ``compute_s``."""
    waits_s: float = 0.0
    """What device and launching host wait for each other, on top of the slower of the two: where a result decides what
    runs next, neither can work ahead."""
    handover_s: float = 0.0
    """What the step takes longer because the training process itself takes over and copies batches, or reads losses."""
    loads_between_steps: bool = False
    """Without loader processes images are read and decoded while the device waits."""

    @property
    def device_s(self) -> float:
        """Device and the host that launches for it, together."""
        return max(self.compute_s, self.launches_s) + self.waits_s

    @property
    def training_s(self) -> float:
        """All but the wait for images: device, launching host, hand-over of batches and exchange between GPUs."""
        return self.device_s + self.handover_s + self.communication_s

    @property
    def step_s(self) -> float:
        """Seconds of the step: the slowest of training, loader and storage, which work side by side.

        With ``loads_between_steps``: one after the other.
        """
        if self.loads_between_steps:
            return self.training_s + self.loader_s + self.storage_s
        return max(self.training_s, self.loader_s, self.storage_s)


class Time(Struct, frozen=True, kw_only=True):
    """Seconds of a step, an epoch with validation, and the whole run."""

    step_s: Interval
    epoch_s: Interval
    total_s: Interval
    images_per_s: float
    """Over all GPUs of all nodes."""
    bottleneck: Bottleneck
    parts: StepParts
    validation_s: float
    """Of one epoch."""
    kinds_s: dict[str, float]
    """Compute seconds of a step by kind of work; they sum to ``parts.compute_s``."""
    energy_kwh: float | None = None
    """Of all GPUs."""
    cost: float | None = None
    """Of all nodes."""
    network: NetworkUse | None = None
    """Where several nodes share the run."""


class BatchRow(Struct, frozen=True, kw_only=True):
    """One column of the batch table."""

    batch_size: int
    status: Status
    device_bytes: float | None
    """Expected device memory (RAM when training on the CPU)."""
    step_s: float
    images_per_s: float
    required_bytes: float | None = None
    """Expected least device memory with which the step still runs; ``None`` on the CPU."""


class Advice(Struct, frozen=True, kw_only=True):
    """A change that would help, with its predicted effect."""

    change: str
    """What to do, as an option where there is one: ``--precision amp``."""
    effect: str
    """In words: ``-3.1 GiB, 1.7x faster``."""
    memory_bytes: float
    """Change of the deciding memory figure; negative is less."""
    speedup_ratio: float
    """Run time before / after."""
    status: Status
    """The verdict with that change made."""


class CardOption(Struct, frozen=True, kw_only=True):
    """A catalog card on which the same run would do, where this machine has no GPU or too little of one."""

    name: str
    status: Status
    batch_size: int
    device_bytes: float
    total_s: float
    bottleneck: Bottleneck | None = None
    """What a step waits for on that card."""


class ScalingRow(Struct, frozen=True, kw_only=True):
    """The same run on ``gpus`` cards over all ``nodes``, each with the same batch."""

    gpus: int
    images_per_s: float
    total_s: float
    bottleneck: Bottleneck
    nodes: int = 1


class Scaling(Struct, frozen=True, kw_only=True):
    """What each further GPU brings, then each further node; from ``useful_gpus`` on another one brings little."""

    rows: tuple[ScalingRow, ...]
    useful_gpus: int
    """Over ``useful_nodes`` nodes."""
    useful_nodes: int = 1
    obstacle: Bottleneck | None = None
    """What the steps of one GPU or node more would wait for.

    ``None`` where every GPU helps, or the steps do get faster and the rest of the epoch (start, validation, checkpoint)
    does not.
    """


class StageMemory(Struct, frozen=True, kw_only=True):
    """One stage in the memory timeline of ``--explain``."""

    stage: str
    saved_bytes: float
    """Held for the backward pass."""
    forward_peak_bytes: float | None
    backward_peak_bytes: float | None
    step_s: float
    fullest: Phase | None = None
    """The half of the step in which this stage, with gradients and workspace, decides the device memory."""


class EvidenceSummary(Struct, frozen=True, kw_only=True):
    """What the two estimates rest on."""

    memory: Evidence
    time: Evidence


class Report(Struct, frozen=True, kw_only=True):
    """One ``check``. ``memory`` and ``time`` speak of the recommended batch, or of ``--batch-size`` where given."""

    schema: Literal["canitrain.report/1"] = "canitrain.report/1"
    version: str
    verdict: Verdict
    recommendation: Recommendation
    model: ModelSummary
    dataset: Dataset
    recipe: Recipe
    hardware: Hardware
    device: str
    """The device that the figures speak of, for a reader: ``2x GeForce RTX 3060`` or the CPU's model."""
    batch_size: int | None
    evidence: EvidenceSummary
    memory: Memory | None
    time: Time | None
    batches: tuple[BatchRow, ...]
    advice: tuple[Advice, ...]
    cards: tuple[CardOption, ...]
    explain: tuple[StageMemory, ...]
    warnings: tuple[str, ...]
    scaling: Scaling | None = None
    """Where several GPUs share the run."""
