"""One step as host and device take turns: the host launches ahead, until it needs a result and waits for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from canitrain.core.loop import Handover, StepPart


class Segment(Struct, frozen=True, kw_only=True):
    """Work that the host launches in one go, and what the device makes of it."""

    host_s: float
    device_s: float
    waits: float = 0.0
    """How often the host stops for a result of it, spread evenly."""


def together_s(segments: Iterable[Segment]) -> float:
    """Seconds from the first launch to the last result, beginning and ending with an idle device.

    Without waits that is the longer of the two, and the host's head start carries over from one segment to the next.
    Between two waits neither has any: small kernels then take the host's time, large ones the device's, one after the
    other.
    """
    host_at_s = device_at_s = 0.0
    for segment in segments:
        # Pieces before, between and after the waits; between them both start at the same moment.
        pieces = segment.waits + 1
        host_s, device_s = segment.host_s / pieces, segment.device_s / pieces
        host_at_s, device_at_s = _launched(host_at_s, device_at_s, host_s, device_s)
        if segment.waits:
            caught_up_s = max(host_at_s, device_at_s) + (segment.waits - 1) * max(host_s, device_s)
            host_at_s, device_at_s = _launched(caught_up_s, caught_up_s, host_s, device_s)
    return max(host_at_s, device_at_s)


def looped(
    forward: Sequence[Segment], backward: Sequence[Segment], after: Sequence[Segment], handover: Handover, images: int
) -> Iterator[Segment]:
    """The step as its loop runs it: from a batch in the host's hands to the next one.

    A copy from pageable memory waits for the step before, so that each step begins with an idle device.
    """
    copied_s = handover.copied_s(images)
    yield Segment(host_s=copied_s, device_s=copied_s)
    for part, segments in (
        (StepPart.FORWARD, forward),
        (StepPart.BACKWARD, backward),
        (StepPart.UPDATE, after),
    ):
        yield from segments
        if part in handover.reads_after:
            yield Segment(host_s=0.0, device_s=0.0, waits=1.0)
    # What the device still has to do hides it.
    yield Segment(host_s=handover.taken_s(images), device_s=0.0)


def _launched(host_at_s: float, device_at_s: float, host_s: float, device_s: float) -> tuple[float, float]:
    """When the host is through with launching, and the device with what was launched."""
    launched_s = host_at_s + host_s
    return launched_s, max(max(device_at_s, host_at_s) + device_s, launched_s)
