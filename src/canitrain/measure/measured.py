"""What a measurement says, as records and as lines of a measurements CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from canitrain.core.accuracy import MemoryKind
from canitrain.core.profile import Precision
from canitrain.core.recipe import Optimizer
from canitrain.core.units import format_bytes, format_duration

COLUMNS = (
    "model", "image_size", "batch_size", "gpus", "gpu", "precision", "optimizer", "memory_kind", "memory_bytes",
    "step_s", "images_per_s", "source",
)  # fmt: skip
"""Of the measurements CSV, in its order."""
REMEMBERED_NAME = "measured-here.csv"


class Training(Struct, frozen=True, kw_only=True):
    """How the measured steps train."""

    batch_size: int
    precision: Precision
    optimizer: Optimizer
    ema: bool
    accumulation_steps: int = 1
    """Batches whose gradients are added up before the optimizer runs."""
    gradients_until_backward: bool = False
    """Gradients are freed between forward and backward instead of before the step."""
    channels_last: bool = False


class Measured(Struct, frozen=True, kw_only=True):
    """One run of a few steps; memory is ``None`` where the device does not tell."""

    model: str
    image_size: str
    """As ``--image-size`` takes it: ``640`` or ``800x1333``."""
    training: Training
    device: str
    """The GPU's name as its driver says it, or ``cpu``."""
    step_s: float
    """Mean over the measured steps, the optimizer's share included."""
    allocated_bytes: int | None
    reserved_bytes: int | None
    device_bytes: int | None
    """As the driver sees this process, or the whole card less what it held before."""
    source: str
    """Library versions, shape and layout: what it takes to measure again."""

    @property
    def images_per_s(self) -> float:
        """On this one device."""
        return self.training.batch_size / self.step_s


def measurement_rows(measured: Measured) -> list[tuple[str, ...]]:
    """Lines of a measurements CSV, in the order of ``COLUMNS``: one a memory figure, or one with the time alone."""
    figures: list[tuple[str, str]] = [
        (kind.value, str(size))
        for kind, size in (
            (MemoryKind.ALLOCATED, measured.allocated_bytes),
            (MemoryKind.RESERVED, measured.reserved_bytes),
            (MemoryKind.DEVICE, measured.device_bytes),
        )
        if size is not None
    ]
    training = measured.training
    return [
        (
            measured.model,
            measured.image_size,
            str(training.batch_size),
            "1",
            measured.device,
            training.precision.value,
            training.optimizer.value,
            kind,
            size,
            f"{measured.step_s:.6g}",
            f"{measured.images_per_s:.6g}",
            measured.source,
        )
        for kind, size in figures or [("", "")]
    ]


def measured_text(measured: Measured) -> str:
    """One line for the run, one for its time, one for its memory where the device tells."""
    training = measured.training
    how = f"batch {training.batch_size}, {training.precision.value}, {training.optimizer.value}, on {measured.device}"
    lines = [
        f"{measured.model}: {measured.image_size} px, {how}",
        f"{format_duration(measured.step_s)} a step, {measured.images_per_s:.1f} images/s",
    ]
    figures = (
        ("allocated", measured.allocated_bytes),
        ("reserved", measured.reserved_bytes),
        ("device", measured.device_bytes),
    )
    told = [f"{name} {format_bytes(size)}" for name, size in figures if size is not None]
    return "\n".join([*lines, *([", ".join(told)] if told else [])])


def rows_text(rows: Iterable[tuple[str, ...]], *, header: bool) -> str:
    """``rows`` as CSV, with the header line where ``header``."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def remembered_path() -> Path:
    """Where this user's measurements are kept; the file may not exist yet."""
    import platformdirs  # noqa: PLC0415 - only where it is needed

    return Path(platformdirs.user_data_dir("canitrain", appauthor=False)) / REMEMBERED_NAME


def remember(measured: Measured, path: Path) -> None:
    """Append the lines of ``measured`` to the CSV at ``path``, which is made where it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists() or path.stat().st_size == 0
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(rows_text(measurement_rows(measured), header=fresh))
