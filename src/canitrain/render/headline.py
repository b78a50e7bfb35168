"""The answer in one sentence, and the sentences that say what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from canitrain.core.fact import Known, Unknown
from canitrain.core.hardware import Gpu
from canitrain.core.network import NetworkUse
from canitrain.core.recipe import most_workers
from canitrain.core.report import OF_THE_CARD, CardOption, Reason, Report, Resource, Scaling, Status
from canitrain.core.units import counted, format_bytes, format_duration, format_network
from canitrain.render.figures import duration_interval, images_per_s, shows
from canitrain.render.words import BOTTLENECK, CACHE, OPTIMIZER, PRECISION, STORAGE, image_size


def answer(report: Report) -> str:
    """What a reader who stops after one line should know."""
    title, device, status = report.model.title, report.device, report.verdict.status
    match status:
        case Status.GO:
            return f"{title} trains on {device}: {_run_in(report)}"
        case Status.TIGHT:
            return f"{title} {_tightly(report)}: {deciding_reason(report)}"
        case Status.NO_GO:
            return f"{title} {_CANNOT[_deciding_resource(report)]} on {device}: {deciding_reason(report)}"
        case Status.UNKNOWN:
            return f"Cannot tell whether {title} trains on {device}: {deciding_reason(report)}"
        case _:
            assert_never(status)


ALIKE_RATIO = 1.1
"""Slowest / fastest run up to which cards count as equally fast; a judgement of ours."""
_CANNOT = {
    Resource.GPU_MEMORY: "does not fit",
    Resource.RAM: "lacks RAM to train",
    Resource.SHM: "does not fit",
    Resource.DISK: "lacks disk space to train",
    Resource.TIME: "takes too long",
    Resource.SOFTWARE: "cannot train",
    Resource.HARDWARE: "cannot train",
}


def _tightly(report: Report) -> str:
    """In which way it is tight: more likely not to fit, fit with a change first, or fit with little to spare."""
    device, resource = report.device, _deciding_resource(report)
    gpu = None if report.memory is None else report.memory.gpu
    if resource is Resource.GPU_MEMORY and gpu is not None and gpu.budget_bytes is not None:
        if gpu.required_bytes.expected > gpu.budget_bytes:
            return f"may not fit on {device}"
    elif resource in (Resource.SHM, Resource.SOFTWARE) or (resource is Resource.DISK and _is_read_only(report)):
        return f"trains on {device}, but see to this first"
    return f"trains on {device}, but only just"


def _is_read_only(report: Report) -> bool:
    writable = report.hardware.storage.writable
    return isinstance(writable, Known) and not writable.value


def other_reasons(report: Report) -> tuple[Reason, ...]:
    """The findings that are no go and that the answer does not already tell."""
    told = deciding_reason(report)
    return tuple(
        reason
        for reason in report.verdict.reasons
        if reason.status is not Status.GO and not (reason.message == told and reason.status is report.verdict.status)
    )


def other_warnings(report: Report) -> tuple[str, ...]:
    """The warnings that no reason already tells."""
    told = {deciding_reason(report), *(reason.message for reason in other_reasons(report))}
    return tuple(warning for warning in report.warnings if warning not in told)


def deciding_reason(report: Report) -> str:
    """The message of the first reason that is as bad as the verdict."""
    for reason in report.verdict.reasons:
        if reason.status is report.verdict.status:
            return reason.message
    return "no reason was recorded"


def _deciding_resource(report: Report) -> Resource:
    deciding = [reason.resource for reason in report.verdict.reasons if reason.status is report.verdict.status]
    return deciding[0] if deciding else Resource.HARDWARE


def run_line(report: Report) -> str:
    """Batch, precision, epochs, images, size, optimizer and workers of the run that the figures speak of."""
    recipe, chosen = report.recipe, report.recommendation
    batch = "batch not decided" if report.batch_size is None else f"batch {report.batch_size}"
    if recipe.all_gpus > 1:
        batch += f" on each of {recipe.all_gpus} GPUs"
    if recipe.nodes > 1:
        batch += f" in {recipe.nodes} nodes"
    if chosen.accumulation_steps > 1 and report.batch_size == chosen.batch_size:
        batch += f" x {chosen.accumulation_steps} accumulated"
    parts = [
        batch,
        PRECISION[recipe.precision],
        f"{counted(recipe.epochs, 'epoch')} of {counted(report.dataset.images, 'image')}",
        f"at {image_size(recipe.image_size)}",
        OPTIMIZER[recipe.optimizer],
        counted(recipe.workers, "loader worker"),
        CACHE[recipe.cache],
    ]
    return ", ".join(parts)


def recommendation_line(report: Report) -> str:
    """Which batch to use, and what keeps it from being larger."""
    chosen = report.recommendation
    if chosen.batch_size is None:
        return f"no batch is recommended: {chosen.batch_reason}"
    steps = chosen.accumulation_steps
    accumulated = f" with {steps} accumulation steps" if steps > 1 else ""
    fewer = chosen.workers != report.recipe.workers
    workers = f", and --workers {chosen.workers} to fit into /dev/shm" if fewer else ""
    return f"batch {chosen.batch_size}{accumulated} is recommended: {chosen.batch_reason}{workers}"


def scaling_line(scaling: Scaling) -> str:
    """``images/s on 1=400, 2=770; with 2 nodes=1500``: by GPUs and nodes, and where another one stops helping."""
    inside, across = ([row for row in scaling.rows if (row.nodes > 1) is several] for several in (False, True))
    counts = ", ".join(f"{row.gpus}={images_per_s(row.images_per_s)}" for row in inside)
    if across:
        counts += "; with " + ", ".join(f"{row.nodes} nodes={images_per_s(row.images_per_s)}" for row in across)
    if scaling.useful_gpus == scaling.rows[-1].gpus:
        return f"images/s on {counts}"
    full_node = scaling.useful_gpus == inside[-1].gpus * scaling.useful_nodes
    useful = counted(scaling.useful_nodes, "node") if across and full_node else f"{scaling.useful_gpus}"
    if scaling.obstacle is None:
        why = "steps get faster, but what each epoch does besides them (start, validation, checkpoint) takes longer"
    else:
        why = f"they wait for {BOTTLENECK[scaling.obstacle]}"
    return f"images/s on {counts}; beyond {useful} another brings little: {why}"


def network_line(use: NetworkUse) -> str:
    """What the nodes send each other in a step, how long it takes, and how much of that the step waits for."""
    assumed = " (assumed)" if use.assumed else ""
    if use.exposed_s >= use.exchange_s:
        waits = "none hidden"
    elif shows(use.exposed_s):
        waits = f"{format_duration(use.exposed_s)} of it not hidden under the backward pass"
    else:
        waits = "all of it hidden"
    return (
        f"each of {use.nodes} nodes sends {format_bytes(use.sent_bytes)} of gradients a step at "
        f"{format_network(use.bytes_per_s)}{assumed}: {format_duration(use.exchange_s)}, {waits}"
    )


def cost_line(report: Report, cost: float) -> str:
    """The cost of the run, and at which price of how many machines."""
    nodes = f" for each of {report.recipe.nodes} nodes" if report.recipe.nodes > 1 else ""
    return f"about {cost:,.2f} at {report.recipe.price_per_hour:,.12g} an hour{nodes}"


def cards_line(cards: Sequence[CardOption]) -> str | None:
    """Why the fastest of the cards take as long as each other, where it is not the cards that are waited for."""
    fastest_s = min((card.total_s for card in cards), default=0.0)
    fastest = [card for card in cards if card.total_s <= ALIKE_RATIO * fastest_s]
    waits = {card.bottleneck for card in fastest}
    (bottleneck,) = waits if len(waits) == 1 else (None,)
    if len(fastest) == 1 or bottleneck is None or bottleneck in OF_THE_CARD:
        return None
    return f"the fastest {len(fastest)} are alike: they wait for {BOTTLENECK[bottleneck]}"


def machine_line(report: Report) -> str:
    """Processor, cores, RAM, disk and GPUs of the machine, each ``unknown`` where it could not be read."""
    machine = report.hardware
    usable, logical = machine.cpu.usable_cores, machine.cpu.logical_cores
    if isinstance(usable, Known):
        cores = counted(usable.value, "usable core")
        if isinstance(logical, Known) and logical.value > usable.value:
            cores = f"{usable.value:g} of {logical.value} cores usable"
    else:
        cores = "cores unknown"
    kind = machine.storage.kind
    parts = [
        _cpu_name(machine.cpu.model),
        cores,
        f"{_size(machine.ram.total_bytes)} RAM",
        f"data on {STORAGE[kind.value]}" if isinstance(kind, Known) else "disk of unknown kind",
        _gpus(machine.gpus),
    ]
    each = f"each of {report.recipe.nodes} nodes: " if report.recipe.nodes > 1 else ""
    return each + ", ".join(parts)


def defaults_line(report: Report) -> str:
    """Which of the recipe's values are the implementation's own, which the cores', and which were given."""
    recipe = report.recipe
    values = {
        "epochs": counted(recipe.epochs, "epoch"),
        "image_size": image_size(recipe.image_size),
        "optimizer": OPTIMIZER[recipe.optimizer],
        "precision": PRECISION[recipe.precision],
    }
    limited = _workers_by_cores(report)
    if not limited:
        values["workers"] = counted(recipe.workers, "worker")
    defaults = [text for name, text in values.items() if name not in recipe.given]
    source = report.model.defaults_source or report.model.implementation.library
    own = f"{', '.join(defaults)} ({source})" if defaults else ""
    cores = f"{counted(recipe.workers, 'worker')}, no more than there are cores for" if limited else ""
    given = [name.replace("_", " ") for name in recipe.given]
    yours = f"given: {', '.join(given)}" if given else ""
    return "; ".join(text for text in (own, cores, yours) if text)


