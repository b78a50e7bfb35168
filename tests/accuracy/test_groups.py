"""Summaries of errors, by hand."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from canitrain import catalog
from canitrain.accuracy import recipe_of
from canitrain.accuracy.groups import summarize
from canitrain.core.accuracy import AccuracyRow, Figure, Grouping, Measurement, MemoryKind, Quantity, Run
from canitrain.core.interval import Interval

PROFILES = {name: catalog.load_model(name) for name in ("yolov5s", "fasterrcnn")}
CARDS = {name: catalog.find_card(name) for name in ("A100", "T4")}


def compared(predicted, *, measured=100.0, model="yolov5s", gpu="A100", kind=MemoryKind.DEVICE, refused=False):
    """A row whose interval is 10 either way; without ``kind`` it compares seconds."""
    measurement = Measurement(
        row=2,
        model=model,
        image_size=None,
        batch_size=16,
        gpus=1,
        gpu=gpu,
        precision=None,
        optimizer=None,
        memory_kind=kind,
        memory_bytes=measured if kind else None,
        step_s=None if kind else measured,
        images_per_s=None,
        source=None,
    )
    profile = PROFILES[model]
    run = Run(measurement=measurement, profile=profile, card=CARDS[gpu], recipe=recipe_of(measurement, profile))
    interval = Interval(low=predicted - 10, expected=predicted, high=predicted + 10)
    figure = Figure.MEMORY_BYTES if kind else Figure.STEP_S
    return AccuracyRow(run=run, figure=figure, measured=measured, predicted=interval, refused=refused)


def compared_rate(predicted, *, measured=100.0):
    """A row that compares images a second."""
    row = compared(predicted, measured=measured, kind=None)
    return replace(row, figure=Figure.IMAGES_PER_S)


def group(rows, by, name=None, quantity=Quantity.MEMORY):
    found = [each for each in summarize(tuple(rows)) if (each.quantity, each.by) == (quantity, by)]
    return next(each for each in found if name in {None, each.name})


def test_a_rate_too_high_and_a_time_too_low_are_off_the_same_way():
    # 80 s for 100 s; 125 images a second for 100 take 0.8 of the time
    rows = [compared(80, kind=None), compared_rate(125)]
    assert [row.error for row in rows] == pytest.approx([-0.2, 0.25])
    assert group(rows, Grouping.ALL, quantity=Quantity.TIME).bias == pytest.approx(-0.2)


def test_a_group_says_how_far_off_and_which_way():
    # errors +20 %, -10 %, -5 %, +1 %: absolute 1, 5, 10, 20
    rows = [compared(120), compared(90), compared(95), compared(101, refused=True)]
    found = group(rows, Grouping.ALL)
    assert found.rows == 4
    assert found.median_error == pytest.approx(0.075)
    # 0.95 x 3 = 2.85 between the third and the fourth: 10 + 0.85 x 10
    assert found.p95_error == pytest.approx(0.185)
    # signed -10, -5, 1, 20
    assert found.bias == pytest.approx(-0.02)
    # 100 lies in 110..130? no; 80..100, 85..105 and 91..111 yes
    assert found.coverage == 0.75
    # 90 and 95 are less than 100, and no upper end is
    assert (found.out_of_memory, found.out_of_memory_high) == (0.5, 0.0)
    assert found.refused == 0.25


def test_rows_are_grouped_by_family_card_and_memory_kind():
    rows = [
        compared(110),
        compared(130, gpu="T4"),
        compared(150, model="fasterrcnn", kind=MemoryKind.ALLOCATED),
    ]
    assert group(rows, Grouping.FAMILY, "fasterrcnn").median_error == pytest.approx(0.5)
    assert group(rows, Grouping.FAMILY, "yolov5").median_error == pytest.approx(0.2)
    assert group(rows, Grouping.GPU, "Tesla T4").rows == 1
    assert group(rows, Grouping.MEMORY_KIND, "allocated").rows == 1
    assert group(rows, Grouping.MEMORY_KIND, "device").rows == 2


def test_memory_and_time_are_kept_apart():
    rows = [compared(110), compared(150, kind=None)]
    time = group(rows, Grouping.ALL, quantity=Quantity.TIME)
    assert group(rows, Grouping.ALL).median_error == pytest.approx(0.1)
    assert time.median_error == pytest.approx(0.5)
    assert (time.out_of_memory, time.out_of_memory_high, time.refused) == (None, None, None)
    assert all(each.by is not Grouping.MEMORY_KIND for each in summarize((rows[1],)))


def test_no_rows_make_no_groups():
    assert summarize(()) == ()


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.floats(50, 200), min_size=2, max_size=40))
def test_the_percentile_is_that_of_the_standard_library(predictions):
    found = group([compared(value) for value in predictions], Grouping.ALL)
    errors = [abs(value / 100 - 1) for value in predictions]
    assert found.p95_error == pytest.approx(statistics.quantiles(errors, n=20, method="inclusive")[-1])
    assert found.median_error <= found.p95_error + 1e-12


def test_accumulation_keeps_the_effective_batch_only_where_the_script_does():
    def recipe(model, batch_size, gpus=1):
        row = compared(100, model=model).run.measurement
        return recipe_of(replace(row, batch_size=batch_size, gpus=gpus), PROFILES[model])

    # YOLOv5 accumulates to 64 images; beyond that every batch is a step
    assert recipe("yolov5s", 16).effective_batch_size == 64
    assert recipe("yolov5s", 32, gpus=4).effective_batch_size == 128
    # torchvision's script never accumulates
    assert recipe("fasterrcnn", 2, gpus=8).effective_batch_size == 16
