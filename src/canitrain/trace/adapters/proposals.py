"""Region proposals as late in a training, from a network that has learnt nothing."""

from __future__ import annotations

from typing import Any

import torch

from canitrain.trace.adapters.boxes import sized_boxes

PROPOSALS = 2000
"""Proposals an image that the RPN hands on in training: torchvision FasterRCNN's rpn_post_nms_top_n_train."""
NEAR_PROPOSALS = 400
"""Of these, how many lie on a ground-truth box: enough for the RoI head's 128 positives."""
NEAR_SHIFT_RATIO = 0.08
"""How far they are off, as a share of the box's sides: an overlap well above the 0.5 that makes a positive."""
FAR_SIDES = (16.0, 640.0)
"""Pixels of the other proposals' sides, whatever the image's size: about 53, 19, 19 and 10 % on the levels P2 to P5."""


def propose(rpn: Any, truth: torch.Tensor, height: int, width: int) -> None:  # noqa: ANN401 - untyped library
    """Let the RPN filter its proposals as ever, then hand on as many as in a long-running training.

    A network without trained weights proposes what its zeros and ties happen to give, and the RoI head would sample
    fewer than its 512. The filter itself still runs and is traced.

    Args:
        rpn: torchvision's RegionProposalNetwork.
        truth: (boxes, 4) corners in pixels, at least one.
        height: of the image, pixels.
        width: of the image, pixels.
    """
    near = truth.repeat(-(-NEAR_PROPOSALS // len(truth)), 1)[:NEAR_PROPOSALS]
    size = (near[:, 2:] - near[:, :2]).repeat(1, 2)
    share = torch.linspace(-NEAR_SHIFT_RATIO, NEAR_SHIFT_RATIO, NEAR_PROPOSALS)[:, None]
    far = sized_boxes(PROPOSALS - NEAR_PROPOSALS, height, width, FAR_SIDES)
    proposals = torch.cat((near + share * size, far))
    original = type(rpn).filter_proposals

    def filtered(*arguments: object) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        boxes, scores = original(rpn, *arguments)
        return [proposals.clone() for _ in boxes], scores

    rpn.filter_proposals = filtered


class EvenSampler:
    """Samples like torchvision's BalancedPositiveNegativeSampler, but evenly spaced instead of at random.

    So the pyramid levels get the same share of the sample at every shape, and a trace repeats itself.
    """

    def __init__(self, sample: int, positive_share: float) -> None:
        """Take ``sample`` proposals an image, at most ``positive_share`` of them positive."""
        self._sample, self._positive_share = sample, positive_share

    @property
    def positives(self) -> int:
        """The most positive proposals of an image."""
        return int(self._sample * self._positive_share)

    def __call__(self, labels: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """For every image two masks (proposals,), of the positive (label >= 1) and negative (0) ones taken."""
        positives, negatives = [], []
        for label in labels:
            positive = evenly(torch.where(label >= 1)[0], self.positives)
            negative = evenly(torch.where(label == 0)[0], self._sample - len(positive))
            positives.append(torch.zeros_like(label, dtype=torch.uint8).index_fill_(0, positive, 1))
            negatives.append(torch.zeros_like(label, dtype=torch.uint8).index_fill_(0, negative, 1))
        return positives, negatives


def evenly(indices: torch.Tensor, count: int) -> torch.Tensor:
    """At most ``count`` of ``indices``, evenly spaced."""
    count = min(count, len(indices))
    return indices[torch.arange(count) * len(indices) // max(count, 1)]


def sample_evenly(roi_heads: Any) -> None:  # noqa: ANN401 - untyped library
    """Replace the RoI heads' random sampler by an even one of the same size."""
    random = roi_heads.fg_bg_sampler
    roi_heads.fg_bg_sampler = EvenSampler(random.batch_size_per_image, random.positive_fraction)