def _workers_by_cores(report: Report) -> bool:
    """Whether the workers, which nobody gave, are as many as the cores allow."""
    recipe, cores = report.recipe, report.hardware.cpu.usable_cores
    if "workers" in recipe.given or not isinstance(cores, Known):
        return False
    return recipe.workers == most_workers(cores.value, recipe.gpus)


def _run_in(report: Report) -> str:
    batch = f"batch {report.batch_size}, {PRECISION[report.recipe.precision]}, {counted(report.recipe.epochs, 'epoch')}"
    return batch if report.time is None else f"{batch} in {duration_interval(report.time.total_s)}"


def _cpu_name(model: Known[str] | Unknown) -> str:
    return " ".join(model.value.split()) if isinstance(model, Known) else "unknown CPU"


def _size(size_bytes: Known[int] | Unknown) -> str:
    return format_bytes(size_bytes.value) if isinstance(size_bytes, Known) else "unknown"


def _gpus(gpus: Known[tuple[Gpu, ...]] | Unknown) -> str:
    if isinstance(gpus, Unknown):
        return f"GPUs unknown ({gpus.reason})"
    if not gpus.value:
        return "no GPU"
    counts: dict[str, int] = {}
    for gpu in gpus.value:
        name = f"{gpu.name} ({_size(gpu.total_bytes)})"
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(name if count == 1 else f"{count}x {name}" for name, count in counts.items())
