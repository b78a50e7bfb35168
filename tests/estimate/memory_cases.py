"""Pencil-made inputs of the memory estimate."""

from __future__ import annotations

from typing import Any

import msgspec

from canitrain.catalog.calibration import load_calibration
from canitrain.core.dataset import Dataset
from canitrain.core.evidence import Coefficient, EvidenceLevel
from canitrain.core.gpu import Generation, GpuSpec, Vendor
from canitrain.core.memory_calibration import Context, MemoryCalibration, Spread, Workspace
from canitrain.core.polynomial import Polynomial
from canitrain.core.profile import (
    Convolution,
    Defaults,
    ImageSize,
    Implementation,
    ModelProfile,
    Peak,
    Phase,
    Precision,
    SizeRule,
    Stage,
    Trace,
)
from canitrain.core.recipe import Optimizer, Recipe

MIB_BYTES = 2**20


def number(value: float) -> Coefficient:
    return Coefficient(value=value, unit="any", source="made up")


def workspace(**changes: float) -> Workspace:
    values = {"dense": 0.0, "grouped": 0.0, "other": 0.0, **changes}
    return Workspace(**{name: number(value) for name, value in values.items()})


def calibration(**changes: Any) -> MemoryCalibration:
    """No workspace, no slack, a context of 100 MiB, intervals of +-10 %."""
    context = Context(
        least=number(25 * MIB_BYTES),
        low=number(50 * MIB_BYTES),
        expected=number(100 * MIB_BYTES),
        high=number(200 * MIB_BYTES),
    )
    plain = MemoryCalibration(
        context={},
        context_other=context,
        matrix_workspace=workspace(),
        vector_workspace=workspace(),
        blas_workspace={},
        blas_workspace_default=number(0.0),
        slack_live_ratio=number(0.0),
        slack_weights_ratio=number(0.0),
        slack_untraced_ratio=number(0.0),
        slack_multi_scale_ratio=number(0.0),
        validation_high_ratio=number(1.0),
        required_low_ratio=number(0.8),
        checkpoint_kept_ratio=number(0.0),
        spread={level: Spread(low=number(0.9), high=number(1.1)) for level in EvidenceLevel},
        spread_erratic={level: Spread(low=number(0.9), high=number(1.5)) for level in EvidenceLevel},
        erratic_channels=number(8),
        erratic_pixels=number(1000),
        fitted_generations=(),
        fitted_libraries=(),
    )
    return msgspec.structs.replace(plain, **changes)


def shipped() -> MemoryCalibration:
    return load_calibration().memory


def card(generation: Generation = Generation.AMPERE, **changes: Any) -> GpuSpec:
    plain = GpuSpec(
        name="Test",
        vendor=Vendor.NVIDIA,
        generation=generation,
        memory_bytes=12 * 2**30,
        memory_bytes_per_s=4e11,
        fp32_flops_per_s=1e13,
        multiprocessors=28,
        boost_hz=1.7e9,
        source="made up",
    )
    return msgspec.structs.replace(plain, **changes)


def trace(**changes: Any) -> Trace:
    """Backbone saves 8 bytes a pixel, head 2; the peak is the head's backward at 12, the backbone's at 9."""
    plain = Trace(
        stages=(
            Stage(
                name="backbone",
                backbone=True,
                parameter_bytes=3000,
                trainable_parameter_bytes=3000,
                saved_bytes=Polynomial(bp=8.0),
            ),
            Stage(
                name="head",
                parameter_bytes=1096,
                trainable_parameter_bytes=1096,
                saved_bytes=Polynomial(bp=2.0),
            ),
        ),
        peaks=(
            Peak(stage="head", phase=Phase.BACKWARD, live_bytes=Polynomial(bp=12.0), gradient_bytes=0, convolution=0),
            Peak(stage="backbone", phase=Phase.BACKWARD, live_bytes=Polynomial(bp=9.0), gradient_bytes=1096),
        ),
        convolutions=(
            Convolution(
                in_channels=8,
                out_channels=1,
                kernel=(3, 3),
                count=Polynomial(one=1.0),
                input_pixels=Polynomial(bp=1.0),
                output_pixels=Polynomial(bp=1.0),
            ),
        ),
        fit_shapes=((1, 64, 64, 1),),
        check_shapes=((2, 128, 128, 1),),
        check_live_error=(0.0,),
        check_flops_error=(0.0,),
    )
    return msgspec.structs.replace(plain, **changes)


def profile(**changes: Any) -> ModelProfile:
    """4,096 bytes of weights in 2 tensors, 512 bytes of buffers, the trace above in both precisions."""
    plain = ModelProfile(
        name="toy",
        title="Toy",
        family="toy",
        implementation=Implementation(library="toys", version="1", torch="2", spec="toys:toy", license="MIT"),
        defaults=Defaults(
            image_size=ImageSize(shorter=64, longer=64),
            batch_size=4,
            effective_batch_size=4,
            epochs=1,
            optimizer="sgd",
            precision=Precision.FP32,
            ema=False,
            workers=1,
            source="made up",
        ),
        size_rule=SizeRule.SQUARE,
        divisor=32,
        classes=2,
        parameters=1024,
        trainable_parameters=1024,
        parameter_bytes=4096,
        trainable_parameter_bytes=4096,
        buffer_bytes=512,
        parameter_tensors=2,
        trainable_parameter_tensors=2,
        largest_parameter_bytes=3000,
        traced_on="2026-01-01",
        traces={Precision.FP32: trace(), Precision.AMP: trace()},
    )
    return msgspec.structs.replace(plain, **changes)


def recipe(**changes: Any) -> Recipe:
    plain = Recipe(
        precision=Precision.FP32,
        optimizer=Optimizer.SGD,
        image_size=ImageSize(shorter=64, longer=64),
        batch_size=4,
        effective_batch_size=4,
        epochs=1,
        workers=1,
        ema=False,
        max_time_s=1e6,
    )
    return msgspec.structs.replace(plain, **changes)


def dataset(**changes: Any) -> Dataset:
    plain = Dataset(
        name="toys",
        images=100,
        validation_images=10,
        image_bytes=1e5,
        image_pixels=3e5,
        aspect_ratios=(0.5, 1.0, 2.0),
        boxes_mean=7.0,
        boxes_max=60.0,
        classes=2,
        source="made up",
    )
    return msgspec.structs.replace(plain, **changes)
