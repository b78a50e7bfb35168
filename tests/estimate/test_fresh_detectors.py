"""Published runs of ``tools/fresh_rows.py``: how rows become cases, and what is added to a step as it ran."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from fresh_detectors import alone_s, as_it_ran_s, profile_of
from fresh_rows import ROWS, Fresh, fresh_runs

from canitrain.catalog import load_calibration, load_dataset

HEADER = "id,gpu_key,n_gpus,batch_per_gpu,precision,s_per_iter,images_per_s,group_key"


def runs(path: Path, *rows: str) -> list[Fresh]:
    (path / "published.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return fresh_runs(path / "published.csv")


def one(path: Path, number: str) -> Fresh:
    return runs(path, f"{number},v100,8,2,fp32,0.4,,mask")[0]


def test_rows_of_one_configuration_count_once_and_unknown_ones_not_at_all(tmp_path: Path) -> None:
    # The square root of 0.2 s x 0.1 s.
    yolo = "v100-16gb-sxm,1,16,amp fp16"
    found = runs(tmp_path, f"P1834,{yolo},0.2,,a", f"P1836,{yolo},0.1,,a", "P9999,t4,1,1,fp32,1.0,,a")

    assert [each.numbers for each in found] == [("P1834", "P1836")]
    assert found[0].step_s == pytest.approx(0.02**0.5)


def test_two_libraries_with_one_configuration_stay_apart(tmp_path: Path) -> None:
    found = runs(tmp_path, "P0072,v100-sxm,8,2,fp32,,62.0,a", "P0073,v100-sxm,8,2,fp32,,53.0,a")

    # 16 images a step of all eight cards.
    assert [each.step_s for each in found] == [pytest.approx(16 / 62), pytest.approx(16 / 53)]


def test_runs_with_a_part_of_the_layers_are_never_counted() -> None:
    partly = [row for row in ROWS.values() if row.without]

    assert partly
    assert not any(row.counted for row in partly)


def test_an_rpn_alone_has_no_roi_heads() -> None:
    profile = profile_of(ROWS["P0145"], None)

    assert profile is not None
    names = [stage.name for trace in profile.traces.values() for stage in trace.stages]
    assert any(name.startswith("rpn") for name in names)
    assert not any(name.startswith("roi_heads") for name in names)


def test_a_step_of_which_nothing_more_is_known_ran_as_estimated(tmp_path: Path) -> None:
    run, calibration, coco = one(tmp_path, "P0075"), load_calibration(), load_dataset("coco")
    profile = profile_of(run.row, None)
    assert profile is not None

    assert as_it_ran_s(run, profile, coco, calibration) == pytest.approx(alone_s(run, profile, coco, calibration))


@pytest.mark.parametrize("number", ["P0145", "P0167", "P0172", "P0160", "P0278", "P0084"])
def test_host_work_of_a_library_only_lengthens_a_step(tmp_path: Path, number: str) -> None:
    run, calibration, coco = one(tmp_path, number), load_calibration(), load_dataset("coco")
    profile = profile_of(run.row, None)
    assert profile is not None

    assert as_it_ran_s(run, profile, coco, calibration) > alone_s(run, profile, coco, calibration)


def test_masks_that_the_training_process_unpickles_cost_it_their_bytes(tmp_path: Path) -> None:
    # Not more than two images of 1,000,000 pixels and 7.3 objects at 700 MB/s: 21 ms, and not nothing.
    run, calibration, coco = one(tmp_path, "P0160"), load_calibration(), load_dataset("coco")
    profile = profile_of(run.row, None)
    assert profile is not None
    ran = msgspec.structs.replace(run.row.ran, mask_bytes_per_pixel=0.0)
    without = msgspec.structs.replace(run, row=msgspec.structs.replace(run.row, ran=ran))

    extra_s = as_it_ran_s(run, profile, coco, calibration) - as_it_ran_s(without, profile, coco, calibration)

    assert 0.005 < extra_s < 0.025


def test_first_iterations_have_hardly_any_positive_samples(tmp_path: Path) -> None:
    run, calibration, coco = one(tmp_path, "P0072"), load_calibration(), load_dataset("coco")
    profile = profile_of(run.row, None)
    assert profile is not None

    assert as_it_ran_s(run, profile, coco, calibration) < alone_s(run, profile, coco, calibration)
