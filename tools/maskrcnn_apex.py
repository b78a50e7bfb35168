"""torchvision's Mask R-CNN with the casts of apex (O1) in its frozen batch norm; 73 runs of such were published.

    canitrain trace tools/maskrcnn_apex.py:build --output TRACES_FOLDER/maskrcnn_apex.json

``tools/check_detector_time.py --traces TRACES_FOLDER`` then holds it against them. Needs the extra ``models``.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torchvision.ops.misc import FrozenBatchNorm2d

from canitrain.core.profile import Precision
from canitrain.trace.adapters.torchvision import subject
from canitrain.trace.subject import Built, Subject


class ApexFrozenBatchNorm2d(FrozenBatchNorm2d):  # type: ignore[misc] # Any where torchvision is not installed
    """Multiplies a converted copy: apex makes the operands of ``mul`` one type, in a kernel of its own.

    Autocast leaves that to the product, which reads half precision and writes fp32. The scale is fp32 either way,
    since both keep ``rsqrt`` in it (apex/amp/lists, torch_overrides and tensor_overrides).
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """As maskrcnn_benchmark/layers/batch_norm.py, in fp32."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        bias = self.bias - self.running_mean * scale
        scaled = images.float() * scale.reshape(1, -1, 1, 1)
        return scaled + bias.reshape(1, -1, 1, 1)


def build() -> Subject:
    """For ``canitrain trace``."""
    plain = subject("maskrcnn_resnet50_fpn")
    return replace(
        plain,
        name="maskrcnn_apex",
        title="Mask R-CNN R50-FPN, apex O1",
        aliases=(),
        implementation=type(plain.implementation)(
            library=plain.implementation.library,
            version=plain.implementation.version,
            torch=plain.implementation.torch,
            spec="tools/maskrcnn_apex.py:build",
            license=plain.implementation.license,
        ),
        build=lambda precision: _with_casts(plain.build(precision), precision),
    )


def _with_casts(built: Built, precision: Precision) -> Built:
    if precision is Precision.AMP:
        for parent in tuple(built.model.modules()):
            for name, child in parent.named_children():
                if isinstance(child, FrozenBatchNorm2d):
                    setattr(parent, name, ApexFrozenBatchNorm2d(child.weight.numel(), child.eps))
    return built
