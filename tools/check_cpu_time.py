"""Times real training steps of five small models on this machine's CPU beside what canitrain predicts of them.

    python tools/check_cpu_time.py [--rounds 6] [--traces FOLDER]

Needs torch and timm. A step is forward, cross-entropy, backward and SGD with momentum, fp32, one process on all usable
cores. The machine may be shared: models take turns and the quickest step of each counts. Exit code 1 where a ratio
predicted / measured lies outside 0.7 to 1.4.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import timm
import torch

from canitrain.catalog import load_calibration
from canitrain.core.fact import Known
from canitrain.core.hardware import Hardware
from canitrain.core.polynomial import BatchShape
from canitrain.core.profile import ImageSize, ModelProfile, Precision
from canitrain.core.recipe import Optimizer, Recipe
from canitrain.estimate.step_time import StepTime, step_time
from canitrain.probe import probe
from canitrain.trace.spec import trace_spec

MODELS = {"resnet18": 4, "mobilenetv3_small_100": 16, "efficientnet_b0": 4, "deit_tiny_patch16_224": 4, "resnet26": 4}
"""timm models of different kinds of work, and the batch of a step."""
LOW, HIGH = 0.7, 1.4


def profile_of(name: str, folder: Path | None) -> ModelProfile:
    """The profile in ``folder``, or a fresh trace."""
    path = folder / f"{name}.json" if folder else None
    if path is not None and path.exists():
        return msgspec.json.decode(path.read_bytes(), type=ModelProfile)
    return trace_spec(f"timm:{name}")


def training_step(name: str, batch_size: int, image_size: int) -> Callable[[], None]:
    """A function that runs one training step of a timm model."""
    model = timm.create_model(name).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(batch_size, 3, image_size, image_size)
    labels = torch.randint(0, 1000, (batch_size,))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def seconds_of(step: Callable[[], None], threads: int) -> float:
    """One call: elapsed seconds, or with one thread the processor's own, which a busy machine stretches less."""
    clock = time.process_time if threads == 1 else time.perf_counter
    begin = clock()
    step()
    return clock() - begin


def prediction(profile: ModelProfile, batch_size: int, hardware: Hardware) -> StepTime:
    """The step on this machine's CPU as ``canitrain check`` would estimate it."""
    size = profile.defaults.image_size.shorter
    recipe = Recipe(
        precision=Precision.FP32,
        optimizer=Optimizer.SGD_MOMENTUM,
        image_size=ImageSize(shorter=size, longer=size),
        batch_size=batch_size,
        effective_batch_size=batch_size,
        epochs=1,
        workers=0,
        ema=False,
        max_time_s=1.0,
    )
    shape = BatchShape(batch_size=batch_size, pixels=float(size * size), boxes=0.0)
    calibration = load_calibration().time
    return step_time(profile, recipe, shape, hardware.cpu, slowness=1.0, bench=hardware.bench, calibration=calibration)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="fewer on a busy machine")
    parser.add_argument(
        "--traces", type=Path, help="folder with profiles of the models; they are traced where it has none"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    hardware = probe(Path())
    cores = Known(value=float(options.threads), source="--threads")
    hardware = msgspec.structs.replace(hardware, cpu=msgspec.structs.replace(hardware.cpu, usable_cores=cores))
    profiles = {name: profile_of(name, options.traces) for name in MODELS}
    steps = {
        name: training_step(name, MODELS[name], profile.defaults.image_size.shorter)
        for name, profile in profiles.items()
    }
    measured_s = dict.fromkeys(MODELS, float("inf"))
    for _ in range(options.rounds):
        for name, step in steps.items():
            measured_s[name] = min(measured_s[name], seconds_of(step, options.threads))
    worst = 1.0
    for name, profile in profiles.items():
        predicted = prediction(profile, MODELS[name], hardware)
        ratio = predicted.compute_s / measured_s[name]
        worst = max(worst, ratio / HIGH, LOW / ratio)
        kinds = ", ".join(f"{kind} {time_s:.3f}" for kind, time_s in predicted.kinds_s().items())
        seconds = f"predicted {predicted.compute_s:.3f} s  measured {measured_s[name]:.3f} s"
        print(f"{name:24s} {seconds}  ratio {ratio:.2f}  ({kinds})")
    return 0 if worst <= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
