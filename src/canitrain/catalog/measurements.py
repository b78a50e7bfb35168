"""A measurements CSV (DESIGN section 5) as records."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from canitrain.catalog.measurement_fields import Field, has_comma_decimals
from canitrain.catalog.measurement_table import Table, read_table
from canitrain.core.accuracy import Measurement, MemoryKind
from canitrain.core.errors import InputError
from canitrain.core.hardware import StorageKind
from canitrain.core.limits import MOST_CORES, MOST_WORKERS

COLUMNS = (
    "model",
    "image_size",
    "batch_size",
    "gpus",
    "gpu",
    "precision",
    "optimizer",
    "memory_kind",
    "memory_bytes",
    "step_s",
    "images_per_s",
    "source",
)
MORE_COLUMNS = (
    "validated",
    "epoch_s",
    "epoch_validated",
    "freeze",
    "channels_last",
    "checkpointing",
    "dataset",
    "images",
    "validation_images",
    "image_bytes",
    "image_pixels",
    "boxes_per_image",
    "workers",
    "cores",
    "ram_bytes",
    "storage",
    "loop",
    "torch",
)
"""Read where they are there; ``canitrain measure`` does not write them."""
_KNOWN = (*COLUMNS, *MORE_COLUMNS)
_FIGURES = (*COLUMNS, "epoch_s")
"""A slip of one of these would lose a figure or take it for another run's."""
_ALIASES = {
    "imgsz": "image_size", "img_size": "image_size", "num_workers": "workers", "cpu_cores": "cores",
    "torch_version": "torch", "pytorch": "torch", "pytorch_version": "torch",
    "num_gpus": "gpus", "gpu_count": "gpus", "gpu_type": "gpu", "gpu_name": "gpu",
}  # fmt: skip
"""Names that training scripts and their loggers give to the same things."""
_RELEASE = re.compile(r"\d+(?:\.\d+)+(?:[+.-]?\w+)*")
_TOLD_RELEASE = re.compile(r"\b(?:py)?torch[ =]*(\d+(?:\.\d+)+)", re.IGNORECASE)
_OTHERS = frozenset({"epoch", "epochs"})
"""Columns of logs that count epochs: no slips of ``epoch_s``."""
REQUIRED_COLUMNS = ("model", "batch_size", "gpu")
"""No other column needs to be there; a field of these may not be empty."""
_KINDS = {
    **{kind.value: kind for kind in MemoryKind},
    "max_memory_allocated": MemoryKind.ALLOCATED, "memory_allocated": MemoryKind.ALLOCATED,
    "max_memory_reserved": MemoryKind.RESERVED, "memory_reserved": MemoryKind.RESERVED,
    "nvidia-smi": MemoryKind.DEVICE, "nvidia_smi": MemoryKind.DEVICE,
    "nvml": MemoryKind.DEVICE, "dcgm": MemoryKind.DEVICE,
}  # fmt: skip
"""How people write it: torch's functions, and the tools that read the device."""
_NUMBERS = frozenset(
    {"batch_size", "gpus", "memory_bytes", "step_s", "images_per_s", "epoch_s", "image_bytes", "boxes_per_image"}
)
"""Columns whose fields show how the file writes decimals."""
_IMAGES_OR_GPUS = "images or GPUs"
_LEAST_BYTES = 1e6
"""Half of the least block (2 MiB) that torch asks CUDA for: no run takes less, and a figure in GB or MiB is less."""
_ALIKE = 0.75
"""Share of letters in common from which an unknown column is a slip of a known one."""
_MEMORY_WORDS = ("memory", "mem")
_STEMS = {
    **dict.fromkeys(_MEMORY_WORDS, ("memory_bytes",)),
    **dict.fromkeys(("step", "iter", "time"), ("step_s", "images_per_s")),
    **dict.fromkeys(("images", "img", "imgs", "ips"), ("images_per_s", "step_s")),
    **dict.fromkeys(("epoch", "hours"), ("epoch_s",)),
    **dict.fromkeys(("batch", "bs"), ("batch_size",)),
}
"""First words (of memory any) of columns that hold a figure in another unit or sense, and the columns for it.

The column named first is the one that is missed; where another of them is there, nothing is.
"""
_HEADER_HINT = f"the columns are {', '.join(_FIGURES)}, and more in docs/measured-runs.md"
_LEAST_IMAGE_BYTES, _LEAST_RAM_BYTES = 100.0, 64e6
"""The least JPEG has some hundred bytes; no machine that trains has less RAM."""


class MeasuredRuns(Struct, frozen=True, kw_only=True):
    """What a file holds."""

    measurements: tuple[Measurement, ...]
    """In its order, without empty lines."""
    unread_columns: tuple[str, ...]
    """Columns of other names, which are left out."""


def load_measured_runs(path: Path) -> MeasuredRuns:
    """The measured runs of ``path``, which is read once: it may be a pipe.

    Raises:
        InputError: the file cannot be read, a column is missing or misspelled, or a field is wrong (with its row).
    """
    table = read_table(path, _column, hint=_HEADER_HINT)
    _check_header(path, table.header)
    numbers = [index for index, name in enumerate(table.header) if name in _NUMBERS]
    commas = has_comma_decimals(fields[index] for _, fields in table.lines for index in numbers if index < len(fields))
    return MeasuredRuns(
        measurements=tuple(_measurement(path, table, line, comma_decimals=commas) for line in table.lines),
        unread_columns=tuple(name for name in table.header if name and name not in _KNOWN),
    )


def load_measurements(path: Path) -> tuple[Measurement, ...]:
    """The measurements of ``load_measured_runs`` alone."""
    return load_measured_runs(path).measurements


