"""The training loop around a step: how batches reach it, and where it stops to read a result."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from msgspec import Struct

from canitrain.core.errors import InputError
from canitrain.core.evidence import Coefficient
from canitrain.core.profile import ModelProfile
from canitrain.core.recipe import Recipe

PINNED_LOOP = "pinned"
"""The loop of a script whose DataLoader pins; its row says no more than that."""


class StepPart(enum.Enum):
    """Parts of a step after which a loop may read a result from the device, and so wait for it."""

    FORWARD = "forward"
    BACKWARD = "backward"
    UPDATE = "update"


class CopiedPixels(enum.Enum):
    """Which pixels a loop copies to the device."""

    STORED = "stored"
    """As in the file: the model resizes on the device."""
    TRAINED = "trained"
    """Resized by the loader, and padded."""


class TakenOver(enum.Enum):
    """What a loop's loader processes hand over at once."""

    BATCHES = "batches"
    IMAGES = "images"
    """The training process itself puts batches together, of images of one orientation."""


class Loop(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training script's loop, as its source says; rows of ``profiles/calibration/host.toml``."""

    name: str
    libraries: tuple[str, ...] = ()
    """Whose models are trained by it unless another loop is asked for."""
    reads_after: tuple[StepPart, ...] = ()
    """Where it reads a loss in every step, beside what the gradient scaler reads."""
    taken_over: TakenOver = TakenOver.BATCHES
    tensors_per_image: float = 0.0
    """That the training process itself takes over from its loaders; 0 where batches are ready ahead of the step."""
    copied_pixels: CopiedPixels = CopiedPixels.STORED
    bytes_per_pixel: float = 0.0
    """Of images that are copied from pageable memory."""
    mask_bytes_per_pixel: float = 0.0
    """Of each object's mask, copied with its image."""
    taken_s_per_image: Coefficient | None = None
    """What taking over costs by the loop's own logs, in place of a count of batches and tensors."""
    late_batch_ratio: Coefficient | None = None
    """What waiting for the later of two processes' batches adds to a hand-over that nothing hides, each doubling."""
    delays_exchange: bool = False
    """Whether several GPUs exchange their gradients after the backward pass, not during it."""
    source: str


class HandoverCosts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a training process pays for batches that no thread prepared (tools/measure_handover.py)."""

    batch_s: Coefficient
    """Whatever a loader process hands over at once."""
    tensor_s: Coefficient
    mapped_bytes_per_s: Coefficient
    """Of shared memory that becomes its own."""
    copied_bytes_per_s: Coefficient
    """From pageable memory to where the device can fetch it."""


class Handover(Struct, frozen=True, kw_only=True):
    """How one GPU's process comes by its next batch, and what it reads meanwhile."""

    batch_s: float = 0.0
    """Host: taking over a batch, whatever its size."""
    image_s: float = 0.0
    """Host: and each of its images."""
    copied_image_s: float = 0.0
    """Host and device: copying an image to the device, before which the device has to be through with the last step."""
    reads_after: frozenset[StepPart] = frozenset()
    late_ratio: float = 0.0
    """What several processes wait for the last one's batch: share of a hand-over that nothing hides, each doubling."""
    delays_exchange: bool = False

    def taken_s(self, images: int) -> float:
        """Host seconds until a batch is in the training process's hands."""
        return self.batch_s + images * self.image_s

    def copied_s(self, images: int) -> float:
        """Seconds until a batch is on the device."""
        return images * self.copied_image_s


def find_loop(loops: Sequence[Loop], profile: ModelProfile, recipe: Recipe) -> Loop | None:
    """The loop that is asked for, else that of the model's library; ``None`` where nothing is known of it.

    Raises:
        InputError: no loop has that name.
    """
    if recipe.loop is None:
        return next((loop for loop in loops if profile.implementation.library in loop.libraries), None)
    named = next((loop for loop in loops if loop.name == recipe.loop.lower()), None)
    if named is None:
        raise InputError(
            f"there is no training loop {recipe.loop!r}",
            hint=f"there is {', '.join(loop.name for loop in loops)}; without --loop it is the library's own",
        )
    return named
