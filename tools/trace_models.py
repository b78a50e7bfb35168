"""Trace every built-in model again and write its profile: ``python tools/trace_models.py [NAME ...]``.

Needs the extra ``models``; takes a few minutes on one core. Run it when the tracer or a library changed, read the diff.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

from canitrain.trace.spec import trace_spec
from canitrain.trace.writer import profile_json

MODELS = Path(__file__).parents[1] / "profiles" / "models"
LIBRARIES = ("yolov5", "torchvision", "effdet", "timm")


def specs() -> list[str]:
    """Every spec whose profile ships."""
    # The libraries are needed from here on.
    from canitrain.trace.adapters import effdet, timm_names, torchvision_models, yolov5  # noqa: PLC0415

    names = (yolov5.NAMES, tuple(torchvision_models.VARIANTS), effdet.NAMES, tuple(timm_names.TITLES))
    return [f"{library}:{name}" for library, known in zip(LIBRARIES, names, strict=True) for name in known]


def main() -> None:
    """Trace the models named on the command line, or all."""
    warnings.simplefilter("ignore")
    wanted = sys.argv[1:]
    for spec in specs():
        if wanted and spec not in wanted and spec.partition(":")[2] not in wanted:
            continue
        start = time.perf_counter()
        profile = trace_spec(spec)
        path = MODELS / profile.family / f"{profile.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(profile_json(profile), encoding="utf-8")
        errors = [error for trace in profile.traces.values() for error in trace.check_live_error]
        print(
            f"{spec}: {path.stat().st_size} bytes, worst live error {max(map(abs, errors)):.3%},"
            f" {time.perf_counter() - start:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
