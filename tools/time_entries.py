"""The traced work of a step as groups of kernels that share coefficients of the time fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import Phase, Trace, WorkKind
from canitrain.core.time_calibration import Rate
from canitrain.estimate.convolution_time import ConvolutionPass, passes
from canitrain.estimate.device_rates import CONVOLUTIONS

SIZE_STEP = 0.5
"""Groups of one kind whose bytes a kernel lie in one step (a power of two) are merged, which makes the fit quick."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Kernels that share coefficients: seconds are those at the card's peaks."""

    rate: Rate
    kind: WorkKind
    backward: bool
    grouped: bool = False
    flops: float = 0.0
    size_bytes: float = 0.0
    kernels: float = 0.0
    starts: float = 0.0
    outputs: float = math.inf
    terms: float = math.inf
    winograd: bool = False
    unaligned: bool = False
    channel_ratio: float = 0.0
    ragged: bool = False
    many_groups: bool = False


def entries_of(trace: Trace, shape: BatchShape, rates: Mapping[WorkKind, Rate], *, training: bool) -> Iterator[Entry]:
    """All kernels of a step, or of a forward pass."""
    rest = {(phase, kind): 0.0 for phase in Phase for kind in CONVOLUTIONS}
    for (phase, kind, _), (flops, size_bytes, kernels) in _sums(trace, shape, training=training).items():
        backward = phase is Phase.BACKWARD
        if kind in CONVOLUTIONS:
            rest[phase, kind] += size_bytes
            yield Entry(rates[kind], kind, backward, starts=kernels)
        else:
            work = {"flops": flops, "size_bytes": size_bytes, "kernels": kernels, "starts": kernels}
            yield Entry(rates[kind], kind, backward, **work)
    for one in passes(trace, shape):
        if one.phase is Phase.FORWARD or training:
            rest[one.phase, one.kind] -= one.count * one.size_bytes
            yield convolution_entry(one, rates[one.kind])
    for (phase, _), size_bytes in rest.items():
        if size_bytes > 0:
            kind = WorkKind.ELEMENTWISE
            yield Entry(rates[kind], kind, phase is Phase.BACKWARD, size_bytes=size_bytes, kernels=1.0)


def _sums(trace: Trace, shape: BatchShape, *, training: bool) -> dict[tuple[Phase, WorkKind, int], list[float]]:
    """FLOPs, bytes and kernels of all stages by phase, kind and size of a kernel; convolutions in one sum."""
    sums: dict[tuple[Phase, WorkKind, int], list[float]] = {}
    for stage in trace.stages:
        works = [(Phase.FORWARD, stage.forward), (Phase.BACKWARD, stage.backward)][: 2 if training else 1]
        for phase, kind, work in ((phase, kind, work) for phase, kinds in works for kind, work in kinds.items()):
            size_bytes, kernels = work.bytes.at(shape), work.kernels.at(shape)
            size = math.floor(math.log2(max(1.0, size_bytes / max(1.0, kernels))) / SIZE_STEP)
            total = sums.setdefault((phase, kind, 0 if kind in CONVOLUTIONS else size), [0.0, 0.0, 0.0])
            for place, value in enumerate((work.flops.at(shape), size_bytes, kernels)):
                total[place] += value
    return sums


def convolution_entry(one: ConvolutionPass, rate: Rate) -> Entry:
    """Its kernels as an entry; they start with the other convolutions of their phase."""
    return Entry(
        rate,
        one.kind,
        one.phase is Phase.BACKWARD,
        grouped=one.grouped,
        flops=one.count * one.flops,
        size_bytes=one.count * one.size_bytes,
        kernels=one.count,
        outputs=one.outputs,
        terms=one.terms,
        winograd=one.winograd and rate is Rate.FP32,
        channel_ratio=one.channel_bytes / one.size_bytes,
        unaligned=one.unaligned and rate is Rate.FP16,
        ragged=one.ragged,
        many_groups=one.many_groups,
    )
