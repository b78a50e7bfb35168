"""The optimizer's update, the gradient scaler and the EMA copy: memory traffic and launches."""

from __future__ import annotations

import math

from msgspec import Struct

from canitrain.core.profile import ModelProfile, Precision
from canitrain.core.recipe import Freeze, Recipe
from canitrain.core.time_calibration import TimeCalibration


class UpdateWork(Struct, frozen=True, kw_only=True):
    """What a step does after the backward pass."""

    traffic_bytes: float
    kernels: float


def trained_parameter_bytes(profile: ModelProfile, recipe: Recipe) -> float:
    """Bytes of the parameters that get a gradient: all that the recipe leaves trainable."""
    if recipe.freeze is Freeze.NONE:
        return profile.trainable_parameter_bytes
    trace = profile.traces[recipe.precision]
    return sum(stage.trainable_parameter_bytes for stage in trace.stages if not stage.backbone)


def update_work(profile: ModelProfile, recipe: Recipe, calibration: TimeCalibration) -> UpdateWork:
    """Bytes moved and kernels launched by optimizer, gradient scaler (AMP) and EMA.

    The EMA copy is updated tensor by tensor in Python, as YOLOv5 and effdet do.
    """
    trained_bytes = trained_parameter_bytes(profile, recipe)
    trained_tensors = profile.trainable_parameter_tensors * trained_bytes / max(profile.trainable_parameter_bytes, 1)
    cost = next(row for row in calibration.optimizer if row.optimizer is recipe.optimizer)
    tensors_per_kernel = calibration.launch.foreach_tensors_per_kernel.value if recipe.foreach else 1.0
    traffic_bytes = trained_bytes * cost.passes
    kernels = cost.kernels_per_tensor * math.ceil(trained_tensors / tensors_per_kernel)
    if recipe.precision is Precision.AMP:
        traffic_bytes += trained_bytes * calibration.unscale_passes.value
    if recipe.ema:
        traffic_bytes += (profile.parameter_bytes + profile.buffer_bytes) * calibration.ema_passes.value
        kernels += profile.parameter_tensors * calibration.ema_kernels_per_tensor.value
    return UpdateWork(traffic_bytes=traffic_bytes, kernels=kernels)
