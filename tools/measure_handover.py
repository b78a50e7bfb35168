"""What a training process pays to take a batch over from its loader processes where no thread pins it ahead.

Measures ``next`` on a batch that is ready, and the copy out of its shared memory (the host's part of a copy to a device
from pageable memory), by tensors and bytes, and fits the coefficients of ``profiles/calibration/host.toml``::

    python tools/measure_handover.py

Runs of others disturb it: each case counts by its first quartile.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from scipy.optimize import nnls
from torch.utils.data import DataLoader, Dataset

BATCHES, TENSORS, IMAGE_BYTES = (2, 8), (1, 7, 14), (4_000, 3_700_000, 11_700_000)
"""Images; tensors an image; an image of COCO as stored and as Mask R-CNN trains on it, three floats a pixel."""
ROUNDS, SETTLE_S, READY_S = 24, 1.0, 0.15
LABELS = 20
FLOAT_BYTES = 4
Batch: TypeAlias = tuple[tuple[torch.Tensor, ...], tuple[list[torch.Tensor], ...]]


@dataclass(frozen=True)
class Images(Dataset[tuple[torch.Tensor, list[torch.Tensor]]]):
    """An image of so many bytes, and small tensors beside it."""

    images: int
    tensors: int
    image_bytes: int

    def __len__(self) -> int:
        """Images of all batches."""
        return self.images

    def __getitem__(self, index: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The image, and the others."""
        image = torch.full((self.image_bytes // FLOAT_BYTES,), float(index))
        return image, [torch.ones(LABELS) for _ in range(self.tensors - 1)]


def as_lists(samples: list[tuple[torch.Tensor, list[torch.Tensor]]]) -> Batch:
    """As torchvision's references collate: nothing is stacked."""
    images, others = zip(*samples, strict=True)
    return images, others


def handed_over_s(batch_size: int, tensors: int, image_bytes: int) -> tuple[float, float]:
    """Seconds of ``next`` and of copying the images, of one batch."""
    dataset = Images(batch_size * (ROUNDS + 1), tensors, image_bytes)
    loader = iter(DataLoader(dataset, batch_size, num_workers=1, collate_fn=as_lists))
    kept = torch.zeros(image_bytes // FLOAT_BYTES)
    time.sleep(SETTLE_S)
    nexts, copies = [], []
    for _ in range(ROUNDS):
        time.sleep(READY_S)
        start = time.perf_counter()
        images, _others = next(loader)
        taken = time.perf_counter()
        for image in images:
            kept.copy_(image)
        nexts.append(taken - start)
        copies.append(time.perf_counter() - taken)
    return float(np.quantile(nexts, 0.25)), float(np.quantile(copies, 0.25))


def main() -> None:
    torch.set_num_threads(1)
    cases = list(itertools.product(BATCHES, TENSORS, IMAGE_BYTES))
    measured = [handed_over_s(*case) for case in cases]
    terms = np.array([[1.0, batch * tensors, batch * size] for batch, tensors, size in cases])
    taken_s = np.array([taken for taken, _ in measured])
    (batch_s, tensor_s, byte_s), _ = nnls(terms / taken_s[:, None], np.ones(len(cases)))
    for case, (taken, copied), fitted in zip(cases, measured, terms @ (batch_s, tensor_s, byte_s), strict=True):
        print(f"{case}: next {taken * 1e3:.2f} ms, fitted {fitted * 1e3:.2f} ms, copy {copied * 1e3:.2f} ms")
    rates = [batch * size / copied for (batch, _, size), (_, copied) in zip(cases, measured, strict=True) if size > 1e6]
    errors = terms @ (batch_s, tensor_s, byte_s) / taken_s - 1
    mapped = f"{1e-9 / byte_s:.1f} GB/s mapped" if byte_s else "mapped in no time"
    print(f"a batch {batch_s * 1e3:.2f} ms, a tensor {tensor_s * 1e3:.3f} ms, {mapped}")
    print(f"error of the fit: median {np.median(np.abs(errors)):.1%}, largest {np.abs(errors).max():.1%}")
    print(f"copied: median {np.median(rates) / 1e9:.2f} GB/s, {min(rates) / 1e9:.2f} to {max(rates) / 1e9:.2f}")


if __name__ == "__main__":
    main()
