import csv
import io

import msgspec
import pytest

from canitrain.catalog.measurements import COLUMNS as CATALOG_COLUMNS
from canitrain.catalog.measurements import load_measurements
from canitrain.core.accuracy import MemoryKind
from canitrain.core.profile import Precision
from canitrain.core.recipe import Optimizer
from canitrain.measure.measured import (
    COLUMNS,
    Measured,
    Training,
    measured_text,
    measurement_rows,
    remember,
    remembered_path,
    rows_text,
)

TRAINING = Training(batch_size=16, precision=Precision.AMP, optimizer=Optimizer.SGD_MOMENTUM, ema=True)
ON_GPU = Measured(
    model="yolov5s",
    image_size="640",
    training=TRAINING,
    device="NVIDIA GeForce RTX 3060",
    step_s=0.25,
    allocated_bytes=3_000_000_000,
    reserved_bytes=3_500_000_000,
    device_bytes=4_000_000_000,
    source="canitrain measure; torch 2.13",
)
ON_CPU = msgspec.structs.replace(ON_GPU, device="cpu", allocated_bytes=None, reserved_bytes=None, device_bytes=None)


def test_the_columns_are_those_that_accuracy_reads():
    assert COLUMNS == CATALOG_COLUMNS


def test_images_per_second_are_batch_over_step():
    assert ON_GPU.images_per_s == 64


def test_a_gpu_run_gives_a_line_for_each_memory_figure():
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in measurement_rows(ON_GPU)]
    assert [(row["memory_kind"], row["memory_bytes"]) for row in rows] == [
        ("allocated", "3000000000"),
        ("reserved", "3500000000"),
        ("device", "4000000000"),
    ]
    assert {row["step_s"] for row in rows} == {"0.25"}


def test_a_cpu_run_gives_one_line_without_memory():
    (row,) = measurement_rows(ON_CPU)
    named = dict(zip(COLUMNS, row, strict=True))
    assert (named["memory_kind"], named["memory_bytes"], named["images_per_s"]) == ("", "", "64")


def test_a_source_with_a_comma_stays_one_field():
    text = rows_text(measurement_rows(msgspec.structs.replace(ON_CPU, source="here, today")), header=True)
    assert [len(line) for line in csv.reader(io.StringIO(text))] == [12, 12]


def test_remembered_runs_add_up_in_one_file_that_accuracy_reads(tmp_path):
    path = tmp_path / "not" / "there" / "yet.csv"
    remember(ON_GPU, path)
    remember(ON_CPU, path)
    read = load_measurements(path)
    assert [measurement.memory_kind for measurement in read] == [*MemoryKind, None]
    assert {measurement.model for measurement in read} == {"yolov5s"}


def test_measurements_are_kept_in_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert remembered_path().name == "measured-here.csv"


@pytest.mark.parametrize(("measured", "lines"), [(ON_GPU, 3), (ON_CPU, 2)])
def test_the_text_leaves_out_what_the_device_does_not_tell(measured, lines):
    text = measured_text(measured)
    assert len(text.splitlines()) == lines
    assert "64.0 images/s" in text
