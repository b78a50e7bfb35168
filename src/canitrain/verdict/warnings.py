"""What a person should know besides the verdict, each with what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from canitrain.core.fact import Known
from canitrain.core.profile import Precision
from canitrain.core.question import Question
from canitrain.core.report import Status
from canitrain.core.target import GpuTarget
from canitrain.core.units import counted, format_network, format_number
from canitrain.verdict.batches import AS_FAST_RATIO, accumulation_steps, recipe_limit, update_ratio
from canitrain.verdict.device import left_out
from canitrain.verdict.plan import Plan

PACKAGES = frozenset({"torchvision", "timm", "effdet", "yolov5", "ultralytics"})
"""Libraries of models by their package names; a file of the user's is none."""
FAR_FROM_RECIPE = 0.2
"""How far images an update may lie from the recipe's before the learning rate should follow; a judgement of ours."""

RAISE_RATE = "raise the learning rate with it, warm it up, and expect to need more epochs for the same accuracy"
"""What larger updates ask for. Source: Goyal et al. 2017 (arXiv 1706.02677) and McCandlish et al. 2018 (1812.06162)."""


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
    # That a process uses one MIG slice of several is the probe's to say.
    sliced = question.target.weakest.mig
    idle = [gpu for gpu in left_out(question.hardware, question.target) if not (sliced and gpu.mig)]
    if idle:
        names = ", ".join(f"GPU {gpu.index} ({gpu.name})" for gpu in idle)
        yield f"{names} would stay idle: cards of different kinds hold each other up in one run"


def _image_size(question: Question) -> Iterator[str]:
    asked, size = question.recipe.asked_image_size, question.recipe.image_size
    if asked is not None:
        library, stride = question.profile.implementation.library, question.profile.divisor
        yield (
            f"--image-size {asked.text} is trained at {size.text}: {library} rounds up to a multiple of its "
            f"stride, {stride}"
        )


def _batch(question: Question, plan: Plan) -> Iterator[str]:
    batch_size = plan.run.batch_size
    images = question.dataset.images
    whole = batch_size * question.recipe.all_gpus
    if whole > images:
        there = "1 image that there is" if images == 1 else f"{images:,} images that there are"
        yield f"a batch of {whole:,} is more than the {there}"
    if question.profile.implementation.library not in PACKAGES and question.recipe.batch_size is not None:
        return  # a file of the user's has no recipe but the one that was given
    limit, ratio = recipe_limit(question), update_ratio(question, batch_size)
    if abs(ratio - 1) <= FAR_FROM_RECIPE:
        return
    steps, effective = accumulation_steps(question, batch_size), question.recipe.effective_batch_size
    if images < effective and whole <= effective:
        count = counted(images, "image")
        yield f"{count} cannot fill the recipe's effective batch of {effective:,}: lower the learning rate with it"
        return
    far = f"an update after {whole * steps:,} images is {format_number(ratio)}x the recipe's {effective:,}"
    if batch_size <= limit:
        kept = limit // math.ceil(limit / batch_size)
        # One image on each GPU may already be more than the recipe's.
        if kept < batch_size:
            accumulated = f"--batch-size {kept} with {accumulation_steps(question, kept)} accumulation steps"
            yield f"{far}: scale the learning rate with it, or take {accumulated}"
        else:
            yield f"{far}: {RAISE_RATE}"
        return
    yield f"{far}: {RAISE_RATE}{_keeping(plan, limit)}"


def _keeping(plan: Plan, limit: int) -> str:
    """The recipe's own batch and what it costs in images a second; nothing where memory does not surely hold it."""
    own = plan.run.time.images_per_s
    kept = next((each for each in plan.candidates if each.batch_size == limit), None)
    if kept is None or kept.status is not Status.GO:
        return ""
    rate = kept.run.time.images_per_s
    cost = ", which is as fast" if rate >= AS_FAST_RATIO * own else f" ({_rate(rate)} instead of {_rate(own)} images/s)"
    return f", or keep to the recipe with --batch-size {limit}{cost}"


def _rate(images_per_s: float) -> str:
    return f"{images_per_s:,.0f}" if images_per_s >= 9.95 else f"{images_per_s:.1f}"  # noqa: PLR2004  # two figures


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
