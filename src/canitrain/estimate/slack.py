"""What the allocator's pool keeps beyond allocated bytes, as replayed at some batch sizes."""

from __future__ import annotations

import bisect

from msgspec import Struct

from canitrain.core.profile import SlackReplays


class ReplayedSlack(Struct, frozen=True, kw_only=True):
    """Straight between replayed batch sizes, in proportion to the batch beyond the last."""

    batches: tuple[int, ...]
    slack_bytes: tuple[float, ...]

    def at(self, batch_size: int) -> float:
        """The slack for ``batch_size`` images."""
        after = bisect.bisect_left(self.batches, batch_size)
        if after == len(self.batches):
            return self.slack_bytes[-1] * batch_size / self.batches[-1]
        if after == 0:
            return self.slack_bytes[0]
        left, right = self.batches[after - 1], self.batches[after]
        share = (batch_size - left) / (right - left)
        return self.slack_bytes[after - 1] * (1 - share) + self.slack_bytes[after] * share


def replayed_slack(replays: SlackReplays, pixels: float) -> ReplayedSlack:
    """The slack of ``replays`` for images of ``pixels``: blocks and holes grow as the images do."""
    ratio = pixels / replays.pixels
    return ReplayedSlack(batches=replays.batches, slack_bytes=tuple(each * ratio for each in replays.slack_bytes))


Floor = tuple[tuple[int, float], ...]
"""Batch sizes and bytes that no larger batch goes below."""


def floor_bytes(floor: Floor, batch_size: int) -> float:
    """What ``batch_size`` images need at least, because fewer images do."""
    return max((size_bytes for smaller, size_bytes in floor if smaller < batch_size), default=0.0)
