"""Which device a run uses, how much of it, and when that cannot be told."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from runs import CARD, GIB, GPU, HARDWARE, REPORT, known

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import Generation, GpuSpec, Vendor
from canitrain.core.hardware import Gpu, Hardware
from canitrain.core.recipe import DeviceChoice
from canitrain.core.report import Status
from canitrain.core.target import CpuTarget, GpuTarget, NoTarget
from canitrain.verdict.device import choose_target, left_out, target_label

FAST = replace(CARD, name="Fast", fp16_flops_per_s=300e12, memory_bytes=40 * GIB)
APPLE = replace(CARD, name="M2", vendor=Vendor.APPLE)
RADEON = replace(CARD, name="MI250", vendor=Vendor.AMD)
ARC = replace(CARD, name="Arc", vendor=Vendor.INTEL)


def gpu(index: int, spec: GpuSpec | None, free_gib: float | None = 11.0) -> Gpu:
    free: Known[int] | Unknown = Unknown(reason="not told") if free_gib is None else known(int(free_gib * GIB))
    return replace(GPU, index=index, name=spec.name if spec else "Mystery", spec=spec, free_bytes=free)


def machine(*gpus: Gpu) -> Hardware:
    return replace(HARDWARE, gpus=known(gpus))


def test_no_gpu_falls_back_to_the_cpu() -> None:
    target = choose_target(machine(), REPORT.recipe)

    assert isinstance(target, CpuTarget)
    assert "no GPU" in target_label(target)


def test_unreadable_gpus_are_unknown_and_not_the_cpu() -> None:
    target = choose_target(replace(HARDWARE, gpus=Unknown(reason="NVML is broken")), REPORT.recipe)

    assert isinstance(target, NoTarget)
    assert target.status is Status.UNKNOWN
    assert "NVML is broken" in target.reason


def test_a_card_that_nobody_knows_is_unknown() -> None:
    target = choose_target(machine(gpu(0, None)), REPORT.recipe)

    assert isinstance(target, NoTarget)
    assert target.status is Status.UNKNOWN
    assert "Mystery" in target.reason


@pytest.mark.parametrize(
    ("choice", "spec", "fits"),
    [
        (DeviceChoice.CUDA, CARD, True),
        (DeviceChoice.CUDA, RADEON, True),
        (DeviceChoice.CUDA, APPLE, False),
        (DeviceChoice.CUDA, ARC, False),
        (DeviceChoice.MPS, APPLE, True),
        (DeviceChoice.MPS, CARD, False),
        (DeviceChoice.AUTO, ARC, True),
    ],
)
def test_device_choice_by_vendor(choice: DeviceChoice, spec: GpuSpec, fits: bool) -> None:  # noqa: FBT001
    target = choose_target(machine(gpu(0, spec)), replace(REPORT.recipe, device=choice))

    assert isinstance(target, GpuTarget if fits else NoTarget)
    assert fits or target.status is Status.NO_GO


def test_cpu_can_be_asked_for_beside_a_gpu() -> None:
    target = choose_target(machine(gpu(0, CARD)), replace(REPORT.recipe, device=DeviceChoice.CPU))

    assert isinstance(target, CpuTarget)
    assert target.chosen


def test_the_faster_kind_trains_and_the_other_stays_idle() -> None:
    hardware = machine(gpu(0, CARD), gpu(1, FAST), gpu(2, FAST))
    target = choose_target(hardware, replace(REPORT.recipe, gpus=2))

    assert isinstance(target, GpuTarget)
    assert [each.index for each in target.gpus] == [1, 2]
    assert [each.index for each in left_out(hardware, target)] == [0]
    assert target_label(target) == "2x Fast"


def test_cards_of_one_chip_share_a_run_whatever_their_memory() -> None:
    big = replace(CARD, name="Big", memory_bytes=24 * GIB, memory_bytes_per_s=2 * CARD.memory_bytes_per_s)
    target = choose_target(machine(gpu(0, CARD, 10.0), gpu(1, big, 20.0)), replace(REPORT.recipe, gpus=2))

    assert isinstance(target, GpuTarget)
    assert len(target.gpus) == 2
    assert target.budget_bytes == 10.0 * GIB
    assert target.card is CARD  # the slower memory of the two, whichever is fuller
    assert choose_target(machine(gpu(0, CARD, 10.0), gpu(1, big, 5.0)), replace(REPORT.recipe, gpus=2)).card is CARD


@pytest.mark.parametrize(
    "other",
    [
        replace(CARD, name="Other", multiprocessors=CARD.multiprocessors - 1),
        replace(CARD, name="Other", generation=Generation.ADA),
        replace(CARD, name="Other", fp32_flops_per_s=0.89 * CARD.fp32_flops_per_s),
    ],
)
def test_another_chip_or_a_much_slower_clock_is_another_kind(other: GpuSpec) -> None:
    target = choose_target(machine(gpu(0, CARD), gpu(1, other)), replace(REPORT.recipe, gpus=2))

    assert isinstance(target, GpuTarget)
    assert len(target.gpus) == 1


def test_the_card_with_least_free_memory_decides() -> None:
    hardware = machine(gpu(0, CARD, 10.0), gpu(1, CARD, 3.0), gpu(2, CARD, 7.0))
    target = choose_target(hardware, replace(REPORT.recipe, gpus=3))

    assert isinstance(target, GpuTarget)
    assert target.weakest.index == 1
    assert target.budget_bytes == 3.0 * GIB


def test_one_gpu_is_the_one_with_most_free_memory() -> None:
    target = choose_target(machine(gpu(0, CARD, 3.0), gpu(1, CARD, 10.0)), replace(REPORT.recipe, gpus=1))

    assert isinstance(target, GpuTarget)
    assert target.weakest.index == 1


def test_assume_idle_counts_on_the_whole_card() -> None:
    recipe = replace(REPORT.recipe, assume_idle=True)
    target = choose_target(machine(gpu(0, CARD, 1.0)), recipe)

    assert isinstance(target, GpuTarget)
    assert target.budget_bytes == 12 * GIB


def test_unread_free_memory_leaves_the_budget_open() -> None:
    target = choose_target(machine(gpu(0, CARD, None)), REPORT.recipe)

    assert isinstance(target, GpuTarget)
    assert target.budget_bytes is None
    assert "not told" in target.budget_reason
