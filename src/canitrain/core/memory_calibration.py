"""What was fitted of GPU memory beside live tensors: the content of ``profiles/calibration/memory.toml``."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.evidence import Coefficient, EvidenceLevel
from canitrain.core.gpu import Generation
from canitrain.core.interval import Interval


class Context(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Device memory of a process before any tensor: the driver's context and the libraries' kernels."""

    least: Coefficient
    """With kernels loaded lazily: what the least that runs needs."""
    low: Coefficient
    expected: Coefficient
    high: Coefficient


class Workspace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Memory that a convolution takes while it runs, as a multiple of its input and output bytes together."""

    dense: Coefficient
    """Kernels larger than 1 x 1 over all channels; not the first one, which reads an image."""
    grouped: Coefficient
    """Kernels larger than 1 x 1 over groups of several channels."""
    other: Coefficient
    """1 x 1, depthwise and image convolutions."""
    winograd: Coefficient | None = None
    """Of the dense ones those of 3 x 3, stride 1 and no dilation; ``None``: as the other dense ones."""
    winograd_seldom: Coefficient | None = None
    """Of these the ones with few channels on both sides or in half precision; ``None``: as the others."""


class Spread(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Interval of a figure without its context: expected less a share of the workspace, times ``low``; and upwards."""

    low: Coefficient
    high: Coefficient
    workspace: Coefficient | None = None
    """Share of the widest workspace that may be missing, or come on top; ``None``: no more than the rest is off."""

    def around(self, expected_bytes: float, workspace_bytes: float) -> Interval:
        """The interval of a figure that counts ``workspace_bytes``: a missing workspace is missing once."""
        share = 0.0 if self.workspace is None else self.workspace.value
        return Interval(
            low=(expected_bytes - min(share, 1.0) * workspace_bytes) * self.low.value,
            expected=expected_bytes,
            high=(expected_bytes + share * workspace_bytes) * self.high.value,
        )


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
    slack_live_ratio: Coefficient
    """Reserved beyond allocated and beyond the replayed slack of the trace: share of the live peak."""
    slack_weights_ratio: Coefficient
    """The same, share of the trainable weights."""
    slack_untraced_ratio: Coefficient
    """Share of the live peak where a profile has no replayed slack."""
    slack_multi_scale_ratio: Coefficient
    """Share of the live peak that batches of varying size add to a slack replayed at one size."""
    validation_high_ratio: Coefficient
    """What validation may add to the pool at most, times the replayed growth."""
    required_low_ratio: Coefficient
    """Live and persistent bytes that a run may get by with, share of those traced: other versions hold less."""
    checkpoint_kept_ratio: Coefficient
    """Share of a stage's saved bytes that activation checkpointing keeps (its input)."""
    spread: dict[EvidenceLevel, Spread]
    """Of models without erratic convolutions."""
    spread_erratic: dict[EvidenceLevel, Spread]
    """Of models with erratic convolutions: for some batch sizes cuDNN takes a workspace of gigabytes for them."""
    erratic_channels: Coefficient
    """Grouped and depthwise convolutions over at least so many channels are erratic ..."""
    erratic_pixels: Coefficient
    """... where their input has at least so many pixels an image."""
    fitted_generations: tuple[Generation, ...]
    fitted_libraries: tuple[str, ...]
