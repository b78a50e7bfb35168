"""The batch that memory and time are estimated for."""

from __future__ import annotations

import memory_cases as cases

from canitrain.core.profile import ImageSize, SizeRule
from canitrain.estimate.shapes import memory_shape, time_shape

DETECTION = {"image_size": ImageSize(shorter=800, longer=1333)}
RESIZING = {"size_rule": SizeRule.SHORTER_SIDE, "divisor": 32}


def test_a_square_size_is_what_it_says_for_memory_and_time():
    for shape in (memory_shape, time_shape):
        assert shape(cases.profile(), cases.recipe(), cases.dataset(), 4).pixels == 64 * 64


def test_memory_takes_the_most_crowded_image_and_time_the_mean():
    crowded = memory_shape(cases.profile(), cases.recipe(), cases.dataset(), 4)
    assert (crowded.boxes, crowded.other_boxes) == (60.0, 7.0)
    assert time_shape(cases.profile(), cases.recipe(), cases.dataset(), 4).boxes == 7.0


def test_multi_scale_grows_a_side_by_half_in_steps_of_the_stride():
    shape = memory_shape(cases.profile(), cases.recipe(multi_scale=True), cases.dataset(), 4)
    assert shape.pixels == 96 * 96  # 64 * 1.5 = 96, a multiple of 32


def test_a_resized_image_is_fullest_where_both_limits_meet():
    # aspect ratios from 0.5 to 2 include 1333 / 800: 800 x 1333, padded to 800 x 1344
    shape = memory_shape(cases.profile(**RESIZING), cases.recipe(**DETECTION), cases.dataset(), 2)
    assert shape.pixels == 800 * 1344


def test_a_dataset_without_oblong_images_never_fills_the_longer_side():
    squarish = cases.dataset(aspect_ratios=(1.0, 1.25))
    shape = memory_shape(cases.profile(**RESIZING), cases.recipe(**DETECTION), squarish, 2)
    assert shape.pixels == 800 * 1024  # 800 * 1.25 = 1000, padded to 1024


def test_time_takes_the_mean_over_the_quantiles_of_the_aspect_ratio():
    shape = time_shape(cases.profile(**RESIZING), cases.recipe(**DETECTION), cases.dataset(), 2)
    # ratio 1: 800 x 800; ratio 2 and 0.5: 667 x 1333 padded to 672 x 1344; trapezoids: half the ends, all of the middle
    assert shape.pixels == (672 * 1344 / 2 + 800 * 800 + 672 * 1344 / 2) / 2


def test_tall_images_fill_the_longer_side_like_wide_ones():
    tall, wide = (
        memory_shape(cases.profile(**RESIZING), cases.recipe(**DETECTION), cases.dataset(aspect_ratios=ratios), 2)
        for ratios in ((0.8, 0.9), (1.1, 1.25))
    )
    assert tall.pixels == wide.pixels == 800 * 1024  # 1 / 0.8 = 1.25


def test_images_of_one_shape_have_no_mean_but_their_own():
    shape = time_shape(cases.profile(**RESIZING), cases.recipe(**DETECTION), cases.dataset(aspect_ratios=(1.25,)), 2)
    assert shape.pixels == 800 * 1024


def test_noise_behind_the_point_pads_to_no_further_stride():
    # 600 * 1.12 is 672, a multiple of 32, and a little more in floating point.
    size = {"image_size": ImageSize(shorter=600, longer=1000)}
    oblong = cases.dataset(aspect_ratios=(1.0, 1.12))
    shape = memory_shape(cases.profile(**RESIZING), cases.recipe(**size), oblong, 2)
    assert shape.pixels == 608 * 672
