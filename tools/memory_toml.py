"""``profiles/calibration/memory.toml``: what was fitted, and the constants that were not, each with its source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from canitrain.core.evidence import Coefficient, EvidenceLevel
from canitrain.core.gpu import Generation, GpuSpec, Vendor
from canitrain.core.memory_calibration import Context, MemoryCalibration, Spread, Workspace
from canitrain.core.units import GIB_BYTES, MIB_BYTES

PATH = Path(__file__).parent.parent / "profiles" / "calibration" / "memory.toml"
CARD = GpuSpec(
    name="A100-PCIE-40GB",
    vendor=Vendor.NVIDIA,
    generation=Generation.AMPERE,
    memory_bytes=40 * GIB_BYTES,
    memory_bytes_per_s=1.555e12,
    fp32_flops_per_s=1.95e13,
    multiprocessors=108,
    boost_hz=1.41e9,
    source="the card of the fitted runs",
)
RUNS = "timm training on an A100 40 GB (fp32, TF32 convolutions), device memory; tools/fit_memory.py"
DOCS = "torch docs, CUDA semantics, CUBLAS_WORKSPACE_CONFIG"

CONTEXT_MIB = {
    # low, expected, high
    Generation.KEPLER: (150, 400, 900),
    Generation.MAXWELL: (200, 500, 1000),
    Generation.PASCAL: (200, 550, 1100),
    Generation.VOLTA: (250, 800, 1500),
    Generation.TURING: (250, 800, 1500),
    Generation.ADA: (250, 900, 1900),
    Generation.HOPPER: (300, 1000, 2000),
    Generation.BLACKWELL: (300, 1000, 2000),
}
"""Other generations than the fitted one: from a context whose kernels load lazily to one as large as the fitted one."""
OTHER_CONTEXT_MIB = (250, 900, 2000)
LAZY_CONTEXT_MIB = 400
"""A100, CUDA 12 with kernels loaded lazily: the least of the fitted generation."""
CONTEXT_SPREAD = 0.04
"""Share of the fitted context on either side: the rest of the error is in the interval of the pool."""
WINOGRAD_COPIES = 36 / 16
ERRATIC_CHANNELS, ERRATIC_PIXELS = 240, 28 * 28
WIDENING = {
    # what the fitted interval's distance from 1 is multiplied by, and the least distance
    EvidenceLevel.MEASURED_HERE: (0.4, 0.02),
    EvidenceLevel.CALIBRATED: (1.0, 0.03),
    EvidenceLevel.GENERATION: (1.6, 0.12),
    EvidenceLevel.DATASHEET: (2.5, 0.25),
}


@dataclass(frozen=True, kw_only=True)
class FittedMemory:
    """What ``fit_memory.py`` found, in bytes and ratios."""

    context_bytes: float
    slack_live_ratio: float
    slack_weights_ratio: float
    winograd: float
    winograd_seldom: float
    gemm: float
    """Of dense convolutions that Winograd does not apply to, and of grouped ones."""
    other: float
    slack_untraced_ratio: float
    required_low: float
    """Measured pool / traced live and persistent bytes of all but ``fit_memory.FREAKS`` of the runs."""
    bounds: tuple[float, float]
    """Measured / expected pool at both ends of the interval."""
    bounds_erratic: tuple[float, float]
    workspace_share: float
    """Share of the widest workspace that the interval leaves out, or adds."""
    runs: int
    residual: str


DRAFT = FittedMemory(
    context_bytes=1700.0 * MIB_BYTES,
    slack_live_ratio=0.02,
    slack_weights_ratio=0.2,
    winograd=1.0,
    winograd_seldom=1.0,
    gemm=1.0,
    other=0.1,
    slack_untraced_ratio=0.11,
    required_low=0.95,
    bounds=(0.9, 1.1),
    bounds_erratic=(0.9, 1.2),
    workspace_share=0.5,
    runs=0,
    residual="",
)


def calibration_of(fitted: FittedMemory) -> MemoryCalibration:
    """The whole file as a record."""
    source = f"{fitted.runs} runs of {RUNS}"

    def ratio(value: float, unit: str, why: str = "") -> Coefficient:
        return Coefficient(
            value=round(value, 4), unit=unit, source=why or source, residual="" if why else fitted.residual
        )

    copies = "times input and output bytes"
    vector = "no layout conversion in plain fp32 kernels; half a copy for tiles, as a guess"
    near = "between a context whose kernels load lazily and the fitted A100"
    contexts = {generation: _context(mib, near) for generation, mib in CONTEXT_MIB.items()}
    fitted_mib = fitted.context_bytes / MIB_BYTES
    narrow = (1 - CONTEXT_SPREAD) * fitted_mib, fitted_mib, (1 + CONTEXT_SPREAD) * fitted_mib
    contexts[Generation.AMPERE] = _context(narrow, source, fitted.residual, least=LAZY_CONTEXT_MIB)
    return MemoryCalibration(
        fitted_generations=(Generation.AMPERE,),
        fitted_libraries=("timm",),
        context=contexts,
        context_other=_context(OTHER_CONTEXT_MIB, "the range of the NVIDIA generations; nothing measured"),
        matrix_workspace=Workspace(
            winograd=ratio(fitted.winograd, copies),
            winograd_seldom=ratio(fitted.winograd_seldom, copies),
            dense=ratio(fitted.gemm, copies),
            grouped=ratio(fitted.gemm, copies),
            other=ratio(fitted.other, copies),
        ),
        vector_workspace=Workspace(
            dense=ratio(0.5, copies, vector),
            grouped=ratio(0.5, copies, vector),
            other=ratio(0.0, copies, vector),
            winograd=Coefficient(
                value=WINOGRAD_COPIES,
                unit=copies,
                source="Winograd F(4 x 4, 3 x 3), not fused: (4 + 3 - 1)^2 / 4^2 of input and output"
                " (Lavin and Gray, 2016)",
                residual="Mask R-CNN fp32 on V100 and Turing, 4 to 32 images, has room for 1.9 to 2.2; SSD300 needs 4",
            ),
        ),
        blas_workspace={Generation.HOPPER: _bytes(32 * MIB_BYTES), Generation.BLACKWELL: _bytes(32 * MIB_BYTES)},
        blas_workspace_default=_bytes(8.125 * MIB_BYTES),
        slack_live_ratio=ratio(fitted.slack_live_ratio, "share of the live peak"),
        slack_weights_ratio=ratio(fitted.slack_weights_ratio, "share of the trainable weights"),
        slack_untraced_ratio=ratio(
            fitted.slack_untraced_ratio, "share of the live peak", "median of the replayed slack of the fitted models"
        ),
        slack_multi_scale_ratio=ratio(
            0.15,
            "share of the live peak",
            "assumed: batches of varying size leave other holes; not measured",
        ),
        validation_high_ratio=ratio(
            1.41,
            "times the replayed growth",
            "YOLOv5s at 640 pixels, 16 images, AMP: the pool grew by 0.91 to 1.65 GB in five notebooks of one"
            " configuration (V100, T4; releases 6.0 to 7.0), replayed 1.17: 0.78 to 1.41 times",
        ),
        required_low_ratio=ratio(fitted.required_low, "share of the traced bytes"),
        checkpoint_kept_ratio=ratio(
            0.15, "share of saved bytes", "a stage's input among the six to seven tensors that a residual block saves"
        ),
        spread={level: _spread(fitted.bounds, level, fitted) for level in EvidenceLevel},
        erratic_channels=ratio(ERRATIC_CHANNELS, "channels"),
        erratic_pixels=ratio(ERRATIC_PIXELS, "pixels"),
        spread_erratic={level: _spread(fitted.bounds_erratic, level, fitted) for level in EvidenceLevel},
    )


def _bytes(value: float) -> Coefficient:
    return Coefficient(value=float(value), unit="bytes", source=DOCS)


def _context(
    mib: tuple[float, float, float], source: str, residual: str = "", *, least: float | None = None
) -> Context:
    lowest, low, expected, high = (
        Coefficient(value=float(round(value)) * MIB_BYTES, unit="bytes", source=source, residual=residual)
        for value in (mib[0] if least is None else least, *mib)
    )
    return Context(least=lowest, low=low, expected=expected, high=high)


def _spread(bounds: tuple[float, float], level: EvidenceLevel, fitted: FittedMemory) -> Spread:
    factor, least = WIDENING[level]
    low = max(0.3, 1 - max((1 - bounds[0]) * factor, least))
    high = 1 + max((bounds[1] - 1) * factor, least)
    source = f"fitted on {fitted.runs} timm runs on an A100, range from models held out"
    if level is not EvidenceLevel.CALIBRATED:
        source = f"{source}, made {factor:g} times as wide"
    return Spread(
        low=Coefficient(value=round(low, 4), unit="ratio", source=source, residual=fitted.residual),
        high=Coefficient(value=round(high, 4), unit="ratio", source=source, residual=fitted.residual),
        workspace=Coefficient(
            value=round(fitted.workspace_share * factor, 4),
            unit="share of the widest workspace",
            source=source,
            residual=fitted.residual,
        ),
    )


def write_memory_toml(fitted: FittedMemory) -> None:
    """Write the file."""
    plain: dict[str, Any] = msgspec.to_builtins(calibration_of(fitted))
    lines = ["# GPU memory beside live tensors. Written by tools/fit_memory.py, not by hand.", ""]
    tables: list[str] = []
    for name, value in plain.items():
        if isinstance(value, dict) and "unit" not in value:
            for row, cells in _rows(name, value):
                tables += [f"[{row}]", *(f"{key} = {_toml(cell)}" for key, cell in cells.items()), ""]
        else:
            lines.append(f"{name} = {_toml(value)}")
    PATH.write_text("\n".join([*lines, "", *tables]).rstrip() + "\n")


def _rows(name: str, value: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The tables of ``value``: itself where its cells are coefficients, else one a key; without what it leaves open."""
    cells = {key: cell for key, cell in value.items() if cell is not None}
    if all("unit" in cell for cell in cells.values()):
        return [(name, cells)]
    return [row for key, below in cells.items() for row in _rows(f"{name}.{key}", below)]


def _toml(value: Any) -> str:  # noqa: ANN401 - plain data
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(cell)}" for key, cell in value.items() if cell != "") + " }"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
