"""The search of the largest batch on real profiles: exact, and of the same memory as the report's."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from canitrain import catalog
from canitrain.cli.recipe import RecipeOptions, decide_recipe
from canitrain.core.calibration import Calibration
from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Hardware
from canitrain.core.profile import ModelProfile
from canitrain.core.question import Question
from canitrain.core.recipe import DeviceChoice, Strategy
from canitrain.core.report import Status
from canitrain.core.unknown_machine import unknown_machine
from canitrain.estimate.estimates import Estimates
from canitrain.estimate.gpu_memory import gpu_memory
from canitrain.estimate.shapes import memory_shape
from canitrain.verdict.batches import LARGEST_BATCH, batch_status, largest_batch
from canitrain.verdict.device import choose_target

GIB = 2**30
MODELS = ("yolov5s", "fasterrcnn", "efficientdet-d0", "resnet50")
MACHINE = unknown_machine("made up", "made up")
EASE = settings(max_examples=25, deadline=None, derandomize=True)


@functools.cache
def model(name: str) -> ModelProfile:
    return catalog.load_model(name)


@functools.cache
def calibration() -> Calibration:
    return catalog.load_calibration()


def asked(
    name: str, *, free_gib: float = 10.0, ram_gib: float | None = 256.0, gpus: int = 1, **options: Any
) -> Question:
    cards = catalog.describe_gpus(f"{gpus}x RTX 3060")
    free = Known(value=int(free_gib * GIB), source="made up")
    ram = Unknown(reason="made up") if ram_gib is None else Known(value=int(ram_gib * GIB), source="made up")
    machine: Hardware = replace(
        MACHINE,
        gpus=Known(value=tuple(replace(card, free_bytes=free) for card in cards), source="made up"),
        ram=replace(MACHINE.ram, usable_bytes=ram),
    )
    recipe = decide_recipe(RecipeOptions(**options), model(name), machine)
    target = choose_target(machine, recipe)
    dataset = replace(catalog.load_dataset("coco"), images=10**6)
    return Question(hardware=machine, profile=model(name), dataset=dataset, recipe=recipe, target=target)


@EASE
@given(
    name=st.sampled_from(MODELS),
    free_gib=st.floats(0.1, 400.0),
    ram_gib=st.one_of(st.none(), st.floats(1.0, 64.0)),
    device=st.sampled_from([DeviceChoice.AUTO, DeviceChoice.CPU]),
)
def test_the_batch_found_fits_and_the_next_does_not(
    name: str, free_gib: float, ram_gib: float | None, device: DeviceChoice
) -> None:
    question = asked(name, free_gib=free_gib, ram_gib=ram_gib, device=device)
    estimate = Estimates(calibration=calibration())
    found = largest_batch(question, estimate)

    if found is not None:
        assert batch_status(question, estimate(question, found)) is Status.GO
    if found != LARGEST_BATCH:
        assert batch_status(question, estimate(question, (found or 0) + 1)) is not Status.GO


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize(
    "options", [{}, {"multi_scale": True}, {"gpus": 4}, {"gpus": 4, "strategy": Strategy.DP}, {"checkpointing": True}]
)
@pytest.mark.parametrize("name", MODELS)
def test_memory_by_batch_is_the_memory_of_that_batch(name: str, options: dict[str, Any], batch_size: int) -> None:
    question = asked(name, **options)
    found = Estimates(calibration=calibration()).memory(question)(batch_size).memory.gpu
    shape = memory_shape(question.profile, question.recipe, question.dataset, batch_size)

    assert found == gpu_memory(
        question.profile, question.recipe, shape, question.target.card, calibration().memory,
        total_bytes=question.target.total_bytes, budget_bytes=question.target.budget_bytes,
    )  # fmt: skip