def _column(name: str) -> str | None:
    """The column that a header's field names: ``Batch Size`` is ``batch_size``, ``imgsz`` is ``image_size``."""
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    return plain if plain in _KNOWN else _ALIASES.get(plain)


def _check_header(path: Path, header: tuple[str, ...]) -> None:
    if len(header) == 1 and _column(header[0]) is None:
        # Another separator made one name of the whole line: no slip of a column.
        raise InputError(f"{path} has no column {REQUIRED_COLUMNS[0]!r}", hint=_HEADER_HINT)
    for name in filter(None, header):
        if name not in _KNOWN and (meant := _meant(name, header)) is not None:
            raise InputError(f"{path} has a column {name!r} and none called {meant!r}", hint=_HEADER_HINT)
        if header.count(name) > 1:
            raise InputError(f"{path} has two columns {name!r}", hint=_HEADER_HINT)
    for name in REQUIRED_COLUMNS:
        if name not in header:
            raise InputError(f"{path} has no column {name!r}", hint=_HEADER_HINT)


def _meant(name: str, header: tuple[str, ...]) -> str | None:
    """The column that an unknown one seems to stand for and that is not there: without it a figure would be lost."""
    import difflib  # noqa: PLC0415 -- only for columns of other names

    if name.lower() in _OTHERS:
        return None
    missing = [known for known in _FIGURES if known not in header]
    near = difflib.get_close_matches(name.lower(), missing, n=1, cutoff=_ALIKE)
    if near:
        return near[0]
    first, *others = re.split(r"[^a-z]+", name.lower())
    telling = next((word for word in others if word in _MEMORY_WORDS), first)
    if first == "time" and "epoch" in others:
        telling = "epoch"
    figures = _STEMS.get(telling, ())
    return figures[0] if figures and all(figure in missing for figure in figures) else None


def _measurement(path: Path, table: Table, line: tuple[int, tuple[str, ...]], *, comma_decimals: bool) -> Measurement:
    row, fields = line
    where = f"{path} row {row}"
    if len(fields) != len(table.header):
        raise InputError(f"{where}: {len(fields)} fields under {len(table.header)} columns", hint=_HEADER_HINT)
    contents = dict(zip(table.header, fields, strict=True))

    def field(name: str) -> Field:
        return Field(where=where, name=name, content=contents.get(name, ""), comma_decimals=comma_decimals)

    for name in REQUIRED_COLUMNS:
        if field(name).text is None:
            raise InputError(f"{where}: {name} is empty", hint=f"{', '.join(REQUIRED_COLUMNS)} are needed in every row")
    return Measurement(
        row=row,
        model=field("model").text or "",
        image_size=field("image_size").text,
        batch_size=field("batch_size").count(counts=_IMAGES_OR_GPUS) or 1,
        gpus=field("gpus").count(counts=_IMAGES_OR_GPUS) or 1,
        gpu=field("gpu").text or "",
        precision=field("precision").text,
        optimizer=field("optimizer").text,
        memory_kind=_kind(field("memory_kind")),
        memory_bytes=field("memory_bytes").size_bytes(least=_LEAST_BYTES),
        step_s=field("step_s").duration_s(),
        images_per_s=field("images_per_s").number(),
        source=field("source").text,
        validated=field("validated").yes_no(meaning="after a validation"),
        epoch_s=field("epoch_s").duration_s(),
        epoch_validated=field("epoch_validated").yes_no(meaning="its time holds a validation"),
        freeze=field("freeze").text,
        channels_last=field("channels_last").yes_no(meaning="tensors were in NHWC order"),
        checkpointing=field("checkpointing").yes_no(meaning="activations were recomputed"),
        dataset=field("dataset").text,
        images=field("images").count(counts="training images"),
        validation_images=field("validation_images").count(counts="images", least=0),
        image_bytes=field("image_bytes").size_bytes(least=_LEAST_IMAGE_BYTES),
        image_pixels=field("image_pixels").pixels(),
        boxes_per_image=field("boxes_per_image").number(least=0.0),
        workers=field("workers").count(counts="loader processes", least=0, most=MOST_WORKERS),
        cores=field("cores").number(most=MOST_CORES),
        ram_bytes=field("ram_bytes").size_bytes(least=_LEAST_RAM_BYTES),
        storage=_storage(field("storage")),
        loop=field("loop").text,
        torch=_release(field("torch"), field("source").text),
    )


def _kind(field: Field) -> MemoryKind | None:
    if field.text is None:
        return None
    kind = _KINDS.get(field.text.lower().removeprefix("torch.cuda.").removesuffix("()"))
    if kind is None:
        raise field.wrong("", f"it is one of {', '.join(kind.value for kind in MemoryKind)}, or empty")
    return kind


def _release(field: Field, source: str | None) -> str | None:
    """The release of PyTorch: its column's, else what the source names, as ``canitrain measure`` writes it."""
    if field.text is None:
        told = _TOLD_RELEASE.search(source or "")
        return None if told is None else told[1]
    if not _RELEASE.fullmatch(field.text):
        raise field.wrong(", not a release of PyTorch", "write 1.13 or 2.13.0, or leave it empty")
    return field.text


def _storage(field: Field) -> StorageKind | None:
    if field.text is None:
        return None
    kinds = {kind.value: kind for kind in StorageKind if kind is not StorageKind.MEMORY}
    if field.text.lower() not in kinds:
        raise field.wrong("", f"it is one of {', '.join(kinds)}, or empty")
    return kinds[field.text.lower()]
