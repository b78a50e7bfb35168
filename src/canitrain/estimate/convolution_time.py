"""Device seconds of the convolutions of a step, each by its own shape: forward and both gradients."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

from msgspec import Struct

from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import Convolution, ModelProfile, Phase, Trace, WorkKind
from canitrain.core.units import FLOPS_PER_MAC
from canitrain.estimate.device_rates import CONVOLUTIONS, DeviceRates

ALIGNED = 8
"""Numbers of half precision in 16 bytes: what tensor cores load at once (NVIDIA deep learning performance guide), and
what one thread moves at once."""
MANY_GROUPS, SMALL_GROUPS, QUICK_KERNEL = 16, frozenset({4, 8, 16, 32}), (3, 3)
"""Least groups, channels of one and kernel with which a grouped convolution in half precision, channels-last, is quick.

Seen in timm's runs, documented nowhere: 12 to 16 groups, chosen anew in each of six training folds of whole families.
"""
REMEMBERED = 8192
"""Layers and shapes whose passes are kept: a check asks for some twenty shapes of a model's hundred layers."""
WHOLE = 1e-3
"""How near to a whole number the pixels of an image are where all images have one size."""


class ConvolutionPass(Struct, frozen=True, kw_only=True):
    """One product of a convolution layer as a matrix product: forward, gradient of the weights or of the input."""

    kind: WorkKind
    phase: Phase
    grouped: bool
    """Several channels a group, as in ResNeXt: neither dense nor depthwise."""
    many_groups: bool
    """``grouped``, by many small groups, 3 x 3."""
    count: float
    """How many of them run in a step."""
    flops: float
    """Of one."""
    size_bytes: float
    """Read and written by one."""
    channel_bytes: float
    """Of ``size_bytes``: one channel of its input and of its output."""
    outputs: float
    """Columns of the product in one group: output channels, of the input's gradient input channels.

    Infinite, as ``terms``, where no matrix product is done: depthwise.
    """
    terms: float
    """Products summed into one result; of the weights' gradient the rows of the product, since it sums over pixels.

    Infinite in grouped convolutions.
    """
    winograd: bool
    ragged: bool
    """Pixels of an image that threads cannot move eight at a time; unknown, so not, where images vary in size."""
    unaligned: bool
    """Channels that matrix units in half precision cannot load eight at a time."""


def has_grouped_convolutions(profile: ModelProfile) -> bool:
    """Whether any convolution has several groups of several channels, as in ResNeXt."""
    traces = profile.traces.values()
    return any(1 < layer.groups < layer.in_channels for trace in traces for layer in trace.convolutions)


def passes(trace: Trace, shape: BatchShape) -> Iterator[ConvolutionPass]:
    """All convolution kernels of one step at ``shape``."""
    for convolution in trace.convolutions:
        yield from convolution_passes(convolution, shape)


