"""What the allocator's pool keeps beyond allocated bytes, as replayed at some batch sizes."""

from __future__ import annotations

import bisect

from msgspec import Struct

from canitrain.core.profile import SlackReplays


class ReplayedSlack(Struct, frozen=True, kw_only=True):
    """Straight between replayed batch sizes, in proportion to the batch before the first and beyond the last."""

    batches: tuple[float, ...]
    """Rising; no whole numbers where images have another size than the replayed ones."""
    slack_bytes: tuple[float, ...]

    def at(self, batch_size: float) -> float:
        """The slack for ``batch_size`` images."""
        after = bisect.bisect_left(self.batches, batch_size)
        if after == len(self.batches):
            return self.slack_bytes[-1] * batch_size / self.batches[-1]
        if after == 0:
            return self.slack_bytes[0] * batch_size / self.batches[0]
        left, right = self.batches[after - 1], self.batches[after]
        share = (batch_size - left) / (right - left)
        return self.slack_bytes[after - 1] * (1 - share) + self.slack_bytes[after] * share


def replayed_slack(replays: SlackReplays, pixels: float, *, follows_pixels: bool) -> ReplayedSlack:
    """The slack of ``replays`` for images of ``pixels``.

    Blocks fit into each other's holes, or do not, by their sizes alone. Where tensors grow with the pixels, as many
    pixels in all make the same blocks, however many images they are; ``follows_pixels`` says whether they do.
    """
    ratio = pixels / replays.pixels
    if follows_pixels:
        batches = tuple(each / ratio for each in replays.batches)
        return ReplayedSlack(batches=batches, slack_bytes=tuple(map(float, replays.slack_bytes)))
    return ReplayedSlack(batches=replays.batches, slack_bytes=tuple(each * ratio for each in replays.slack_bytes))


class Floor(Struct, frozen=True, kw_only=True):
    """What no larger batch goes below."""

    pools: tuple[tuple[float, float], ...] = ()
    """Batch sizes, not always whole numbers, and bytes."""
    image_bytes: float = 0.0
    """What more and smaller images of as many pixels in all take on top, each."""

    def at(self, batch_size: int) -> float:
        """What ``batch_size`` images need at least, because fewer or smaller ones do."""
        return max(
            (pool + self.image_bytes * (batch_size - fewer) for fewer, pool in self.pools if fewer < batch_size),
            default=0.0,
        )
