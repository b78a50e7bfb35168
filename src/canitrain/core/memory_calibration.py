"""What was fitted of GPU memory beside live tensors: the content of ``profiles/calibration/memory.toml``."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.evidence import Coefficient, EvidenceLevel
from canitrain.core.gpu import Generation


class Context(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Device memory of a process before any tensor: the driver's context and the libraries' kernels."""

    low: Coefficient
    expected: Coefficient
    high: Coefficient


class Workspace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Copies that one convolution makes of its own tensors while it runs, by its kind.

    Each value multiplies the bytes of that convolution's input and output together (``weights``: of its weights).
    """

    dense: Coefficient
    """Kernel larger than 1 x 1, groups = 1."""
    pointwise: Coefficient
    """Kernel 1 x 1, groups = 1."""
    grouped: Coefficient
    """Grouped and depthwise."""
    weights: Coefficient


class Spread(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Interval of a figure without its context: ``expected * low`` to ``expected * high``."""

    low: Coefficient
    high: Coefficient


class MemoryCalibration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every fitted or documented constant of the GPU memory estimate."""

    context: dict[Generation, Context]
    context_other: Context
    """For generations that nobody published a pair of figures for."""
    matrix_workspace: Workspace
    """Convolutions on matrix units (half precision from Volta, TF32 from Ampere on), which convert layouts."""
    vector_workspace: Workspace
    """Convolutions in plain fp32."""
    blas_workspace: dict[Generation, Coefficient]
    """Bytes that cuBLAS keeps from its first call on, where a generation differs from the default."""
    blas_workspace_default: Coefficient
    slack_fixed: Coefficient
    """Reserved beyond allocated, bytes."""
    slack_ratio: Coefficient
    """Reserved beyond allocated, share of the live peak; inputs of one size."""
    slack_ratio_variable: Coefficient
    """The same where every batch has another size."""
    checkpoint_kept_ratio: Coefficient
    """Share of a stage's saved bytes that activation checkpointing keeps (its input)."""
    spread: dict[EvidenceLevel, Spread]
    fitted_generations: tuple[Generation, ...]
    fitted_libraries: tuple[str, ...]
