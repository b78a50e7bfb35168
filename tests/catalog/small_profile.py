"""The smallest model profile that is valid."""

from __future__ import annotations

import copy
from typing import Any

PROFILE: dict[str, Any] = {
    "schema": "canitrain.profile/1",
    "name": "tiny",
    "title": "Tiny",
    "family": "tiny",
    "aliases": ["the-tiny-one"],
    "implementation": {"library": "lib", "version": "1", "torch": "2.13", "spec": "tiny.py:build", "license": "MIT"},
    "defaults": {
        "image_size": {"shorter": 64, "longer": 64},
        "batch_size": 4,
        "effective_batch_size": 4,
        "epochs": 10,
        "optimizer": "sgd",
        "precision": "fp32",
        "ema": False,
        "workers": 2,
        "source": "train.py",
    },
    "size_rule": "square",
    "divisor": 32,
    "classes": 3,
    "parameters": 100,
    "trainable_parameters": 100,
    "parameter_bytes": 400,
    "trainable_parameter_bytes": 400,
    "buffer_bytes": 0,
    "parameter_tensors": 2,
    "trainable_parameter_tensors": 2,
    "largest_parameter_bytes": 300,
    "traced_on": "2026-11-23",
    "traces": {
        "fp32": {
            "stages": [
                {
                    "name": "body",
                    "parameter_bytes": 400,
                    "trainable_parameter_bytes": 400,
                    "saved_bytes": {"bp": 12.0},
                    "forward": {"conv": {"flops": {"bp": 216.0}, "bytes": {"bp": 24.0}, "kernels": {"one": 1}}},
                }
            ],
            "peaks": [{"stage": "body", "phase": "forward", "live_bytes": {"bp": 24.0}, "convolution": 0}],
            "convolutions": [
                {
                    "in_channels": 3,
                    "out_channels": 3,
                    "kernel": [3, 3],
                    "count": {"one": 1},
                    "input_pixels": {"bp": 1},
                    "output_pixels": {"bp": 1},
                }
            ],
            "fit_shapes": [[1, 64, 64, 0]],
            "check_shapes": [[2, 64, 64, 0]],
            "check_live_error": [-0.001],
            "check_flops_error": [0.0],
        }
    },
}


def profile_with(path: str, value: Any) -> dict[str, Any]:
    """The profile with one value put in at ``a.b.0.c``; ``...`` takes it out."""
    tree = copy.deepcopy(PROFILE)
    node: Any = tree
    *parents, last = (int(key) if key.isdigit() else key for key in path.split("."))
    for key in parents:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return tree
