"""Coefficients of the input pipeline, of RAM and of disk; their values lie in ``profiles/calibration/host.toml``."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.evidence import Coefficient
from canitrain.core.hardware import StorageKind
from canitrain.core.loop import HandoverCosts, Loop


class StorageRates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one kind of storage serves image files that are read in random order."""

    read_bytes_per_s: Coefficient
    """Sequential rate of the whole device; of memory, of one reader."""
    access_s: Coefficient
    """From asking for a file to its first byte."""
    queue_depth: Coefficient
    """Readers whose waiting overlaps; in memory also their copying, as each brings its own core."""
    low_ratio: Coefficient
    """Slowest plausible device of the kind / the rate above."""
    high_ratio: Coefficient
    """Fastest plausible device of the kind / the rate above."""


class LoaderCosts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Work of a loader process on one core."""

    decode_s_per_megapixel: Coefficient
    """JPEG file to pixels, by pixels as stored."""
    resize_s_per_megapixel: Coefficient
    """By pixels of the result."""
    augment_s_per_megapixel: Coefficient
    """Warp, colour, flip, layout, by pixels of the training image."""
    collate_s_per_megapixel: Coefficient
    """Stacking into a batch and handing it over, by pixels of the training image."""
    copy_s_per_megapixel: Coefficient
    """Pixels as stored to a float tensor, where the model resizes on the device itself."""
    core_ratio: Coefficient
    """What a further busy core adds, as a share of the first."""
    low_ratio: Coefficient
    """Slowest plausible processor / the costs above, in images a second."""
    high_ratio: Coefficient
    """Fastest plausible processor."""
    assumed_cores: Coefficient
    """Where the probe could not tell."""


class StepMemory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """RAM of a training step on the CPU / its live tensors, which the C allocator and oneDNN's scratch space add to."""

    ratio: Coefficient
    low_ratio: Coefficient
    high_ratio: Coefficient


class BenchSpread(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a rate of ``probe --bench`` may lie from what training sees."""

    read_ratio: Coefficient
    """Reading: rate / this to rate x this."""


class ProcessMemory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """RAM of the processes of a training job."""

    main_bytes: Coefficient
    """Interpreter, torch, the model library."""
    cuda_bytes: Coefficient
    """What the CUDA driver and its libraries add to a process that uses a GPU."""
    forked_worker_bytes: Coefficient
    """Private memory of a loader process that shares its parent's pages."""
    spawned_worker_bytes: Coefficient
    """Private memory of a loader process that imports everything anew (Windows, macOS, forkserver)."""
    label_bytes_per_image: Coefficient
    """Path, shape and array objects of one image in a Python list."""
    label_bytes_per_box: Coefficient
    """Class and four coordinates."""
    prefetched_batches: Coefficient
    """A worker's finished batches that wait."""
    pinned_batches: Coefficient
    """Page-locked batches on their way to the GPU."""
    largest_batch_ratio: Coefficient
    """Largest batch / mean batch in bytes, where images are handed over at the size they are stored at."""
    low_ratio: Coefficient
    """Least plausible RAM of processes, labels and batches / expected."""
    high_ratio: Coefficient
    """Greatest plausible RAM of processes, labels and batches / expected."""
    cpu_step: StepMemory
    """A step that runs on the CPU."""


class DiskCosts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run writes."""

    checkpoints: Coefficient
    """Checkpoint files that lie on disk at once, one of them being written."""
    log_bytes: Coefficient
    """Logs, plots, sample pictures."""
    high_ratio: Coefficient
    """Greatest plausible total / expected."""


class HostCalibration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that the estimates of feed, RAM and disk rest on."""

    loader: LoaderCosts
    storage: dict[StorageKind, StorageRates]
    """One row a kind; all kinds are there."""
    bench: BenchSpread
    process: ProcessMemory
    disk: DiskCosts
    handover: HandoverCosts
    loop: tuple[Loop, ...]
