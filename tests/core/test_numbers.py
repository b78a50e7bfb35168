"""Intervals, polynomials and facts."""

from __future__ import annotations

import math
from typing import assert_never

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canitrain.core.errors import CatalogError
from canitrain.core.fact import Known, Unknown, value_or_none
from canitrain.core.interval import Interval, exactly
from canitrain.core.polynomial import BatchShape, Polynomial

COEFFICIENTS = st.floats(min_value=0, max_value=1e6)
POLYNOMIALS = st.builds(Polynomial, **dict.fromkeys(Polynomial.__struct_fields__, COEFFICIENTS))
SHAPES = st.builds(
    BatchShape,
    batch_size=st.integers(1, 1024),
    pixels=st.floats(1, 4e6),
    boxes=st.floats(0, 1000),
)


@pytest.mark.parametrize(
    ("low", "expected", "high"), [(2, 1, 3), (1, 4, 3), (3, 2, 1), (math.nan, 1, 2), (0, math.nan, 1)]
)
def test_an_interval_out_of_order_is_our_bug(low, expected, high):
    with pytest.raises(CatalogError, match="out of order"):
        Interval(low=low, expected=expected, high=high)


def test_an_interval_scales_at_both_ends():
    assert Interval(low=1, expected=2, high=4).scaled(2.5) == Interval(low=2.5, expected=5, high=10)
    assert exactly(3.0) == Interval(low=3, expected=3, high=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # at b = 2, p = 3, n = 5
        ("one", 1),
        ("b", 2),
        ("p", 3),
        ("n", 5),
        ("bp", 6),
        ("bn", 10),
        ("pn", 15),
        ("bpn", 30),
        ("pp", 9),
        ("bpp", 18),
    ],
)
def test_each_coefficient_multiplies_what_its_name_says(name, value):
    shape = BatchShape(batch_size=2, pixels=3, boxes=5)
    assert Polynomial(**{name: 7.0}).at(shape) == 7 * value


@pytest.mark.parametrize(
    ("name", "value"),
    # 2 images of 3 pixels, one with 5 boxes and one with 4: what goes image by image sees the 5, a whole batch sees 9
    [("one", 1), ("b", 2), ("p", 3), ("n", 5), ("bp", 6), ("bn", 9), ("pn", 15), ("bpn", 27), ("pp", 9), ("bpp", 18)],
)
def test_only_one_image_of_a_batch_is_the_most_crowded(name, value):
    shape = BatchShape(batch_size=2, pixels=3, boxes=5, other_boxes=4)
    assert Polynomial(**{name: 7.0}).at(shape) == 7 * value


def test_every_coefficient_was_tried():
    assert len(Polynomial.__struct_fields__) == 10


@settings(max_examples=200, derandomize=True, deadline=None)
@given(polynomial=POLYNOMIALS, shape=SHAPES)
def test_the_affine_form_is_the_polynomial(polynomial, shape):
    fixed, per_image = polynomial.affine(shape)
    assert fixed + per_image * shape.batch_size == polynomial.at(shape)
    assert fixed >= 0
    assert per_image >= 0


@settings(max_examples=200, derandomize=True, deadline=None)
@given(polynomial=POLYNOMIALS, shape=SHAPES, more=st.integers(1, 64))
def test_more_images_pixels_or_boxes_never_make_less(polynomial, shape, more):
    here = polynomial.at(shape)
    for field in ("batch_size", "pixels", "boxes"):
        larger = msgspec.structs.replace(shape, **{field: getattr(shape, field) + more})
        assert polynomial.at(larger) >= here * (1 - 1e-12)


def test_a_fact_is_known_with_its_source_or_unknown_with_a_reason():
    known, unknown = Known(value=0, source="/proc/meminfo"), Unknown(reason="permission denied")
    # a zero that was read is not the same as nothing
    assert value_or_none(known) == 0
    assert value_or_none(unknown) is None


@pytest.mark.parametrize("fact", [Known(value=3, source="a file"), Unknown(reason="no such file")])
def test_a_fact_survives_json(fact):
    decoded = msgspec.json.decode(msgspec.json.encode(fact), type=Known[int] | Unknown)
    assert decoded == fact
    match decoded:
        case Known():
            assert decoded.value == 3
        case Unknown():
            assert decoded.reason
        case _:
            assert_never(decoded)


def test_a_fact_without_its_source_is_refused():
    with pytest.raises(msgspec.ValidationError, match="source"):
        msgspec.json.decode(b'{"state": "known", "value": 3}', type=Known[int] | Unknown)
