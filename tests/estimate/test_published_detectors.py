"""What ``tools/published_detectors.py`` knows of published runs of detectors, beside their seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from published_detectors import LAST_SSD, MASK, SSD, Case, logged_handovers, published_cases

HEADER = "family,source,model,variant,backbone,batch_per_gpu,n_gpus,gpu_key,precision,s_per_iter,images_per_s,notes"


def row(gpus: int, precision: str, note: str) -> str:
    return f'mask_rcnn,lambdal/x,Mask R-CNN,,R50-FPN,10,{gpus},v100-16gb,{precision},0.7,,"{note}"'


def log(path: Path) -> dict[Case, float]:
    notes = [(1, "fp32", 0.04), (1, "amp O1", 0.06), (1, "amp O1", 0.08), (8, "amp O1", 0.1)]
    rows = [row(gpus, kind, f"last median 0.69 s, run mean 0.7 s, data {s} s; log") for gpus, kind, s in notes]
    (path / "published.csv").write_text("\n".join([HEADER, *rows, row(2, "fp32", "no log")]) + "\n")
    return logged_handovers(path / "published.csv")


def case(source: str = "benchmark", model: str = MASK, gpus: int = 1, precision: str = "amp") -> Case:
    card = "Tesla V100-SXM2-16GB" if gpus in {1, 8} else "A100-SXM4-40GB"
    return Case(source=source, model=model, card=card, gpus=gpus, batch_size=10, precision=precision)


def test_a_log_says_how_long_a_run_waits_for_each_image(tmp_path: Path) -> None:
    # Ten images a step: 0.04 s a step are 4 ms an image; two runs of one case, 6 and 8 ms, have a mean of 7.
    logged = log(tmp_path)

    assert logged == pytest.approx({case(precision="fp32"): 0.004, case(): 0.007, case(gpus=8): 0.01})


def test_each_run_has_its_own_loop_and_ssd_gets_its_images_ready() -> None:
    assert case().loop == case(source="NVIDIA 20.06").loop == "maskrcnn-benchmark"
    assert case(source="NVIDIA 21.12").loop is None
    assert case(model=SSD).loop is None
    assert case(source="detectron2").loop == "detectron2"


def test_layout_and_casts_are_those_of_the_release() -> None:
    assert case(source=LAST_SSD, model=SSD).channels_last
    assert not case(source=LAST_SSD, model=SSD, precision="fp32").channels_last
    assert case(source="NVIDIA 21.12").channels_last
    assert not case(source="NVIDIA 21.12").casts_with_apex
    assert case().casts_with_apex


@pytest.mark.parametrize(
    ("source", "table_date", "precision", "to_end"),
    [
        ("lambdal/V100/PyTorch_SSD_FP32/08-03-2020_22-05-33.txt", "2023-01-30", "fp32", False),
        ("lambdal/V100/PyTorch_SSD_AMP/08-03-2020_22-35-45.txt", "2023-01-30", "amp", True),
        ("lambdal/V100/PyTorch_SSD_FP32/31-10-2020_15-46-01.txt", "2023-01-30", "fp32", True),
        ("DeepLearningExamples", "2019-09-12", "fp32", False),
        ("DeepLearningExamples", "2023-01-30", "fp32", True),
    ],
)
def test_ssd300_in_fp32_was_timed_until_all_was_launched_before_october_2020(
    tmp_path: Path, source: str, table_date: str, precision: str, *, to_end: bool
) -> None:
    key = "v100-16gb-sxm" if source == "DeepLearningExamples" else "v100-16gb"
    header = (
        "framework_version,model,source_date,family,source,variant,backbone,batch_per_gpu,n_gpus,gpu_key,precision,"
    )
    values = f"NGC 19.08,SSD300 v1.1,{table_date},ssd,{source},,R50,48,1,{key},{precision},"
    (tmp_path / "published.csv").write_text(f"{header}s_per_iter,images_per_s,notes\n{values}0.35,,\n")
    (found,) = published_cases(tmp_path / "published.csv")
    assert found.model == SSD
    assert found.timed_to_end is to_end
