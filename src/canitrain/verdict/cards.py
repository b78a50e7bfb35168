"""Catalog cards on which the same run would do."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Gpu
from canitrain.core.question import Estimator, Question
from canitrain.core.report import CardOption, Resource, Status
from canitrain.core.severity import SEVERITY
from canitrain.core.target import CpuTarget, GpuTarget
from canitrain.verdict.advice import LEAST_SPEEDUP
from canitrain.verdict.batches import (
    AS_FAST_RATIO,
    batch_steps,
    dataset_limit,
    keeps_recipe,
    largest_batch,
    recipe_limit,
)
from canitrain.verdict.plan import Plan, replan

COMMON_CARDS = (
    "Tesla T4",
    "GeForce RTX 3060",
    "GeForce RTX 4060 Ti 16GB",
    "GeForce RTX 3090",
    "L4",
    "GeForce RTX 4090",
    "GeForce RTX 5090",
    "A100-SXM4-40GB",
    "L40S",
    "A100-SXM4-80GB",
    "H100 80GB HBM3",
)
"""Cards that people own or rent, from cheap to dear: an editorial choice, not a measurement. Names of the catalog."""
MOST_CARDS = 5


MENDED_OTHERWISE = (Resource.SOFTWARE, Resource.SHM, Resource.DISK)
"""What another card does not mend."""


def suitable_cards(
    question: Question, cards: Sequence[GpuSpec], estimate: Estimator, plan: Plan | None = None
) -> tuple[CardOption, ...]:
    """Up to five of the common cards among ``cards`` that would do, spread from the slowest to the fastest.

    One idle card of each, at the batch size given, else at the one up to the recipe's that ``check`` would
    recommend for it; the machine around it stays as it is. Beside a ``plan`` for what the machine has, only cards
    that better it.
    """
    by_name = {card.name: card for card in cards}
    tried = (_option(question, by_name[name], estimate) for name in COMMON_CARDS if name in by_name)
    better = (option for option in tried if option is not None and (plan is None or _betters(option, question, plan)))
    slowest_first = sorted(better, key=lambda option: -option.total_s)
    if len(slowest_first) <= MOST_CARDS:
        return tuple(slowest_first)
    gaps = (len(slowest_first) - 1) / (MOST_CARDS - 1)
    return tuple(slowest_first[round(index * gaps)] for index in range(MOST_CARDS))


def _betters(option: CardOption, question: Question, plan: Plan) -> bool:
    """Whether the verdict is better with that card, or as good and the run faster than on the processor."""
    step = SEVERITY.index(option.status) - SEVERITY.index(plan.verdict.status)
    if isinstance(question.target, CpuTarget):
        return step < 0 or (step == 0 and option.total_s * LEAST_SPEEDUP <= plan.run.time.total_s.expected)
    short = {reason.resource for reason in plan.reasons if reason.status is not Status.GO}
    return step < 0 and not short.issubset(MENDED_OTHERWISE)


def _option(question: Question, card: GpuSpec, estimate: Estimator) -> CardOption | None:
    # What is installed now says nothing about a machine with that card.
    software = replace(question.hardware.software, torch=Unknown(reason="another machine"), obstacles=())
    alone = replace(
        question,
        hardware=replace(question.hardware, software=software),
        recipe=replace(question.recipe, gpus=1, nodes=1, network_bytes_per_s=None),
        target=idle(card),
    )
    given = question.recipe.batch_size
    plan = _up_to_recipe(alone, estimate) if given is None else replan(alone, estimate, given)
    gpu = plan.run.memory.gpu
    assert gpu is not None
    likely_runs = gpu.required_bytes.expected <= card.usable_bytes
    if not likely_runs or plan.verdict.status not in (Status.GO, Status.TIGHT):
        return None
    return CardOption(
        name=card.name,
        status=plan.verdict.status,
        batch_size=plan.run.batch_size,
        device_bytes=gpu.device_bytes.expected,
        total_s=plan.run.time.total_s.expected,
        bottleneck=plan.run.time.bottleneck,
    )


def _up_to_recipe(question: Question, estimate: Estimator) -> Plan:
    """At the largest batch up to the recipe's, or the largest that keeps it just so where that is as fast."""
    # Where no batch surely fits, the smallest may.
    largest = largest_batch(question, estimate, min(dataset_limit(question), recipe_limit(question))) or 1
    plan = replan(question, estimate, largest)
    kept = [each for each in batch_steps(largest, largest) if keeps_recipe(question, each)]
    if not kept or kept[-1] == largest:
        return plan
    even = replan(question, estimate, kept[-1])
    return even if even.run.time.images_per_s >= AS_FAST_RATIO * plan.run.time.images_per_s else plan


def idle(card: GpuSpec) -> GpuTarget:
    """One ``card`` with nothing else on it."""
    unread = Unknown(reason="a card of the catalog")
    memory = Known(value=card.usable_bytes, source=card.source)
    gpu = Gpu(
        index=0,
        name=card.name,
        vendor=Known(value=card.vendor.value, source=card.source),
        uuid=unread,
        total_bytes=memory,
        free_bytes=memory,
        compute_capability=unread,
        multiprocessors=Known(value=card.multiprocessors, source=card.source),
        boost_hz=Known(value=card.boost_hz, source=card.source),
        memory_hz=unread,
        memory_bus_bits=unread,
        pcie_bytes_per_s=unread,
        power_limit_w=unread,
        laptop=Known(value=card.laptop, source=card.source),
        spec=card,
    )
    return GpuTarget(
        gpus=(gpu,),
        weakest=gpu,
        card=card,
        total_bytes=float(card.usable_bytes),
        budget_bytes=float(card.usable_bytes),
        budget_reason="the whole card",
    )
