"""Peak rates from architecture, multiprocessors and clock: one rule for the catalog and for derived cards."""

from __future__ import annotations

from functools import cache

from msgspec import Struct

from canitrain.catalog.decode import decode_toml
from canitrain.catalog.locate import profiles_path
from canitrain.core.gpu import Generation


class Architecture(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one multiprocessor does in one clock, in FLOPs; ``None`` where it has no such unit."""

    generation: Generation
    targets: tuple[str, ...]
    """CUDA compute capabilities, gfx targets, or the generation's own name."""
    names: tuple[str, ...] = ()
    """Where given, only cards whose names begin with one of these, up to a word's end: ``L40`` is no ``L40S``."""
    fp32_flops: float
    tf32_flops: float | None = None
    fp16_flops: float | None = None
    bf16_flops: float | None = None
    tensor_clock_ratio: float = 1.0
    """Clock of the vendor's matrix peaks / boost clock."""
    boost_ratio: float = 1.0
    """Datasheet boost clock / highest clock that NVML reports."""
    source: str


class Peaks(Struct, frozen=True, kw_only=True):
    """Dense peak rates in FLOPs a second."""

    fp32_flops_per_s: float
    tf32_flops_per_s: float | None
    fp16_flops_per_s: float | None
    bf16_flops_per_s: float | None


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    architecture: tuple[Architecture, ...]


@cache
def architectures() -> tuple[Architecture, ...]:
    """The rows of ``profiles/calibration/gpu_rates.toml``, the more special before the more general.

    Raises:
        CatalogError: the file does not decode.
    """
    return decode_toml(profiles_path() / "calibration" / "gpu_rates.toml", _File).architecture


def find_architecture(target: str, name: str) -> Architecture | None:
    """The architecture of a card called ``name`` (without the vendor) with that compute capability or gfx target."""
    for row in architectures():
        if target in row.targets and (not row.names or any(_begins(name, start) for start in row.names)):
            return row
    return None


def _begins(name: str, start: str) -> bool:
    """Whether ``start`` is the first words of ``name``; a virtual card's profile follows a hyphen (``L40-48Q``)."""
    return name.startswith(start) and name[len(start) : len(start) + 1] in ("", " ", "-")


def peaks(architecture: Architecture, multiprocessors: int, boost_hz: float) -> Peaks:
    """Peak rates of ``multiprocessors`` at ``boost_hz``; matrix units at the clock that the vendor states them for."""
    clocks_per_s = multiprocessors * boost_hz

    def matrix(flops: float | None) -> float | None:
        return None if flops is None else flops * clocks_per_s * architecture.tensor_clock_ratio

    return Peaks(
        fp32_flops_per_s=architecture.fp32_flops * clocks_per_s,
        tf32_flops_per_s=matrix(architecture.tf32_flops),
        fp16_flops_per_s=matrix(architecture.fp16_flops),
        bf16_flops_per_s=matrix(architecture.bf16_flops),
    )
