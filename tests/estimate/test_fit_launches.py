"""Which published steps ``tools/fit_launches.py`` takes for the host's alone, and what it makes of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pencil import PROFILE

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from fit_launches import LaunchRow, fit, host_bound_rows, predicted_s

from canitrain.catalog import load_calibration

KNOWN = load_calibration()
HEADER = "source,model,gpu_key,precision,s_per_iter"


def rows_of(path: Path, *lines: str) -> list[LaunchRow]:
    (path / "published.csv").write_text("\n".join([HEADER, *(f"ryujaehun/x,{line}" for line in lines)]) + "\n")
    return host_bound_rows(path, {"pencil": PROFILE}, KNOWN)


def test_a_step_that_half_precision_hardly_shortens_is_the_host_s(tmp_path: Path) -> None:
    # 0.085 of 0.1 s; on the other card 0.07 of 0.1 s.
    found = rows_of(
        tmp_path,
        "pencil,a100-40gb-sxm,fp32/tf32,0.1",
        "pencil,a100-40gb-sxm,fp16 (model.half()),0.085",
        "pencil,titan-rtx,fp32,0.1",
        "pencil,titan-rtx,fp16 (model.half()),0.07",
    )
    assert [(row.model, row.host, row.step_s) for row in found] == [("pencil", 0, 0.085)]


def test_the_fit_finds_what_made_the_steps() -> None:
    # 3 times as slow, 20 us a call, the second host 1.5 times as slow as the first.
    made = [
        LaunchRow(model=str(place), host=host, library_kernels=calls, other_s=other_s, copied_s=0.001, step_s=0.0)
        for place, (host, calls, other_s) in enumerate([(0, 100, 2e-3), (0, 400, 2e-3), (1, 100, 5e-3), (1, 300, 1e-3)])
    ]
    made = [
        LaunchRow(
            model=row.model,
            host=row.host,
            library_kernels=row.library_kernels,
            other_s=row.other_s,
            copied_s=row.copied_s,
            step_s=predicted_s([3.0, 20e-6, 1.5], row),
        )
        for row in made
    ]
    assert fit(made) == pytest.approx([3.0, 20e-6, 1.5], rel=1e-3)
