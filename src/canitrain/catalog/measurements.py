"""A measurements CSV (DESIGN section 5) as records."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from canitrain.catalog.decode import Owner, read_bytes
from canitrain.core.accuracy import Measurement, MemoryKind
from canitrain.core.errors import InputError

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
REQUIRED_COLUMNS = ("model", "batch_size", "gpu")
"""No other column needs to be there; a field of these may not be empty."""
_HEADER_HINT = f"the columns are {','.join((*COLUMNS, *MORE_COLUMNS))}"


def load_measurements(path: Path) -> tuple[Measurement, ...]:
    """The measured runs of ``path``, in its order; empty lines are left out.

    Raises:
        InputError: the file cannot be read, a column is unknown or missing, or a field is wrong (with its row).
    """
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
    header = tuple(name.strip() for name in lines[0][1])
    _check_header(path, header)
    return tuple(_measurement(path, row, header, fields) for row, fields in lines[1:])


def _check_header(path: Path, header: tuple[str, ...]) -> None:
    for name in header:
        if name not in (*COLUMNS, *MORE_COLUMNS):
            raise InputError(f"{path} has an unknown column {name!r}", hint=_HEADER_HINT)
        if header.count(name) > 1:
            raise InputError(f"{path} has two columns {name!r}", hint=_HEADER_HINT)
    for name in REQUIRED_COLUMNS:
        if name not in header:
            raise InputError(f"{path} has no column {name!r}", hint=_HEADER_HINT)


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
        memory_bytes=_number(where, "memory_bytes", values.get("memory_bytes")),
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


def _count(where: str, name: str, text: str | None) -> int | None:
    """A positive whole number, also when written ``16.0``."""
    number = _number(where, name, text)
    if number is None:
        return None
    if number != int(number):
        raise InputError(f"{where}: {name} is {text!r}, not a whole number", hint="it counts images or GPUs")
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
    kinds = {kind.value: kind for kind in MemoryKind}
    if text.lower() not in kinds:
        raise InputError(f"{where}: memory_kind is {text!r}", hint=f"it is one of {', '.join(kinds)}, or empty")
    return kinds[text.lower()]
