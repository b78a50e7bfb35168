"""What one training step of one implementation needs, as traced from the real library."""

from __future__ import annotations

import enum
from typing import Literal

from msgspec import Struct, field

from canitrain.core.polynomial import Polynomial
from canitrain.core.units import FP16_BYTES, FP32_BYTES


class Precision(enum.Enum):
    """Number formats of the step. On Ampere and later fp32 convolutions run in TF32, as torch does by default."""

    FP32 = "fp32"
    AMP = "amp"


class Phase(enum.Enum):
    """Which half of the step."""

    FORWARD = "forward"
    BACKWARD = "backward"

    # An estimate looks members up 70,000 times; enum's own hash is written in Python, and members are singletons.
    __hash__ = object.__hash__


class WorkKind(enum.Enum):
    """Kinds of GPU work that reach different shares of a card's peaks."""

    CONV = "conv"
    """Dense convolution (groups = 1), either gradient too."""
    DEPTHWISE_CONV = "depthwise_conv"
    """Grouped and depthwise convolution."""
    GEMM = "gemm"
    NORM = "norm"
    ELEMENTWISE = "elementwise"
    OTHER = "other"
    """Sorting, indexing, reductions, NMS, everything else."""

    __hash__ = object.__hash__


class Work(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Work of one kind in one phase of one stage: FLOPs, bytes read and written, kernels launched."""

    flops: Polynomial = Polynomial()
    bytes: Polynomial = Polynomial()
    kernels: Polynomial = Polynomial()


class Stage(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A named block of the model, in execution order; the first and last stages hold the batch and the loss."""

    name: str
    backbone: bool = False
    """Frozen by ``--freeze backbone``."""
    parameter_bytes: int = 0
    trainable_parameter_bytes: int = 0
    saved_bytes: Polynomial = Polynomial()
    """Still alive at the end of the forward pass because the backward pass needs it."""
    positives: int = 0
    """Positive samples an image in the trace, which is the most that the library takes: all work here follows them."""
    waits: Polynomial = Polynomial()
    """How often the host stops for a result in the forward pass: it reads a value, or a shape depends on one."""
    forward: dict[WorkKind, Work] = field(default_factory=dict)
    backward: dict[WorkKind, Work] = field(default_factory=dict)


class Convolution(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """``count`` convolutions of one shape. Bytes of input = in_channels x input_pixels x dtype, and so on."""

    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    transposed: bool = False
    half: bool = False
    """Runs in half precision (AMP)."""
    weight_gradient: bool = True
    input_gradient: bool = True
    count: Polynomial
    """How many of them run in a step (a constant, or by the image where heads loop)."""
    input_pixels: Polynomial
    """Batch x height x width of the input of one."""
    output_pixels: Polynomial

    @property
    def element_bytes(self) -> int:
        """Of one number of its operands."""
        return FP16_BYTES if self.half else FP32_BYTES

    @property
    def can_be_winograd(self) -> bool:
        """Whether libraries have Winograd transforms for it: dense, 3 x 3 at every pixel (cuDNN developer guide)."""
        return (
            self.groups == 1
            and self.kernel == (3, 3)
            and self.stride == 1
            and self.dilation == 1
            and not self.transposed
        )


class Peak(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A moment at which live bytes may be highest; the envelope over all of them is the live peak."""

    stage: str
    phase: Phase
    live_bytes: Polynomial
    """Activations, temporaries and the batch; neither weights, buffers, optimizer state nor weight gradients."""
    gradient_bytes: int = 0
    """Weight gradients that exist at that moment. Where the script frees the last step's before the step, none do in
    forward; where it frees them between forward and backward (torchvision, effdet), all do in forward."""
    convolution: int | None = None
    """Index into ``Trace.convolutions`` of the convolution running at that moment, if one is."""


class SlackReplays(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the caching allocator keeps beyond the highest live bytes, at some batch sizes of one image size.

    It rises and falls: blocks fit into the holes of others at one batch and not at the next.
    """

    pixels: int
    """Height x width of an image."""
    batches: tuple[int, ...]
    """Rising."""
    slack_bytes: tuple[int, ...]
    """At each of ``batches``."""


class Trace(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One steady training step in one precision."""

    stages: tuple[Stage, ...]
    peaks: tuple[Peak, ...]
    convolutions: tuple[Convolution, ...]
    slack_bytes: Polynomial = Polynomial()
    """What the caching allocator keeps beyond the highest live bytes, replayed near the real image size, smoothed: of
    models whose batches vary in size."""
    slack_replays: SlackReplays | None = None
    """The same as replayed, of models whose batches all have one size."""
    validation_bytes: Polynomial = Polynomial()
    """What the first validation adds to the allocator's pool, replayed after a step at the same batch and pixels; none
    where the library validates batches that find room in the blocks of training."""
    cast_weight_bytes: int = 0
    """AMP: half-precision weight copies that autocast keeps until the forward pass ends (already in the peaks)."""
    fit_shapes: tuple[tuple[int, int, int, int], ...]
    """(batch, height, width, boxes) of the traces that the polynomials were solved on."""
    check_shapes: tuple[tuple[int, int, int, int], ...]
    """Shapes that were traced and not fitted."""
    check_live_error: tuple[float, ...]
    """Replayed / traced - 1 of peak live bytes at each check shape."""
    check_flops_error: tuple[float, ...]


class SizeRule(enum.Enum):
    """How the library turns an image into the tensor that it trains on."""

    SQUARE = "square"
    """Letterboxed, cropped or mosaicked to size x size."""
    SHORTER_SIDE = "shorter_side"
    """Resized until one side reaches its limit, the shorter or the longer; batch padded to a common size."""


class ImageSize(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two sides in pixels: height and width of a square or fixed input, or the shorter and the longest side."""

    shorter: int
    longer: int

    @property
    def text(self) -> str:
        """As ``--image-size`` takes it: ``640`` or ``800x1333``."""
        return str(self.shorter) if self.shorter == self.longer else f"{self.shorter}x{self.longer}"


UNSTATED = "unknown"
"""Version and license of a file of one's own."""


class Implementation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose code was traced."""

    library: str
    version: str
    torch: str
    spec: str
    """What ``canitrain trace`` was given."""
    license: str

    @property
    def release(self) -> str:
        """Library and version; the library alone where it states none, as a file of one's own."""
        return self.library if self.version == UNSTATED else f"{self.library} {self.version}"


class Defaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The implementation's own training defaults, with ``source`` saying which script and file."""

    image_size: ImageSize
    batch_size: int
    effective_batch_size: int
    """What the script's learning rate is meant for: YOLOv5's nominal 64, or what the GPUs of its recipe add up to."""
    accumulates: bool = False
    """Whether the script itself accumulates gradients up to the effective batch, as YOLOv5's does."""
    epochs: int
    optimizer: str
    precision: Precision
    ema: bool
    workers: int
    mosaic_images: int = 1
    """Images decoded for one training image (YOLOv5's mosaic: 4)."""
    boxes: float | None = None
    source: str


class ModelProfile(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Everything that the estimator knows of a model. Written by ``canitrain trace``, never by hand."""

    schema: Literal["canitrain.profile/1"] = "canitrain.profile/1"
    name: str
    title: str
    family: str
    aliases: tuple[str, ...] = ()
    implementation: Implementation
    defaults: Defaults
    size_rule: SizeRule
    divisor: int = 1
    """Sides are a multiple of this (YOLOv5: 32 or 64; torchvision detection pads to 32)."""
    classes: int
    parameters: int
    """Elements, as the library counts them."""
    trainable_parameters: int
    parameter_bytes: int
    trainable_parameter_bytes: int
    buffer_bytes: int
    parameter_tensors: int
    trainable_parameter_tensors: int
    largest_parameter_bytes: int
    traced_on: str
    """Date, ISO."""
    traces: dict[Precision, Trace]
    notes: tuple[str, ...] = ()
