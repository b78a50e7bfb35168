"""The coefficients of the time estimate: everything in ``profiles/calibration/time.toml``."""

from __future__ import annotations

import enum

from msgspec import Struct

from canitrain.core.evidence import Coefficient, EvidenceLevel
from canitrain.core.gpu import Generation
from canitrain.core.hardware import StorageKind
from canitrain.core.profile import SizeRule, WorkKind
from canitrain.core.recipe import Optimizer


class Rate(enum.Enum):
    """Which of a device's peak rates a kernel runs at."""

    FP32 = "fp32"
    """Vector units, single precision."""
    TF32 = "tf32"
    """Matrix units with fp32 storage: convolutions of Ampere and later."""
    FP16 = "fp16"
    """Matrix units with half-precision storage: AMP."""
    CPU = "cpu"
    """Vector units of a processor."""


class Layout(enum.Enum):
    """Memory order of images."""

    NCHW = "nchw"
    NHWC = "nhwc"


class Curve(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Share of the peaks that one kind of work reaches, on every generation that runs at this rate.

    Time of a group of kernels with F FLOPs, Y bytes and K kernels, on a device with peaks P and W::

        together(F / (P * compute_ratio), Y / (W * bandwidth_ratio)) + Y * copy_ratio / W + K * kernel_s

    where ``together(a, b)`` is ``(a ** p + b ** p) ** (1 / p)`` with ``overlap_power`` p, on a CPU the larger one.
    ``kernel_s`` makes the curve saturate: a kernel with work w reaches w / (w + w_half) of the ratio, where w_half is
    ``P * compute_ratio * kernel_s``. A ratio above 1 is possible: FLOPs and bytes are the traced operator's, and a
    kernel can need fewer (Winograd, fused casts) or more (batch norm reads its input twice).
    """

    rate: Rate
    kind: WorkKind
    layout: Layout | None = None
    """``None``: any."""
    grouped: bool = False
    """Of ``depthwise_conv``: convolutions with several channels a group, as in ResNeXt."""
    compute_ratio: float
    bandwidth_ratio: float
    backward_ratio: float = 1.0
    """Of convolutions: shares of both peaks in the backward pass / in the forward pass."""
    copy_ratio: float = 0.0
    """Bytes moved beside the kernel's own (layout conversion, casts) / its own bytes."""
    ragged_copy_ratio: float = 0.0
    """``copy_ratio`` of convolutions on images whose pixels are no multiple of eight."""
    many_groups_bandwidth_ratio: float = 0.0
    """Of ``grouped`` ones: share of the bandwidth that the kernel for many small groups reaches, forward and backward;
    its arithmetic is hidden. 0: there is none."""
    kernel_s: float
    """Start and drain of one kernel on the device; of convolutions in fp32 also what the host fails to hide."""
    source: str
    residual: str = ""


class ConvolutionShapes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a convolution's shape limits the share of the peak, seen as a matrix product.

    Arithmetic takes ``(1 + outputs / n) * (1 + terms / k)`` times what it would with many columns n and long sums k.
    """

    matrix_outputs: Coefficient
    """Output channels at which matrix units reach half of their share."""
    matrix_terms: Coefficient
    """Products summed into one output at which matrix units reach half of their share."""
    vector_outputs: Coefficient
    vector_terms: Coefficient
    group_outputs: Coefficient
    """Output channels of one group at which grouped convolutions reach half of their share."""
    winograd_ratio: Coefficient
    """fp32, 3 x 3, stride 1: share of the peak / that of other convolutions."""
    copy_channels: Coefficient
    """Copies into another order (``Curve.copy_ratio``) take as long as with so many channels more."""
    unaligned_ratio: Coefficient
    """Half precision with a channel count that is no multiple of 8: share of the peak / that of other convolutions."""


class OptimizerCost(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One update step, by what it reads and writes of each trained parameter."""

    optimizer: Optimizer
    passes: float
    """Bytes read and written / bytes of the trained parameters."""
    state_copies: float
    """Bytes of its state / bytes of the trained parameters."""
    kernels_per_tensor: float
    """Launched for each parameter tensor where ``foreach`` is off."""
    source: str


class LevelWidth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far truth may lie from the estimate at one level of evidence."""

    level: EvidenceLevel
    low_ratio: float
    """low / expected."""
    high_ratio: float
    """high / expected."""
    source: str


class UnfittedWidth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far truth may lie from the estimate in a case that the levels do not know; never narrower than the level.

    Ratios are low / expected and high / expected.
    """

    low_ratio: float
    high_ratio: float
    source: str
    residual: str


class ClockPower(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the multiprocessors of one family of chips draw: their power goes with the cube of the clock."""

    compute_capability: str
    multiprocessor_w: float
    """Watts of one at 1 GHz under load."""
    source: str


class LaunchCosts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the Python process pays to keep a GPU busy, with today's torch at ``reference_hz``."""

    library_kernel_s: Coefficient
    """Host time a convolution, norm or matrix product: calls of cuDNN, cuBLAS and the like."""
    layer_kernel_s: Coefficient
    """Host time any other kernel of the forward pass of layers: activations, sums."""
    code_kernel_s: Coefficient
    """Host time a kernel of Python code without layers: matching of boxes, sampling, losses."""
    backward_kernel_s: Coefficient
    """Host time any other kernel of the backward pass, which autograd asks for."""
    optimizer_kernel_s: Coefficient
    """Host time a kernel inside the optimizer or the EMA update."""
    foreach_tensors_per_kernel: Coefficient
    """Parameter tensors that one multi-tensor kernel updates."""
    step_s: Coefficient
    """Host time a step beside kernels: loop, loss read-back, scheduler."""
    reference_hz: Coefficient
    """Clock of the CPU at which these were taken; cost scales with its inverse."""
    old_torch_ratio: Coefficient
    """Cost with torch 1.x on a server of its time / with today's torch at ``reference_hz``."""


class Links(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exchange between GPUs."""

    link_ratio: Coefficient
    """Share of the datasheet rate that an all-reduce over NVLink or the like reaches."""
    pcie_ratio: Coefficient
    host_memory_bytes_per_s: Coefficient
    """What each card of a ring reaches whose neighbours it cannot reach but through the host's memory."""
    default_pcie_bytes_per_s: Coefficient
    """Where the card's row has no PCIe rate."""
    network_bytes_per_s: Coefficient
    """Line rate between nodes, where nothing is known of the network."""
    network_ratio: Coefficient
    """Share of the line rate that an all-reduce between nodes reaches."""
    straggler_ratio: dict[SizeRule, Coefficient]
    """What waiting for the slower of two equal GPUs adds to the step of one, and each doubling again."""
    overlap_ratio: Coefficient
    """Share of the backward pass under which the exchange can hide."""
    bucket_bytes: Coefficient
    """DDP's bucket: the last one cannot hide."""
    latency_s: Coefficient
    """Start of one all-reduce, a GPU of the ring."""
    replicate_tensor_s: Coefficient
    """DataParallel: host time to broadcast one tensor to one replica."""


class CpuRates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A processor as a training device."""

    flops_per_cycle: dict[str, Coefficient]
    """fp32 FLOPs a core and cycle by the best vector extension present; ``none`` is plain SSE2 or less."""
    default_hz: Coefficient
    """Where the clock is unknown."""
    turbo_ratio: Coefficient
    """All-core clock under vector load / highest clock."""
    core_loss_ratio: Coefficient
    """n cores do the arithmetic of n / (1 + this x (n - 1)): they wait for each other and share power and caches."""
    default_memory_bytes_per_s: Coefficient
    """Of a socket, where ``probe --bench`` has not measured it."""
    core_memory_bytes_per_s: Coefficient
    """What one core can draw."""


class RunCosts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run pays beside its training steps."""

    warm_up_s: Coefficient
    """Process start, library import, CUDA and cuDNN initialisation, first slow steps."""
    epoch_s: Coefficient
    """Restart of the loader's processes and the like, an epoch."""
    validation_host_image_s: Coefficient
    """Host work for one validation image beside the forward pass: NMS, matching, metrics."""
    checkpoint_bytes_per_s: dict[StorageKind, Coefficient]
    """Serialising and writing a checkpoint."""
    load_power_ratio: Coefficient
    """Power of a busy GPU / TDP."""
    idle_power_ratio: Coefficient
    """Power of a waiting GPU / TDP."""


class TimeCalibration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that the time estimate does not take from the profile, the card or the recipe."""

    fitted_cards: tuple[str, ...]
    """Names of the cards (as in the catalog) whose timings were in the fit."""
    fitted_generations: tuple[Generation, ...]
    fitted_libraries: tuple[str, ...]
    """Implementations whose traced work was in the fit; torchvision's classifiers were, as timm traces the same layers,
    its detectors (the only profiles of its own) were not."""
    fit: str
    """One line: what was fitted, on how many runs, with which cross-validated residual."""
    cpu_fit: str
    """The same for processors."""
    curve: tuple[Curve, ...]
    multiprocessor_bytes_per_cycle: Coefficient
    """Memory traffic that one multiprocessor can ask for: wide memory on few, slow multiprocessors is not filled."""
    overlap_power: Coefficient
    """How well arithmetic and memory traffic hide each other: high powers leave the slower one alone."""
    cache_ratio: Coefficient
    """A kernel that moves Y bytes finds c / (c + Y) of them in the cache, where c is this times its size."""
    convolution: ConvolutionShapes
    operand_bytes_per_cycle: Coefficient
    """Operands that one multiprocessor can feed to its matrix units: a faster unit waits for them."""
    clock_power: tuple[ClockPower, ...]
    clock_rest_w: Coefficient
    """Watts of a card that do not go to its multiprocessors, whatever their clock: memory, board, idle parts."""
    raised_clock_ratio: Coefficient
    """Highest clock of GeForce desktop cards / the boost clock of their datasheet: taken as far as power allows."""
    dense_fp32_ratio: dict[Generation, Coefficient]
    """What convolutions and matrix products in fp32 can reach / the datasheet's vector fp32, where it is not that."""
    inline_ecc_ratio: Coefficient
    """Bandwidth left where the memory itself holds the check bits and each access reads them too."""
    positives_per_box: Coefficient
    """Positive samples that one object gives a detector's second stage, late in training."""
    optimizer: tuple[OptimizerCost, ...]
    unscale_passes: Coefficient
    """AMP: passes over the gradients by the gradient scaler."""
    ema_passes: Coefficient
    """Passes over the model's state by an EMA update."""
    ema_kernels_per_tensor: Coefficient
    width: tuple[LevelWidth, ...]
    unfitted_width: UnfittedWidth
    """Where the model's library was in no fit."""
    grouped_channels_last_width: UnfittedWidth
    """Convolutions with several channels a group in NHWC."""
    launch: LaunchCosts
    links: Links
    cpu: CpuRates
    run: RunCosts
