"""A measurements CSV (DESIGN section 5) as records."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

from msgspec import Struct

from canitrain.catalog.decode import Owner, read_bytes
from canitrain.core.accuracy import Measurement, MemoryKind
from canitrain.core.errors import InputError
from canitrain.core.limits import LARGEST_COUNT

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
MORE_COLUMNS = ("validated",)
"""Read where they are there; ``canitrain measure`` does not write them."""
_KNOWN = (*COLUMNS, *MORE_COLUMNS)
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
_LEAST_BYTES = 1e6
"""Half of the least block (2 MiB) that torch asks CUDA for: no run takes less, and a figure in GB or MiB is less."""
_ALIKE = 0.75
"""Share of letters in common from which an unknown column is a slip of a known one."""
_STEMS = {
    **dict.fromkeys(("memory", "mem"), ("memory_bytes",)),
    **dict.fromkeys(("step", "iter", "time", "images", "img", "ips"), ("step_s", "images_per_s")),
    **dict.fromkeys(("batch", "bs"), ("batch_size",)),
}
"""First words of columns that hold a figure in another unit or sense, and the columns that would hold it."""
_HEADER_HINT = f"the columns are {', '.join((*COLUMNS, *MORE_COLUMNS))}"


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
    header, lines = _read(path)
    return MeasuredRuns(
        measurements=tuple(_measurement(path, row, header, fields) for row, fields in lines),
        unread_columns=tuple(name for name in header if name and name not in _KNOWN),
    )


def load_measurements(path: Path) -> tuple[Measurement, ...]:
    """The measurements of ``load_measured_runs`` alone."""
    return load_measured_runs(path).measurements


def _read(path: Path) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """The checked header, and the other lines with their numbers."""
    raw = read_bytes(path, Owner.USER, hint=f"give a CSV of measured runs; {_HEADER_HINT}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8", hint="save it as a CSV in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, line) for line in reader if any(field.strip() for field in line)]
    except csv.Error as error:
        raise InputError(f"{path} row {reader.line_num}: {error}", hint="check its quotes") from None
    if not lines:
        raise InputError(f"{path} is empty", hint=_HEADER_HINT)
    header = tuple(_known_case(name.strip()) for name in _without_empty_end(lines[0][1], 0))
    _check_header(path, header)
    return header, [(row, _without_empty_end(fields, len(header))) for row, fields in lines[1:]]


def _known_case(name: str) -> str:
    return name.lower() if name.lower() in _KNOWN else name


def _without_empty_end(fields: list[str], least: int) -> list[str]:
    """``fields`` without empty ones at the end, as a spreadsheet writes them, but not fewer than ``least``."""
    count = len(fields)
    while count > least and not fields[count - 1].strip():
        count -= 1
    return fields[:count]


def _check_header(path: Path, header: tuple[str, ...]) -> None:
    if len(header) == 1 and re.search(r"[;\t|]", header[0]):
        raise InputError(f"{path} has one column, {header[0]!r}", hint="separate columns by commas")
    for name in header:
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

    missing = [known for known in _KNOWN if known not in header]
    near = difflib.get_close_matches(name.lower(), missing, n=1, cutoff=_ALIKE)
    if near:
        return near[0]
    stem = re.split(r"[^a-z]", name.lower(), maxsplit=1)[0]
    figures = _STEMS.get(stem, ())
    return figures[0] if figures and all(figure in missing for figure in figures) else None


def _measurement(path: Path, row: int, header: tuple[str, ...], fields: list[str]) -> Measurement:
    where = f"{path} row {row}"
    if len(fields) != len(header):
        raise InputError(f"{where}: {len(fields)} fields under {len(header)} columns", hint=_HEADER_HINT)
    values = {name: field.strip() or None for name, field in zip(header, fields, strict=True)}
    for name in REQUIRED_COLUMNS:
        if values[name] is None:
            raise InputError(f"{where}: {name} is empty", hint=f"{', '.join(REQUIRED_COLUMNS)} are needed in every row")
    return Measurement(
        row=row,
        model=values["model"] or "",
        image_size=values.get("image_size"),
        batch_size=_count(where, "batch_size", values["batch_size"]) or 1,
        gpus=_count(where, "gpus", values.get("gpus")) or 1,
        gpu=values["gpu"] or "",
        precision=values.get("precision"),
        optimizer=values.get("optimizer"),
        memory_kind=_kind(where, values.get("memory_kind")),
        memory_bytes=_bytes(where, "memory_bytes", values.get("memory_bytes")),
        step_s=_number(where, "step_s", values.get("step_s")),
        images_per_s=_number(where, "images_per_s", values.get("images_per_s")),
        source=values.get("source"),
        validated=_validated(where, values.get("validated")),
    )


def _number(where: str, name: str, text: str | None) -> float | None:
    """A positive number, or ``None`` for an empty field."""
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number <= 0:
        raise InputError(
            f"{where}: {name} is {text!r}, not a positive number", hint="base units, a dot for decimals, or empty"
        )
    return number


def _bytes(where: str, name: str, text: str | None) -> float | None:
    number = _number(where, name, text)
    if number is not None and number < _LEAST_BYTES:
        raise InputError(
            f"{where}: {name} is {text!r}, less than any run takes",
            hint="write bytes: 8.1 GB are 8.1e9, 7700 MiB 8.07e9",
        )
    return number


def _count(where: str, name: str, text: str | None) -> int | None:
    """A positive whole number, also when written ``16.0``."""
    number = _number(where, name, text)
    if number is None:
        return None
    if number != int(number):
        raise InputError(f"{where}: {name} is {text!r}, not a whole number", hint="it counts images or GPUs")
    if number > LARGEST_COUNT:
        raise InputError(f"{where}: {name} is {text!r}, more than any run has", hint="it counts images or GPUs")
    return int(number)


def _validated(where: str, text: str | None) -> bool | None:
    if text is None:
        return None
    if text.lower() not in ("yes", "no"):
        raise InputError(f"{where}: validated is {text!r}", hint="it is yes (after a validation), no or empty")
    return text.lower() == "yes"


def _kind(where: str, text: str | None) -> MemoryKind | None:
    if text is None:
        return None
    kind = _KINDS.get(text.lower().removeprefix("torch.cuda.").removesuffix("()"))
    if kind is None:
        allowed = ", ".join(kind.value for kind in MemoryKind)
        raise InputError(f"{where}: memory_kind is {text!r}", hint=f"it is one of {allowed}, or empty")
    return kind
