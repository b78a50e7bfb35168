"""Trace the classifiers that the fits need, at their default size: a TRACES_FOLDER for the other tools.

    python tools/trace_for_fits.py memory CALIBRATION_FOLDER OUTPUT_FOLDER [NAME ...]     with timm 1.0.9
    python tools/trace_for_fits.py time CALIBRATION_FOLDER OUTPUT_FOLDER [NAME ...]       with today's timm
    python tools/trace_for_fits.py torchvision CALIBRATION_FOLDER OUTPUT_FOLDER [NAME ...]

The names are those of ``timm_memory_a100_40gb.csv`` (fp32 alone), of ``timm_speed.csv`` and of the plain loops of
``published.csv``. About 4 s a model on one core; a profile that is there is kept, so that a run can be cut off and
go on. What a release cannot build is named and left out: trace it with another into the same folder. Needs torch
and the library.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from canitrain.core.profile import ImageSize, ModelProfile, Precision
from canitrain.trace.profile import PRECISIONS, trace_subject
from canitrain.trace.subject import Built
from canitrain.trace.writer import profile_json

PLAIN_LOOP = "ryujaehun"
"""Part of the source of torchvision's classifiers in ``published.csv``."""
SIDES = {"inception_v3": 299}
AUXILIARY = ("inception_v3", "googlenet")
"""Built without the heads that they have for training: the timed loop dropped them."""
FIT_BATCHES, CHECK_BATCHES = (2, 8), (4,)
"""Images of the traced steps and of the one that checks them."""


def trace_timm(name: str, precisions: tuple[Precision, ...]) -> ModelProfile:
    """A timm model at its default size, which is the one that was measured."""
    from canitrain.trace.adapters.timm import subject  # noqa: PLC0415 - needs timm

    with _rates_as_numbers():
        found = subject(name)
        while found.fallback is not None:
            found = found.fallback
        return trace_subject(found, precisions)


@contextlib.contextmanager
def _rates_as_numbers() -> Iterator[None]:
    """Have timm 1.0.9 read its rates of drop path, which it takes from a tensor, where all others have no values."""
    import torch  # noqa: PLC0415

    linspace = torch.linspace
    torch.linspace = lambda *args, **options: linspace(*args, **{**options, "device": "cpu"})  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.linspace = linspace


def trace_torchvision(name: str, precisions: tuple[Precision, ...]) -> ModelProfile:
    """A classifier of torchvision, which has no adapter of its own, under timm's recipe: none of it is used."""
    import torch  # noqa: PLC0415
    import torchvision  # noqa: PLC0415

    from canitrain.trace.adapters.timm import subject  # noqa: PLC0415

    side = SIDES.get(name, 224)

    def build(precision: Precision) -> Built:
        del precision
        options = {"aux_logits": False, "init_weights": False} if name in AUXILIARY else {}
        model = torchvision.models.get_model(name, weights=None, **options).train()

        def step(batch: int, height: int, width: int, boxes: int) -> torch.Tensor:
            del boxes
            scores = model(torch.randn(batch, 3, height, width))
            return torch.nn.functional.cross_entropy(scores, torch.zeros(batch, dtype=torch.long))

        return Built(model=model, step=step)

    base = subject("resnet50")
    while base.fallback is not None:
        base = base.fallback
    version, spec = torchvision.__version__, f"torchvision:{name}"
    return trace_subject(
        replace(
            base,
            name=name,
            title=name,
            family="torchvision",
            build=build,
            implementation=structs.replace(base.implementation, library="torchvision", version=version, spec=spec),
            defaults=structs.replace(base.defaults, image_size=ImageSize(shorter=side, longer=side)),
            fit_shapes=tuple((batch, side, side, 0) for batch in FIT_BATCHES),
            check_shapes=tuple((batch, side, side, 0) for batch in CHECK_BATCHES),
        ),
        precisions,
    )


def names(kind: str, calibration: Path) -> list[str]:
    """Every model of ``kind`` that the fits can use, once."""
    if kind == "torchvision":
        return sorted({row["model"] for row in _rows(calibration / "published.csv") if PLAIN_LOOP in row["source"]})
    file = "timm_memory_a100_40gb.csv" if kind == "memory" else "timm_speed.csv"
    return list(dict.fromkeys(row["model"].partition(".")[0] for row in _rows(calibration / file)))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("memory", "time", "torchvision"))
    parser.add_argument("calibration", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("names", nargs="*", help="all unless given")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    trace: Callable[[str, tuple[Precision, ...]], ModelProfile]
    trace = trace_torchvision if options.kind == "torchvision" else trace_timm
    precisions = (Precision.FP32,) if options.kind == "memory" else tuple(PRECISIONS)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or names(options.kind, options.calibration):
        path = options.output / f"{name}.json"
        if path.exists():
            continue
        try:
            path.write_text(profile_json(trace(name, precisions)), encoding="utf-8")
        except Exception as error:  # noqa: BLE001 - a library fails in ways of its own; the others go on
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        else:
            print(name)


if __name__ == "__main__":
    main()
