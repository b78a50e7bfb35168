"""What a person should know besides the verdict, each with what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from canitrain.core.fact import Known
from canitrain.core.profile import ImageSize, Precision
from canitrain.core.question import Question
from canitrain.core.target import GpuTarget
from canitrain.core.units import format_network
from canitrain.verdict.batches import accumulation_steps, recipe_limit, update_ratio
from canitrain.verdict.device import left_out
from canitrain.verdict.plan import Plan

PACKAGES = frozenset({"torchvision", "timm", "effdet", "yolov5", "ultralytics"})
"""Libraries of models by their package names; a file of the user's is none."""
FAR_FROM_RECIPE = 0.2
"""How far images an update may lie from the recipe's before the learning rate should follow; a judgement of ours."""


def warnings_of(question: Question, plan: Plan) -> tuple[str, ...]:
    """The probe's warnings, the dataset's notes, oddities of GPUs, what is unusual in this run; none twice."""
    found = [
        *_of_the_machine(question),
        *question.dataset.notes,
        *_gpu_notes(question),
        *_idle_gpus(question),
        *_image_size(question),
        *_batch(question, plan),
        *_precision(question),
        *_strategy(question),
        *_nodes(plan),
        *_library(question),
    ]
    return tuple(dict.fromkeys(found))


def _of_the_machine(question: Question) -> Iterator[str]:
    """The probe's warnings, but for what keeps torch from a card that stays idle."""
    idle = left_out(question.hardware, question.target) if isinstance(question.target, GpuTarget) else ()
    irrelevant = {obstacle for gpu in idle for obstacle in gpu.obstacles}
    if isinstance(question.target, GpuTarget):
        irrelevant -= {obstacle for gpu in question.target.gpus for obstacle in gpu.obstacles}
    yield from (warning for warning in question.hardware.warnings if warning not in irrelevant)


def _gpu_notes(question: Question) -> Iterator[str]:
    if isinstance(question.target, GpuTarget):
        for gpu in question.target.gpus:
            yield from (f"GPU {gpu.index}: {note}" for note in gpu.notes)


def _idle_gpus(question: Question) -> Iterator[str]:
    if not isinstance(question.target, GpuTarget):
        return
    idle = left_out(question.hardware, question.target)
    if idle:
        names = ", ".join(f"GPU {gpu.index} ({gpu.name})" for gpu in idle)
        yield f"{names} would stay idle: cards of different kinds hold each other up in one run"


def _image_size(question: Question) -> Iterator[str]:
    asked, size = question.recipe.asked_image_size, question.recipe.image_size
    if asked is not None:
        library, stride = question.profile.implementation.library, question.profile.divisor
        yield (
            f"--image-size {_sides(asked)} is trained at {_sides(size)}: {library} rounds up to a multiple of its "
            f"stride, {stride}"
        )


def _sides(size: ImageSize) -> str:
    return str(size.shorter) if size.shorter == size.longer else f"{size.shorter}x{size.longer}"


def _batch(question: Question, plan: Plan) -> Iterator[str]:
    batch_size = plan.run.batch_size
    images = question.dataset.images
    whole = batch_size * question.recipe.all_gpus
    if whole > images:
        yield f"a batch of {whole} is more than the {images:,} images that there are"
    limit = recipe_limit(question)
    if batch_size > limit:
        ratio = whole / question.recipe.effective_batch_size
        yield (
            f"a batch of {whole} is {ratio:.2g}x the recipe's {question.recipe.effective_batch_size}: "
            "scale the learning rate with it, or ask for the recipe's with --batch-size"
        )
    steps, ratio = accumulation_steps(question, batch_size), update_ratio(question, batch_size)
    if batch_size <= limit and abs(ratio - 1) > FAR_FROM_RECIPE:
        kept = limit // math.ceil(limit / batch_size)
        yield (
            f"an update after {whole * steps} images is {ratio:.2g}x the recipe's "
            f"{question.recipe.effective_batch_size}: scale the learning rate with it, or take "
            f"--batch-size {kept} with {accumulation_steps(question, kept)} accumulation steps"
        )


def _precision(question: Question) -> Iterator[str]:
    target = question.target
    if question.recipe.precision is Precision.AMP and not isinstance(target, GpuTarget):
        yield "AMP was asked for on a CPU, where training scripts switch it off: --precision fp32 is what they run"


def _strategy(question: Question) -> Iterator[str]:
    """A way to share a step that was asked for where there is nothing to share."""
    recipe = question.recipe
    if "strategy" in recipe.given and recipe.all_gpus == 1:
        where = "one GPU" if isinstance(question.target, GpuTarget) else "the CPU"
        yield f"--strategy {recipe.strategy.value} changes nothing: the run is on {where}"


def _nodes(plan: Plan) -> Iterator[str]:
    network = plan.run.time.network
    if network is not None and network.assumed:
        speed = format_network(network.bytes_per_s)
        yield f"what connects the {network.nodes} nodes was not said; {speed} is assumed (set --network)"


def _library(question: Question) -> Iterator[str]:
    """Torch is there and the model's library is not; without torch the probe already says what to install."""
    software = question.hardware.software
    library = question.profile.implementation.library
    installed = {package.name for package in software.libraries}
    if isinstance(software.torch, Known) and library in PACKAGES and library not in installed:
        yield f"{library} is not installed, which this model trains with: pip install {library}"
