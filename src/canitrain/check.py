"""The pipeline in one screen: check(hardware, profile, dataset, recipe, calibration, cards) -> Report."""

from __future__ import annotations

from msgspec.structs import replace

from canitrain.core.accuracy import Measurement
from canitrain.core.calibration import Calibration
from canitrain.core.dataset import Dataset
from canitrain.core.evidence import Evidence, EvidenceLevel
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Hardware
from canitrain.core.model_summary import ModelSummary
from canitrain.core.profile import ModelProfile
from canitrain.core.question import Estimator, Question
from canitrain.core.recipe import Recipe
from canitrain.core.report import EvidenceSummary, Reason, Recommendation, Report, Resource
from canitrain.core.target import CpuTarget, NoTarget
from canitrain.core.traced_size import refuse_untraced_size
from canitrain.core.version import VERSION
from canitrain.estimate.estimates import Estimates
from canitrain.estimate.fullest import mark_fullest
from canitrain.estimate.measured_here import corrected_evidence, find_correction, is_of
from canitrain.estimate.whole_run import evidence, launch_warnings, loader_warnings, scaling, stages
from canitrain.verdict.advice import advise
from canitrain.verdict.cards import suitable_cards
from canitrain.verdict.device import choose_target, target_label
from canitrain.verdict.plan import make_plan
from canitrain.verdict.rules import verdict_of
from canitrain.verdict.warnings import warnings_of


def check(  # noqa: PLR0917  the inputs of DESIGN section 1, in its order
    hardware: Hardware,
    profile: ModelProfile,
    dataset: Dataset,
    recipe: Recipe,
    calibration: Calibration,
    cards: tuple[GpuSpec, ...] = (),
    measurements: tuple[Measurement, ...] = (),
) -> Report:
    """Whether ``profile`` trains on ``hardware`` by ``recipe``, with which batch, how long, and what would help.

    Args:
        hardware: The machine; facts may be unknown, and one that decides makes the verdict unknown.
        profile: The traced model; its traces hold ``recipe.precision``.
        dataset: Counts and means of the images.
        recipe: A fully decided run.
        calibration: Fitted coefficients, from ``profiles/calibration/``.
        cards: Catalog cards to try in place of the machine's own.
        measurements: Runs of ``canitrain measure`` on ``hardware``.

    Returns:
        The report; its figures are at ``recipe.batch_size``, or at the recommended batch where that is ``None``.

    Raises:
        InputError: ``profile`` was traced at one image size only, which is not the recipe's.
    """
    refuse_untraced_size(profile, recipe.image_size)
    estimate = Estimates(calibration=calibration)
    target = choose_target(hardware, recipe)
    device = CpuTarget(cpu=hardware.cpu, chosen=False) if isinstance(target, NoTarget) else target
    question = Question(hardware=hardware, profile=profile, dataset=dataset, recipe=recipe, target=device)
    if isinstance(target, NoTarget):
        return _undecided(question, target, cards, estimate)
    if measurements:
        # canitrain measure runs on one GPU of one machine.
        alone = replace(question, recipe=replace(recipe, gpus=1, nodes=1))
        measured_at = sorted({row.batch_size for row in measurements if is_of(alone, row)})
        correction = find_correction(alone, [estimate(alone, size) for size in measured_at], measurements)
        estimate = Estimates(calibration=calibration, correction=correction)
    plan = make_plan(question, estimate)
    measured = estimate.correction is not None and estimate.correction.time_ratio is not None
    return Report(
        version=VERSION,
        verdict=plan.verdict,
        recommendation=plan.recommendation,
        model=_summary(profile),
        dataset=dataset,
        recipe=recipe,
        hardware=hardware,
        device=target_label(target, recipe.nodes),
        batch_size=plan.run.batch_size,
        evidence=corrected_evidence(evidence(question, calibration), estimate.correction),
        memory=plan.run.memory,
        time=plan.run.time,
        batches=plan.rows,
        advice=advise(question, plan, estimate),
        cards=suitable_cards(question, cards, estimate, plan),
        explain=mark_fullest(
            stages(question, plan.run, calibration), question, plan.run.batch_size, calibration.memory
        ),
        scaling=scaling(question, plan.run.batch_size, calibration),
        warnings=(
            *warnings_of(question, plan),
            *loader_warnings(question, calibration),
            *(() if measured else launch_warnings(question, plan.run, calibration)),
        ),
    )


DESCRIBE_INSTEAD = 'for an estimate all the same, say which GPUs there are: --gpu "RTX 3060" (names: canitrain gpus)'
"""The way on where the machine does not tell what it would train on."""


def _undecided(question: Question, target: NoTarget, cards: tuple[GpuSpec, ...], estimate: Estimator) -> Report:
    """The report without a device to estimate on: the reason, and the cards that would do."""
    recipe = question.recipe
    nothing = Evidence(level=EvidenceLevel.DATASHEET, detail="nothing was estimated")
    return Report(
        version=VERSION,
        verdict=verdict_of((Reason(resource=Resource.HARDWARE, status=target.status, message=target.reason),)),
        recommendation=Recommendation(
            batch_size=None,
            precision=recipe.precision,
            accumulation_steps=1,
            workers=recipe.workers,
            image_size=recipe.image_size,
            batch_reason=target.reason,
        ),
        model=_summary(question.profile),
        dataset=question.dataset,
        recipe=recipe,
        hardware=question.hardware,
        device=target_label(target),
        batch_size=None,
        evidence=EvidenceSummary(memory=nothing, time=nothing),
        memory=None,
        time=None,
        batches=(),
        advice=(),
        cards=suitable_cards(question, cards, estimate),
        explain=(),
        warnings=(*question.hardware.warnings, DESCRIBE_INSTEAD),
    )


def _summary(profile: ModelProfile) -> ModelSummary:
    return ModelSummary(
        name=profile.name,
        title=profile.title,
        family=profile.family,
        implementation=profile.implementation,
        parameters=profile.parameters,
        trainable_parameters=profile.trainable_parameters,
        classes=profile.classes,
        defaults_source=profile.defaults.source,
    )