@functools.lru_cache(maxsize=REMEMBERED)
def convolution_passes(convolution: Convolution, shape: BatchShape) -> tuple[ConvolutionPass, ...]:
    """Forward and those gradients that the backward pass was asked for; kept, as card after card asks for the same."""
    count = convolution.count.at(shape)
    source, target = convolution.input_pixels.at(shape), convolution.output_pixels.at(shape)
    inputs = convolution.in_channels // convolution.groups
    outputs = convolution.out_channels // convolution.groups
    area = convolution.kernel[0] * convolution.kernel[1]
    weights = convolution.out_channels * inputs * area
    driven, channels = (
        (source, convolution.in_channels) if convolution.transposed else (target, convolution.out_channels)
    )
    element_bytes = convolution.element_bytes
    dense = convolution.groups == 1
    depthwise = not dense and inputs == 1

    kind = WorkKind.CONV if dense else WorkKind.DEPTHWISE_CONV
    grouped = not dense and not depthwise
    many_groups = (
        grouped
        and convolution.groups >= MANY_GROUPS
        and {inputs, outputs} <= SMALL_GROUPS
        and convolution.kernel == QUICK_KERNEL
    )
    flops = FLOPS_PER_MAC * driven * channels * (outputs if convolution.transposed else inputs) * area
    size_bytes = element_bytes * (source * convolution.in_channels + target * convolution.out_channels + weights)
    channel_bytes = element_bytes * (source + target)
    winograd = convolution.can_be_winograd
    ragged = any(_is_ragged(pixels / shape.batch_size) for pixels in (source, target))
    unaligned = dense and (convolution.in_channels % ALIGNED != 0 or convolution.out_channels % ALIGNED != 0)

    def one(phase: Phase, columns: int, terms: int) -> ConvolutionPass:
        return ConvolutionPass(
            kind=kind,
            phase=phase,
            grouped=grouped,
            many_groups=many_groups,
            count=count,
            flops=flops,
            size_bytes=size_bytes,
            channel_bytes=channel_bytes,
            outputs=math.inf if depthwise else columns,
            terms=terms if dense else math.inf,
            winograd=winograd,
            ragged=ragged,
            unaligned=unaligned,
        )

    return (
        one(Phase.FORWARD, outputs, inputs * area),
        *((one(Phase.BACKWARD, outputs, inputs * area),) if convolution.weight_gradient else ()),
        *((one(Phase.BACKWARD, inputs, outputs * area),) if convolution.input_gradient else ()),
    )


def _is_ragged(pixels: float) -> bool:
    whole = round(pixels)
    return abs(pixels - whole) < WHOLE and whole % ALIGNED != 0


def convolution_times(trace: Trace, shape: BatchShape, device: DeviceRates) -> dict[tuple[Phase, WorkKind], float]:
    """Seconds of all convolutions of a step by phase and kind, starts of kernels apart.

    Traced bytes beyond those of the layers themselves (bias, copies into another order) are an elementwise kernel's.
    """
    totals: dict[tuple[Phase, WorkKind], float] = {}
    rest: dict[tuple[Phase, WorkKind], float] = {}
    for stage in trace.stages:
        for phase, works in ((Phase.FORWARD, stage.forward), (Phase.BACKWARD, stage.backward)):
            for kind in CONVOLUTIONS & works.keys():
                rest[phase, kind] = rest.get((phase, kind), 0.0) + works[kind].bytes.at(shape)
    for one in passes(trace, shape):
        key = one.phase, one.kind
        totals[key] = totals.get(key, 0.0) + one.count * _pass_s(one, device)
        rest[key] = rest.get(key, 0.0) - one.count * one.size_bytes
    other = device.curves[WorkKind.ELEMENTWISE].bandwidth_ratio
    return {key: total + max(0.0, rest[key]) / (device.memory_bytes_per_s * other) for key, total in totals.items()}


def _pass_s(one: ConvolutionPass, device: DeviceRates) -> float:
    curve = device.grouped if one.grouped else device.curves[one.kind]
    at_peak_s = one.flops / device.flops_per_s[one.kind]
    at_bandwidth_s = device.traffic_s(one.size_bytes, one.size_bytes)
    if one.many_groups and curve.many_groups_bandwidth_ratio:
        return at_bandwidth_s / curve.many_groups_bandwidth_ratio
    copies_s = at_bandwidth_s * (curve.ragged_copy_ratio if one.ragged else curve.copy_ratio)
    if device.shapes is not None:
        outputs = device.shapes.group_outputs if one.grouped else device.shapes.outputs
        at_peak_s *= (1 + outputs / one.outputs) * (1 + device.shapes.terms / one.terms)
        at_peak_s /= device.shapes.winograd_ratio if one.winograd else 1.0
        at_peak_s /= device.shapes.unaligned_ratio if one.unaligned else 1.0
        copies_s *= 1 + device.shapes.copy_channels * one.channel_bytes / one.size_bytes
    kernels_s = device.together_s(at_peak_s / curve.compute_ratio, at_bandwidth_s / curve.bandwidth_ratio)
    return kernels_s / (curve.backward_ratio if one.phase is Phase.BACKWARD else 1.0) + copies_s
