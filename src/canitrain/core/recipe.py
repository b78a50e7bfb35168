"""How the run trains: every option decided, from the command line or the implementation's defaults."""

from __future__ import annotations

import enum

from msgspec import Struct

from canitrain.core.profile import ImageSize, Precision


class Optimizer(enum.Enum):
    """Optimizers by what they keep for each parameter."""

    SGD = "sgd"
    """No momentum, no state."""
    SGD_MOMENTUM = "sgd-momentum"
    ADAM = "adam"
    ADAMW = "adamw"
    RMSPROP = "rmsprop"


class CacheMode(enum.Enum):
    """Where decoded images are kept between epochs."""

    NONE = "none"
    RAM = "ram"
    DISK = "disk"


class Strategy(enum.Enum):
    """How several GPUs share a step."""

    DDP = "ddp"
    """One process a GPU, gradients averaged."""
    DP = "dp"
    """``DataParallel``: one process, GPU 0 holds the outputs."""


class Freeze(enum.Enum):
    """Which stages get no gradient beyond the implementation's own choice."""

    NONE = "none"
    BACKBONE = "backbone"


class DeviceChoice(enum.Enum):
    """Where to train."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fully decided training run; ``given`` names the fields that the user set."""

    precision: Precision
    optimizer: Optimizer
    image_size: ImageSize
    """At which the library trains."""
    asked_image_size: ImageSize | None = None
    """What was asked for, where the library rounds it to ``image_size``."""
    batch_size: int | None
    """Images a GPU and step; ``None`` asks for the largest that fits."""
    effective_batch_size: int
    epochs: int
    workers: int
    """Loader processes a GPU process."""
    ema: bool
    cache: CacheMode = CacheMode.NONE
    device: DeviceChoice = DeviceChoice.AUTO
    gpus: int = 1
    """How many of the machine's GPUs train."""
    nodes: int = 1
    """Machines like this one that train together, each with ``gpus`` GPUs."""
    network_bytes_per_s: float | None = None
    """Line rate of one node's network; ``None`` where it was not said."""
    strategy: Strategy = Strategy.DDP
    freeze: Freeze = Freeze.NONE
    max_time_s: float
    assume_idle: bool = False
    """Budget is the whole card, not what is free now."""
    channels_last: bool = False
    checkpointing: bool = False
    """Activation checkpointing by stage."""
    foreach: bool = True
    """Optimizer updates all tensors at once, with temporaries (torch's default on CUDA)."""
    loop: str | None = None
    """Whose training loop runs the step; ``None`` is that of the model's library."""
    multi_scale: bool = False
    """YOLOv5's ``--multi-scale``: sides vary by +-50 %."""
    validation: bool = True
    price_per_hour: float | None = None
    given: tuple[str, ...] = ()

    @property
    def all_gpus(self) -> int:
        """GPUs that share a step, over all nodes."""
        return self.gpus * self.nodes


def most_workers(usable_cores: float, gpus: int) -> int:
    """Loader processes a GPU that an undecided recipe takes at most: a core each, as YOLOv5's own loader does.

    Source: ``create_dataloader`` of YOLOv5: ``min(cores // devices, batch size, workers)``.
    """
    return max(1, int(usable_cores) // gpus)
