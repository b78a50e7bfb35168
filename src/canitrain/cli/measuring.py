"""What a measurement joins: the profile's recipe, the shapes that COCO's images give, and the library's own model."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from canitrain import catalog
from canitrain.accuracy import recipe_of
from canitrain.core.accuracy import Measurement
from canitrain.core.errors import InputError
from canitrain.core.image_size import parse_size
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ModelProfile, Precision, SizeRule
from canitrain.core.recipe import Optimizer, Recipe
from canitrain.estimate.shapes import memory_shape, time_shape
from canitrain.measure import Measured, Training

if TYPE_CHECKING:
    from canitrain.measure.run import Shape

DATASET = "coco"
"""Whose image sizes and boxes the synthetic batches have, as ``accuracy`` assumes by default."""
MEMORY_STEPS = 2
"""Of the memory run after its warm-up: in the second of them accumulated gradients are alive from the start."""


def run_here(
    profile: ModelProfile,
    *,
    batch_size: int | None,
    steps: int,
    image_size: str | None,
    precision: Precision | None,
    optimizer: Optimizer | None,
    channels_last: bool,
) -> Measured:
    """Measure ``profile``'s model on this machine; ``None`` stands for the implementation's default.

    Memory is measured on the largest batch that the dataset can produce, time on the mean one, each as ``check``
    estimates it.

    Raises:
        InputError: the image size, or the profile's spec, means nothing, or the user's file is not here.
        MissingDependencyError: the model's library is not installed.
    """
    from canitrain.measure.run import has_gpu, measure  # noqa: PLC0415 - torch comes with the subject
    from canitrain.trace.own_code import own_code  # noqa: PLC0415
    from canitrain.trace.spec import of_a_file, subject_of  # noqa: PLC0415

    spec = profile.implementation.spec
    guard = own_code(f"{spec} does not train") if of_a_file(spec) else nullcontext()
    _refuse_file_elsewhere(profile)
    if image_size is not None:
        parse_size(image_size, profile)
    subject = subject_of(spec)
    if precision is None and not has_gpu():
        precision = Precision.FP32  # as the training scripts, and `check`, do on a CPU
    recipe = _recipe(profile, batch_size, image_size, precision, optimizer)
    dataset = catalog.load_dataset(DATASET)
    size = recipe.batch_size or profile.defaults.batch_size
    largest, mean = (
        step_shape(shape(profile, recipe, dataset, size), recipe, profile) for shape in (memory_shape, time_shape)
    )
    training = Training(
        batch_size=size,
        precision=recipe.precision,
        optimizer=recipe.optimizer,
        ema=recipe.ema,
        accumulation_steps=max(1, round(recipe.effective_batch_size / size)),
        gradients_until_backward=subject.gradients_until_backward,
        channels_last=channels_last,
    )
    label = _size_label(recipe, profile)
    with guard:
        memory = (
            measure(profile.name, subject.build, largest, training, image_size=label, steps=MEMORY_STEPS)
            if has_gpu()
            else None
        )
        timed = measure(profile.name, subject.build, mean, training, image_size=label, steps=steps)
    if memory is None:
        return timed
    return msgspec.structs.replace(
        timed,
        allocated_bytes=memory.allocated_bytes,
        reserved_bytes=memory.reserved_bytes,
        device_bytes=memory.device_bytes,
    )


def _refuse_file_elsewhere(profile: ModelProfile) -> None:
    """A profile names the user's file without its folder, so that nobody's paths are in it."""
    file = profile.implementation.spec.rpartition(":")[0]
    if file.endswith(".py") and not Path(file).is_file():
        raise InputError(
            f"{profile.name} was traced from {file}, which is not in this folder", hint=f"run this where {file} lies"
        )


def step_shape(shape: BatchShape, recipe: Recipe, profile: ModelProfile) -> Shape:
    """``shape`` as whole sides: the recipe's own where the image is fixed, else the padded shorter side first."""
    boxes = max(1, round(shape.boxes))
    size, divisor = recipe.image_size, profile.divisor
    if profile.size_rule is SizeRule.SQUARE:
        return shape.batch_size, size.shorter, size.longer, boxes
    shorter = math.ceil(size.shorter / divisor) * divisor
    longer = max(divisor, round(shape.pixels / shorter / divisor) * divisor)
    return shape.batch_size, shorter, longer, boxes


def _recipe(
    profile: ModelProfile,
    batch_size: int | None,
    image_size: str | None,
    precision: Precision | None,
    optimizer: Optimizer | None,
) -> Recipe:
    """As ``accuracy`` will read the measurement back."""
    return recipe_of(
        Measurement(
            row=1,
            model=profile.name,
            image_size=image_size,
            batch_size=batch_size or profile.defaults.batch_size,
            gpus=1,
            gpu="",
            precision=precision.value if precision else None,
            optimizer=optimizer.value if optimizer else None,
            memory_kind=None,
            memory_bytes=None,
            step_s=None,
            images_per_s=None,
            source=None,
        ),
        profile,
    )


def _size_label(recipe: Recipe, profile: ModelProfile) -> str:
    size = recipe.image_size
    if profile.size_rule is SizeRule.SQUARE and size.shorter == size.longer:
        return str(size.shorter)
    return f"{size.shorter}x{size.longer}"
