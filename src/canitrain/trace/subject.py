"""What an adapter hands to the tracer: a model, how to run one of its training steps, and where to trace it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from canitrain.core.profile import Defaults, Implementation, Precision, SizeRule

Shape = tuple[int, int, int, int]
"""(batch, height, width, boxes an image)."""

Step = Callable[[int, int, int, int], torch.Tensor]
"""``step(batch, height, width, boxes) -> loss``, a scalar that requires a gradient."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """How a library validates after each epoch, where its batches do not fit into the blocks that training left."""

    model: nn.Module
    """In evaluation mode and in the precision that it validates in."""
    step: Callable[[int, int, int, int], None]
    """``step(batch, height, width, boxes)``: one batch, without gradients; holds on to nothing."""
    batch_ratio: float
    """Images of a validation batch to those of a training batch."""
    sizes: tuple[float, ...]
    """Pixels of an image in successive batches, as shares of the training image's."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """One model, ready to train.

    ``step`` makes its own synthetic batch (so that it is recorded) with torch's factory functions and no ``device``
    argument where the subject is ``meta`` (the tracer sets the default device), runs forward and loss, and returns the
    loss. The tracer wraps it in its own autocast for AMP and runs backward: ``step`` does neither, and holds on to
    nothing between calls.
    """

    model: nn.Module
    """In train mode, parameters frozen (``requires_grad``) as the reference script freezes them."""
    step: Step
    stages: tuple[str, ...] = ()
    """Module path prefixes in execution order, or several of them joined by ``+``; empty: the tracer divides the module
    tree itself.

    What runs before the first of them belongs to a stage ``input``, what runs after the model to ``loss``, what runs in
    between to the stage that ran last.
    """
    backbone: tuple[str, ...] = ()
    """Those of ``stages`` (or prefixes of them) that ``--freeze backbone`` freezes."""
    positives: Mapping[str, int] = field(default_factory=dict)
    """Positive samples an image that ``step`` makes, by the prefix of the stages whose work follows them."""
    validation: Validation | None = None
    """``None``: validation takes no more than training."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A library's model as its reference training script trains it."""

    name: str
    """Unique, lower case: ``fasterrcnn_resnet50_fpn``."""
    title: str
    """For a reader: ``Faster R-CNN R50-FPN``."""
    family: str
    implementation: Implementation
    defaults: Defaults
    size_rule: SizeRule
    classes: int
    build: Callable[[Precision], Built]
    """Called once a precision; on the ``meta`` device (as default device) where ``meta`` is set.

    A library whose AMP training differs from plain autocast (effdet computes its loss in fp32) can look at it.
    """
    fit_shapes: tuple[Shape, ...]
    """Small shapes that tell the terms of ``basis`` apart: at least as many as terms."""
    check_shapes: tuple[Shape, ...]
    """Shapes that are traced, not fitted: at least one, best a real one."""
    basis: tuple[str, ...]
    """Of Polynomial's fields those that the model needs: ``("one", "b", "p", "bp")`` for a convolutional net."""
    meta: bool = False
    """Whether the whole step can run on the ``meta`` device (no control flow that depends on data)."""
    tolerance: float = 0.01
    """Largest relative error of peak live bytes and FLOPs at the check shapes (DESIGN section 3)."""
    gradients_until_backward: bool = False
    """The script frees the last step's gradients between forward and backward, not before the step: torchvision's
    engine and effdet's train.py do, so that a whole set of gradients is alive throughout the forward pass."""
    aliases: tuple[str, ...] = ()
    divisor: int = 1
    notes: tuple[str, ...] = ()
    amp_may_fail: bool = False
    """A model that does not run under AMP gets a profile of the other precisions, and a note that says why."""
    fallback: Subject | None = None
    """What to trace instead where this one does not run at its shapes, or its polynomials miss: a narrower promise."""
