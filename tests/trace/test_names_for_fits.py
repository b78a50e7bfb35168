"""What ``tools/trace_for_fits.py`` would trace follows from the measured runs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from trace_for_fits import names


def test_each_fit_traces_the_models_of_its_runs_once(tmp_path: Path) -> None:
    (tmp_path / "timm_memory_a100_40gb.csv").write_text("model,batch_size\nvgg16,8\nvgg16,16\nresnet18,8\n")
    (tmp_path / "timm_speed.csv").write_text("model,mode\nresnet50.a1_in1k,train\nresnet50.tv_in1k,infer\n")
    (tmp_path / "published.csv").write_text("model,source\nalexnet,ryujaehun/x\nalexnet,ryujaehun/y\nbert,other\n")

    assert names("memory", tmp_path) == ["vgg16", "resnet18"]
    assert names("time", tmp_path) == ["resnet50"]
    assert names("torchvision", tmp_path) == ["alexnet"]
