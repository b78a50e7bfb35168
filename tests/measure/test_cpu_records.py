"""The committed comparison of torch's memory records with the profiles (tools/measure_all.py on a CPU)."""

import csv
from pathlib import Path

import pytest

from canitrain.catalog import load_model
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import Phase, Precision

RECORDS = Path(__file__).parents[2] / "profiles" / "measurements" / "cpu_memory_records.csv"
ROWS = list(csv.DictReader(RECORDS.read_text(encoding="utf-8").splitlines()))


def test_every_family_was_recorded():
    recorded = {load_model(row["model"]).family for row in ROWS}
    assert recorded >= {"yolov5", "fasterrcnn", "retinanet", "fcos", "ssd", "efficientdet"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["model"])
def test_a_profile_replays_the_live_bytes_that_torch_recorded_in_a_real_step(row):
    at = BatchShape(
        batch_size=int(row["batch_size"]), pixels=int(row["height"]) * int(row["width"]), boxes=int(row["boxes"])
    )
    replayed = max(
        peak.live_bytes.at(at) + (peak.gradient_bytes if peak.phase is Phase.BACKWARD else 0)
        for peak in load_model(row["model"]).traces[Precision.FP32].peaks
    )
    # The CPU's kernels keep a little scratch inside, so a replay is at most as high, and at most 3 % lower.
    assert -0.03 < replayed / float(row["recorded_bytes"]) - 1 < 0.005
