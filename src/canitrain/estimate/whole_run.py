"""Every estimate of one run at one batch size."""

from __future__ import annotations

from canitrain.core.calibration import Calibration
from canitrain.core.evidence import Evidence, EvidenceLevel
from canitrain.core.question import Question, RunEstimate
from canitrain.core.report import OF_THE_CARD, Bottleneck, EvidenceSummary, Scaling, StageMemory
from canitrain.core.target import CpuTarget
from canitrain.estimate.feed import feed
from canitrain.estimate.gpu_scaling import gpu_scaling, last_that_helps, obstacle_after, shares_of
from canitrain.estimate.launches import host_slowness, launch_basis
from canitrain.estimate.memory_by_batch import memory_by_batch
from canitrain.estimate.memory_evidence import memory_evidence
from canitrain.estimate.memory_timeline import memory_timeline
from canitrain.estimate.run_time import run_time
from canitrain.estimate.shapes import memory_shape, time_shape
from canitrain.estimate.step_time import step_time
from canitrain.estimate.time_evidence import time_evidence

MOSTLY_STARTS = (
    "most of the step is starts of kernels too small for the card, fitted on loops that waited for it after each step "
    "and perhaps too dear for today's"
)
MEASURE_LAUNCHES = (
    "canitrain measure on that machine says how long a step takes there; CUDA graphs and torch.compile, which spare "
    "launches, are not counted on"
)
"""What to do where launches decide; no loop of the built-in models' libraries uses either by default."""


def whole_run(question: Question, batch_size: int, calibration: Calibration) -> RunEstimate:
    """Memory of GPU, host and disk, and the time of the run, at ``batch_size`` images a GPU and step."""
    hardware, profile, dataset, recipe = question.hardware, question.profile, question.dataset, question.recipe
    return RunEstimate(
        batch_size=batch_size,
        memory=memory_by_batch(question, calibration)(batch_size).memory,
        time=run_time(
            profile,
            recipe,
            dataset,
            batch_size,
            question.device,
            hardware,
            feed(profile, recipe, dataset, hardware, calibration.host, on_cpu=question.on_cpu),
            calibration.time,
        ),
    )


def evidence(question: Question, calibration: Calibration) -> EvidenceSummary:
    """What the estimates of ``question`` rest on."""
    profile, target = question.profile, question.target
    if isinstance(target, CpuTarget):
        detail = f"live tensors traced from {profile.implementation.release}, resident memory of processes as measured"
        memory = Evidence(level=EvidenceLevel.GENERATION, detail=detail)
    else:
        memory = memory_evidence(profile, target.card, calibration.memory)
    return EvidenceSummary(memory=memory, time=time_evidence(profile, question.device, calibration.time))


def loader_warnings(question: Question, calibration: Calibration) -> tuple[str, ...]:
    """What the input pipeline had to assume, and settings that will not do what they promise."""
    return feed(
        question.profile,
        question.recipe,
        question.dataset,
        question.hardware,
        calibration.host,
        on_cpu=question.on_cpu,
    ).warnings


def launch_warnings(question: Question, run: RunEstimate, calibration: Calibration) -> tuple[str, ...]:
    """What the launches of ``run`` rest on, where the step waits for them or would on a slow host.

    A device busy with starting kernels is bound by launches too, but by what the fit of its curves says of them.
    """
    if question.on_cpu:
        return ()
    costs, parts = calibration.time.launch, run.time.parts
    slowness = host_slowness(question.hardware, costs)
    if run.time.bottleneck is Bottleneck.LAUNCHES and parts.compute_s > parts.launches_s:
        return (f"{MOSTLY_STARTS}: {MEASURE_LAUNCHES}",)
    if run.time.bottleneck is Bottleneck.LAUNCHES:
        waits = "the step waits for launches, estimated for"
    elif run.time.bottleneck in OF_THE_CARD and parts.launches_s * slowness.high > parts.compute_s * slowness.expected:
        waits = "a slower host would make the step wait for launches, estimated for"
    else:
        return ()
    basis = launch_basis(question.hardware, costs)
    return (f"{waits} {basis}: {MEASURE_LAUNCHES}",)


def scaling(question: Question, batch_size: int, calibration: Calibration) -> Scaling | None:
    """What each of the GPUs and nodes adds, at ``batch_size`` on each GPU; ``None`` where there are not several."""
    recipe, target = question.recipe, question.target
    if isinstance(target, CpuTarget) or recipe.all_gpus == 1:
        return None
    shares = shares_of(recipe)
    rows = gpu_scaling(
        question.profile,
        shares,
        question.dataset,
        batch_size=batch_size,
        card=target.card,
        hardware=question.hardware,
        feeds=[
            feed(question.profile, share, question.dataset, question.hardware, calibration.host) for share in shares
        ],
        calibration=calibration.time,
    )
    useful = last_that_helps(rows)
    return Scaling(
        rows=rows,
        useful_gpus=useful.gpus,
        useful_nodes=useful.nodes,
        obstacle=obstacle_after(rows, useful, recipe.strategy),
    )


def stages(question: Question, run: RunEstimate, calibration: Calibration) -> tuple[StageMemory, ...]:
    """The memory timeline of the step of ``run``, and its device seconds by stage (``--explain``)."""
    profile, recipe, dataset, hardware = question.profile, question.recipe, question.dataset, question.hardware
    step = step_time(
        profile,
        recipe,
        time_shape(profile, recipe, dataset, run.batch_size),
        question.device,
        slowness=host_slowness(hardware, calibration.time.launch).expected,
        bench=hardware.bench,
        calibration=calibration.time,
    )
    # What was measured on this machine put the run right; its stages follow.
    update_s = run.time.parts.optimizer_s
    put_right = update_s / step.optimizer_s if step.optimizer_s else 1.0
    return memory_timeline(
        profile,
        recipe,
        memory_shape(profile, recipe, dataset, run.batch_size),
        {stage: stage_s * put_right for stage, stage_s in step.stages_s().items()},
        calibration.memory,
    )
