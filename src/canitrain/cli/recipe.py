"""Options and the implementation's defaults merged into a recipe in which everything is decided."""

from __future__ import annotations

import enum

from msgspec import Struct

from canitrain.core.errors import InputError
from canitrain.core.fact import Known, value_or_none
from canitrain.core.gpu import Vendor
from canitrain.core.hardware import Gpu, Hardware
from canitrain.core.image_size import parse_size
from canitrain.core.profile import ModelProfile, Precision
from canitrain.core.recipe import CacheMode, DeviceChoice, Freeze, Optimizer, Recipe, Strategy, most_workers
from canitrain.core.traced_size import only_size, trained_size
from canitrain.core.units import DAY_S, parse_duration, parse_network
from canitrain.verdict.device import best_kind

DEFAULT_MAX_TIME_S = 7 * DAY_S
"""A run of more than a week is a project; said in the report."""


class PrecisionChoice(enum.Enum):
    """``--precision``; ``auto`` is what the implementation's own script uses."""

    AUTO = "auto"
    FP32 = "fp32"
    AMP = "amp"


class RecipeOptions(Struct, frozen=True, kw_only=True):
    """What was typed; ``None`` leaves it to the implementation."""

    image_size: str | None = None
    batch_size: int | None = None
    epochs: int | None = None
    precision: PrecisionChoice = PrecisionChoice.AUTO
    optimizer: Optimizer | None = None
    workers: int | None = None
    cache: CacheMode = CacheMode.NONE
    device: DeviceChoice = DeviceChoice.AUTO
    nodes: int = 1
    network: str | None = None
    strategy: Strategy | None = None
    freeze: Freeze = Freeze.NONE
    max_time: str | None = None
    price_per_hour: float | None = None
    assume_idle: bool = False
    channels_last: bool = False
    checkpointing: bool = False
    multi_scale: bool = False
    loop: str | None = None

    def refuse_contradictions(self) -> None:
        """Options that cannot both be meant, whatever the model and the machine.

        Raises:
            InputError: several nodes with what only one can do, or a network without them.
        """
        if self.nodes == 1:
            if self.network is not None:
                raise InputError("--network connects several nodes, and there is one", hint="add --nodes 2, or more")
            return
        if self.strategy is Strategy.DP:
            raise InputError(
                f"--strategy dp is one process on one machine, and --nodes {self.nodes} asks for several",
                hint="leave --strategy out: several nodes train with ddp",
            )
        if self.device in (DeviceChoice.CPU, DeviceChoice.MPS):
            raise InputError(
                f"--nodes {self.nodes} is estimated for NVIDIA's, AMD's and Intel's GPUs only, "
                f"not for --device {self.device.value}",
                hint='leave --device out, or describe the GPUs: --gpu "8x A100 80GB"',
            )


def decide_recipe(options: RecipeOptions, profile: ModelProfile, hardware: Hardware) -> Recipe:
    """The recipe: options first, then the implementation's defaults; ``given`` names the fields that were typed.

    Raises:
        InputError: the model cannot take that image size or precision, the optimizer is not known here, or several
            nodes have no GPUs that could work together.
    """
    if options.multi_scale and only_size(profile) is not None:
        raise InputError(
            f"{profile.name} was traced at one image size only, and --multi-scale varies it",
            hint="leave --multi-scale out; models that take it: canitrain models",
        )
    defaults = profile.defaults
    cards = best_kind(hardware, options.device)
    if options.nodes > 1:
        _refuse_nodes_without_gpus(options.nodes, cards, hardware)
    gpus = len(cards) or 1
    asked_size = defaults.image_size if options.image_size is None else parse_size(options.image_size, profile)
    image_size = trained_size(profile, asked_size)
    cores = value_or_none(hardware.cpu.usable_cores)
    workers = defaults.workers if cores is None else min(defaults.workers, most_workers(cores, gpus))
    return Recipe(
        precision=_precision(options.precision, profile, has_amp=bool(cards) and not any(map(_is_apple, cards))),
        optimizer=options.optimizer or _default_optimizer(defaults.optimizer),
        image_size=image_size,
        asked_image_size=None if asked_size == image_size else asked_size,
        batch_size=options.batch_size,
        effective_batch_size=defaults.effective_batch_size,
        epochs=options.epochs or defaults.epochs,
        workers=workers if options.workers is None else options.workers,
        ema=defaults.ema,
        cache=options.cache,
        device=options.device,
        gpus=gpus,
        nodes=options.nodes,
        network_bytes_per_s=None if options.network is None else parse_network(options.network),
        strategy=options.strategy or Strategy.DDP,
        freeze=options.freeze,
        max_time_s=DEFAULT_MAX_TIME_S if options.max_time is None else parse_duration(options.max_time),
        assume_idle=options.assume_idle,
        channels_last=options.channels_last,
        checkpointing=options.checkpointing,
        multi_scale=options.multi_scale,
        loop=options.loop,
        price_per_hour=options.price_per_hour,
        given=_given(options),
    )


def _is_apple(gpu: Gpu) -> bool:
    return gpu.spec is not None and gpu.spec.vendor is Vendor.APPLE


def _refuse_nodes_without_gpus(nodes: int, cards: tuple[Gpu, ...], hardware: Hardware) -> None:
    apple = [gpu.name for gpu in cards if _is_apple(gpu)]
    if not cards and isinstance(hardware.gpus, Known) and not hardware.gpus.value:
        problem = f"--nodes {nodes} needs a GPU in each machine, and this one has none"
    elif apple:
        # Source: PyTorch's table of distributed backends, which has none for MPS.
        problem = f"--nodes {nodes} needs GPUs that can train together, and torch has no way to do so on {apple[0]}"
    else:
        return
    raise InputError(problem, hint='describe the GPUs of each machine: --gpu "8x A100 80GB"')


def _precision(choice: PrecisionChoice, profile: ModelProfile, *, has_amp: bool) -> Precision:
    """The training scripts switch AMP off where there is no CUDA or ROCm device, and so does ``auto``.

    Source: YOLOv5's ``check_amp`` returns False for ``cpu`` and ``mps``; torchvision's references and effdet's train.py
    use ``torch.cuda.amp``.
    """
    match choice:
        case PrecisionChoice.AUTO:
            wanted = profile.defaults.precision if has_amp else Precision.FP32
        case PrecisionChoice.FP32:
            wanted = Precision.FP32
        case PrecisionChoice.AMP:
            wanted = Precision.AMP
    if wanted not in profile.traces and choice is PrecisionChoice.AUTO:
        return next(iter(profile.traces))
    if wanted not in profile.traces:
        there = ", ".join(precision.value for precision in profile.traces)
        raise InputError(
            f"{profile.name} was not traced in {wanted.value}",
            hint=f"there is {there}: --precision {there.split(',')[0]}",
        )
    return wanted


def _default_optimizer(name: str) -> Optimizer:
    known = {optimizer.value: optimizer for optimizer in Optimizer}
    if name not in known:
        raise InputError(
            f"the profile's optimizer {name!r} is not known", hint=f"name one with --optimizer: {', '.join(known)}"
        )
    return known[name]


def _given(options: RecipeOptions) -> tuple[str, ...]:
    """Names of the fields that differ from what leaving them out means."""
    untouched = RecipeOptions()
    return tuple(name for name in RecipeOptions.__struct_fields__ if getattr(options, name) != getattr(untouched, name))
