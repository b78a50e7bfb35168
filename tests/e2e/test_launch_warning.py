"""A run that waits for launches says what their cost was estimated for, and what would tell more."""

from __future__ import annotations

import pytest
from commands import Terminal, report

from canitrain.core.report import Bottleneck

YOLO = {"model": "yolov5n"}
SMALL = ("--batch-size", "2", "--precision", "amp")


def told(terminal: Terminal, *options: str, **where: str) -> list[str]:
    return [warning for warning in report(terminal, *options, **where)["warnings"] if "launches, estimated" in warning]


def test_a_step_that_waits_for_launches_names_the_host_it_was_estimated_for(terminal: Terminal) -> None:
    found = report(terminal, *SMALL, **YOLO)
    assert found["time"]["bottleneck"] == Bottleneck.LAUNCHES.value

    (warning,) = told(terminal, *SMALL, **YOLO)
    assert warning.startswith("the step waits for launches, estimated for torch 2.")
    assert "GHz" in warning
    assert "canitrain measure" in warning
    assert "CUDA graphs" in warning
    assert warning in " ".join(terminal.check(*SMALL, **YOLO).out.split())


def test_described_cards_run_with_today_s_torch_beside_the_probed_cpu(terminal: Terminal) -> None:
    (warning,) = told(terminal, *SMALL, "--gpu", "H100", **YOLO)
    assert "today's torch on a core of" in warning
    assert "the probed CPU's" in warning


def test_a_step_that_only_a_slower_host_would_launch_too_slowly_says_so(terminal: Terminal) -> None:
    (warning,) = told(terminal, *SMALL, "--gpu", "H100", model="retinanet")
    assert warning.startswith("a slower host would make the step wait for launches")


def test_a_device_busy_with_starting_kernels_says_where_that_is_known_from(terminal: Terminal) -> None:
    found = report(terminal, "--batch-size", "2", "--precision", "fp32", "--gpu", "V100 16GB", model="efficientdet-d0")
    assert found["time"]["bottleneck"] == Bottleneck.LAUNCHES.value
    assert found["time"]["parts"]["compute_s"] > found["time"]["parts"]["launches_s"]

    assert not any("launches, estimated" in warning for warning in found["warnings"])
    (warning,) = [warning for warning in found["warnings"] if "starts of kernels" in warning]
    assert "canitrain measure" in warning


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (("--batch-size", "4", "--precision", "fp32"), {"model": "fasterrcnn"}),
        (("--device", "cpu", "--batch-size", "2"), YOLO),
    ],
    ids=["a busy card", "on the CPU"],
)
def test_a_step_that_launches_cannot_hold_up_says_nothing(
    terminal: Terminal, options: tuple[str, ...], where: dict[str, str]
) -> None:
    assert told(terminal, *options, **where) == []
