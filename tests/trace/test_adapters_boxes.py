import torch

from canitrain.trace.adapters.boxes import sized_boxes, unit_boxes
from canitrain.trace.adapters.proposals import EvenSampler, evenly, propose


def test_unit_boxes_lie_inside_the_image_and_have_an_area():
    boxes = unit_boxes(500)
    corners = torch.cat((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), dim=1)
    assert corners.min() >= -1e-6
    assert corners.max() <= 1 + 1e-6
    assert boxes[:, 2:].min() > 0


def test_the_first_boxes_do_not_depend_on_how_many_follow():
    assert torch.allclose(unit_boxes(40)[:7], unit_boxes(7))
    assert torch.allclose(sized_boxes(40, 300, 500, (16, 64))[:7], sized_boxes(7, 300, 500, (16, 64)), atol=1e-3)


def test_sized_boxes_keep_their_sides_whatever_the_image():
    small, large = sized_boxes(64, 256, 256, (16, 640)), sized_boxes(64, 800, 1333, (16, 640))
    sides = small[:, 2:] - small[:, :2]
    assert torch.allclose(sides, large[:, 2:] - large[:, :2], atol=1e-3)
    assert sides.min() >= 16
    assert sides.max() <= 640.01


def test_evenly_takes_spaced_indices_and_never_more_than_there_are():
    assert evenly(torch.arange(10), 5).tolist() == [0, 2, 4, 6, 8]
    assert evenly(torch.arange(3), 5).tolist() == [0, 1, 2]
    assert evenly(torch.arange(0), 5).tolist() == []


def test_the_even_sampler_fills_the_sample_with_negatives():
    label = torch.tensor([1] * 10 + [0] * 90 + [-1] * 20)
    (positive,), (negative,) = EvenSampler(40, 0.1)([label])
    # 10 % of 40 are 4 positives; the other 36 are negative; the ignored (-1) are never taken.
    assert int(positive.sum()) == 4
    assert int(negative.sum()) == 36
    assert int((positive | negative)[100:].sum()) == 0


class _Filter:
    def filter_proposals(self, proposals, scores):
        return [proposals], [scores]


def test_proposals_are_two_thousand_and_enough_of_them_lie_on_the_truth():
    rpn, truth = _Filter(), sized_boxes(9, 480, 640, (32, 108))
    propose(rpn, truth, 480, 640)
    (boxes,), (scores,) = rpn.filter_proposals(torch.zeros(5, 4), torch.ones(5))
    assert boxes.shape == (2000, 4)
    assert len(scores) == 5
    overlap = _overlap(truth, boxes[:400]).max(dim=0).values
    assert overlap.min() > 0.5
    # The RoI head wants 384 negatives of 512.
    assert int((_overlap(truth, boxes[400:]).max(dim=0).values < 0.5).sum()) >= 384


def _overlap(one, other):
    corner = torch.maximum(one[:, None, :2], other[None, :, :2])
    far = torch.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = (far - corner).clamp(min=0).prod(dim=2)
    areas = [(box[:, 2:] - box[:, :2]).prod(dim=1) for box in (one, other)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)
