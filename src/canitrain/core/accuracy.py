"""Measured runs, and how far the predictions are from them."""

from __future__ import annotations

import enum

from msgspec import Struct

from canitrain.core.dataset import Dataset
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Hardware, StorageKind
from canitrain.core.interval import Interval
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe


class MemoryKind(enum.Enum):
    """Which of a GPU's memory figures was read (DESIGN 3.1)."""

    ALLOCATED = "allocated"
    """``torch.cuda.max_memory_allocated``."""
    RESERVED = "reserved"
    """``torch.cuda.max_memory_reserved``."""
    DEVICE = "device"
    """``nvidia-smi``, DCGM or NVML."""


CPU_NAME = "cpu"
"""How a measurement names the processor, whichever it is."""


class Figure(enum.Enum):
    """The column of the measurements that a row compares."""

    MEMORY_BYTES = "memory_bytes"
    STEP_S = "step_s"
    IMAGES_PER_S = "images_per_s"
    EPOCH_S = "epoch_s"


class Measurement(Struct, frozen=True, kw_only=True):
    """One line of a measurements CSV (DESIGN section 5); ``None`` where a field is empty."""

    row: int
    """Line of the file, the header being 1."""
    model: str
    image_size: str | None
    batch_size: int
    """Images a GPU and step."""
    gpus: int
    gpu: str
    precision: str | None
    optimizer: str | None
    memory_kind: MemoryKind | None
    memory_bytes: float | None
    step_s: float | None
    images_per_s: float | None
    """Over all GPUs."""
    source: str | None
    validated: bool | None = None
    """Memory only: whether the run had validated when it was read, not just trained; ``None`` where that is not said.
    Where a library validates larger batches than it trains (YOLOv5), its pool grows by that."""
    epoch_s: float | None = None
    """Of a whole epoch, wherever its clock ran; see ``epoch_validated``."""
    epoch_validated: bool | None = None
    """Whether ``epoch_s`` holds the validation; ``None`` where that is not said."""
    freeze: str | None = None
    channels_last: bool | None = None
    checkpointing: bool | None = None
    dataset: str | None = None
    images: int | None = None
    """Training images of an epoch."""
    validation_images: int | None = None
    image_bytes: float | None = None
    """Mean of the encoded files."""
    image_pixels: float | None = None
    """Mean of width x height as stored."""
    boxes_per_image: float | None = None
    workers: int | None = None
    """Loader processes a GPU."""
    cores: float | None = None
    """Of the host, that the run could use; the loader is estimated where they are known."""
    ram_bytes: float | None = None
    storage: StorageKind | None = None
    loop: str | None = None
    """Whose training loop ran; ``None`` is that of the model's library."""
    torch: str | None = None
    """Release of PyTorch that ran."""


class Run(Struct, frozen=True, kw_only=True):
    """A measurement whose model and card were found, and how it trained."""

    measurement: Measurement
    profile: ModelProfile
    card: GpuSpec
    recipe: Recipe
    dataset: Dataset | None = None
    """The images that it trained on; ``None`` where it says no more than the rest of the file."""
    epoch_is_known: bool = True
    """Whether somebody said how many images an epoch has."""
    hardware: Hardware | None = None
    """Its host; ``None`` where the row does not say enough to estimate a loader."""


class AccuracyRow(Struct, frozen=True, kw_only=True):
    """One figure of one run: measured against predicted, both in the unit of ``figure``."""

    run: Run
    figure: Figure
    measured: float
    predicted: Interval
    refused: bool = False
    """Memory only: the estimate would have called this run, which ran, impossible on its card."""
    compared: str | None = None
    """Time with a loader or of an epoch: what the prediction holds."""

    @property
    def error(self) -> float:
        """``predicted / measured - 1``."""
        return self.predicted.expected / self.measured - 1

    @property
    def covered(self) -> bool:
        """Whether the measured value lies in the predicted interval."""
        return self.predicted.low <= self.measured <= self.predicted.high


class Grouping(enum.Enum):
    """What the rows of a group share."""

    ALL = "all"
    FAMILY = "family"
    GPU = "gpu"
    MEMORY_KIND = "memory_kind"


class Quantity(enum.Enum):
    """What is never averaged together: memory, the time of a step, and that of an epoch, which may hold other work."""

    MEMORY = "memory"
    TIME = "time"
    EPOCH = "epoch"


class AccuracyGroup(Struct, frozen=True, kw_only=True):
    """Errors of a group of rows, all ratios: 0.05 is 5 %."""

    quantity: Quantity
    by: Grouping
    name: str
    rows: int
    median_error: float
    """Of absolute errors."""
    p95_error: float
    """95th percentile of absolute errors."""
    bias: float
    """Median of signed errors, of images a second as of their time; positive predicts too much."""
    coverage: float
    """Share of rows whose interval holds the measured value."""
    out_of_memory: float | None
    """Memory only: share of runs that need more than expected, which an expected value used as a cap would break."""
    out_of_memory_high: float | None
    """The same for the upper end of the interval, which is what a verdict rests on."""
    refused: float | None
    """Memory only: share of runs, all of which ran, that ``required`` calls impossible."""


class Skipped(Struct, frozen=True, kw_only=True):
    """A line that could not be compared."""

    row: int
    reason: str


class Accuracy(Struct, frozen=True, kw_only=True):
    """All comparisons and their summaries."""

    rows: tuple[AccuracyRow, ...]
    groups: tuple[AccuracyGroup, ...]
    skipped: tuple[Skipped, ...] = ()
