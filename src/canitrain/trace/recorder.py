"""Watches one training step: every storage that comes and goes, and what every operator costs."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from canitrain.core.profile import Phase, WorkKind
from canitrain.core.units import as_allocated
from canitrain.trace.convolution_call import ConvolutionCall, backward_call, forward_call
from canitrain.trace.hollow import blank_like, by_shape, is_feature_map, run_hollow
from canitrain.trace.inplace import as_without_mode
from canitrain.trace.pointwise import look_alike
from canitrain.trace.stages import StageTracker
from canitrain.trace.work import Operator, operator_facts

ALLOC, FREE, RUN = range(3)
"""Kinds of an ``events`` entry: (kind, storage or operator number)."""


class _StorageRef(weakref.ref[torch.UntypedStorage]):
    """A weak reference that knows which storage it stood for."""

    __slots__ = ("address", "number")
    address: int
    number: int
    """Which storage of the step, counted from the first."""


class OperatorRun:
    """One operator of the step as it ran."""

    __slots__ = (
        "bytes",
        "convolution",
        "copied_bytes",
        "flops",
        "forward_node",
        "kernels",
        "kind",
        "name",
        "phase",
        "stage",
        "waits",
    )

    def __init__(self, facts: Operator, stage: int, phase: Phase) -> None:
        """Start from what ``facts`` says of every run; the recorder adds what the arguments say."""
        self.name = facts.name
        self.kind: WorkKind = facts.kind
        self.kernels: float = facts.kernels
        self.stage = stage
        self.phase = phase
        self.flops = 0.0
        self.bytes = 0.0
        self.copied_bytes = 0
        """Operands that a cuDNN kernel copies because they are not dense; gone when it returns."""
        self.waits = facts.waits
        """The host stops for the result."""
        self.forward_node = -1
        """Convolutions: the sequence number of the autograd node that both passes share."""
        self.convolution: ConvolutionCall | None = None


class StepRecorder(TorchDispatchMode):  # type: ignore[misc] # torch is Any where it is not installed
    """Records one step; use as a context around forward and backward, see ``step.record_step``."""

    def __init__(self, tracker: StageTracker, persistent: Iterator[torch.Tensor]) -> None:
        """Keep ``tracker`` for attribution; storages of ``persistent`` (parameters, buffers) are not live bytes."""
        super().__init__()
        self.tracker = tracker
        self.phase = Phase.FORWARD
        self.runs: list[OperatorRun] = []
        self.events: list[tuple[int, int]] = []
        self.sizes: list[int] = []
        """Bytes of each storage as the CUDA caching allocator rounds them."""
        self.owners: list[int] = []
        """The stage that allocated each storage."""
        self.forward_end = 0
        """Index into ``events`` at which backward began."""
        self._alive: dict[int, _StorageRef | None] = {_address(tensor.untyped_storage()): None for tensor in persistent}

    def begin_backward(self) -> None:
        """Call between forward and backward."""
        self.phase = Phase.BACKWARD
        self.forward_end = len(self.events)

    def number_of(self, tensor: torch.Tensor) -> int | None:
        """The number of the live storage behind ``tensor``, if it appeared during the step."""
        ref = self._alive.get(_address(tensor.untyped_storage()))
        return ref.number if ref is not None else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        """Run ``func`` (hollow where it is heavy) and note what it did."""
        kwargs = kwargs or {}
        facts = operator_facts(func)
        if self.phase is Phase.BACKWARD:
            func, args = as_without_mode(func, facts.name, args, kwargs)
            facts = operator_facts(func)
        if facts.is_view:
            return func(*args, **kwargs)
        out = _run(func, facts, args, kwargs)
        self._note(facts, args, kwargs, out)
        return out

    def _note(self, facts: Operator, args: Any, kwargs: dict[str, Any], out: Any) -> None:  # noqa: ANN401
        backward = self.phase is Phase.BACKWARD
        run = OperatorRun(facts, self.tracker.stage_of_node() if backward else self.tracker.current, self.phase)
        moved = 0
        for tensor in _tensors((out,)):
            moved += self._appeared(tensor, run.stage)
        if facts.kernels:
            for tensor in _tensors(args):
                moved += _touched_bytes(tensor)
            for value in kwargs.values():
                if isinstance(value, torch.Tensor):
                    moved += _touched_bytes(value)
            run.bytes = moved
        if facts.indexes:
            run.waits = any(tensor.dtype in (torch.bool, torch.uint8) for tensor in _tensors(args[1]))
        if facts.needs_dense:
            self._note_copies(run, args)
        if facts.flops is not None:
            run.flops = facts.flops(args, out)
        if facts.convolution:
            self._note_convolution(run, args, out)
        self.events.append((RUN, len(self.runs)))
        self.runs.append(run)

    @staticmethod
    def _note_copies(run: OperatorRun, args: Any) -> None:  # noqa: ANN401
        for tensor in args[:2]:
            if isinstance(tensor, torch.Tensor) and not _is_dense(tensor):
                size = tensor.numel() * tensor.element_size()
                run.copied_bytes += as_allocated(size)
                run.bytes += 2 * size
                run.kernels += 1

    def _note_convolution(self, run: OperatorRun, args: Any, out: Any) -> None:  # noqa: ANN401
        if run.name == "convolution":
            run.convolution = forward_call(args, out)
            if run.phase is Phase.FORWARD:
                run.forward_node = self.tracker.node_now()
            if args[2] is not None:
                # cuDNN adds the bias in a second kernel that reads and writes the output.
                run.kernels += 1
                run.bytes += 2 * out.numel() * out.element_size()
        else:
            gradient, mask = args[0], args[10]
            run.convolution = backward_call(args)
            run.forward_node = self.tracker.node_of_backward()
            run.kernels += sum(map(bool, mask)) - 1
            # Each asked gradient is a kernel that reads the output gradient and one operand.
            run.bytes += max(0, bool(mask[0]) + bool(mask[1]) - 1) * gradient.numel() * gradient.element_size()
        run.kind = WorkKind.DEPTHWISE_CONV if run.convolution.key.groups > 1 else WorkKind.CONV

    def _appeared(self, tensor: torch.Tensor, stage: int) -> int:
        """Bytes written to ``tensor``; its storage is entered if it is new."""
        storage = tensor.untyped_storage()
        address = _address(storage)
        if address not in self._alive:
            ref = _StorageRef(storage, self._gone)
            ref.address, ref.number = address, len(self.sizes)
            self._alive[address] = ref
            self.sizes.append(as_allocated(storage.nbytes()))
            self.owners.append(stage)
            self.events.append((ALLOC, ref.number))
        return int(tensor.numel() * tensor.element_size())

    def _gone(self, ref: Any) -> None:  # noqa: ANN401 - a _StorageRef
        self._alive.pop(ref.address, None)
        self.events.append((FREE, ref.number))


def _run(func: Any, facts: Operator, args: Any, kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    """The result of ``func``, hollow where it is heavy."""
    shape_function = by_shape(facts.name)
    first = next(_tensors(args), None)
    on_meta = first is not None and first.device.type == "meta"
    if shape_function is not None and not kwargs and func._overloadname == "default":  # noqa: SLF001
        return shape_function(args)
    hollow = not facts.reads_values and (on_meta or any(map(is_feature_map, _tensors(args))))
    if hollow and (pattern := look_alike(facts.name, args, kwargs)) is not None:
        return pattern if facts.name.endswith("_") else blank_like(pattern)
    if on_meta or first is None:
        return func(*args, **kwargs)
    attempts = [func, functools.partial(run_hollow, func)]
    if hollow:
        attempts.reverse()
    try:
        return attempts[0](*args, **kwargs)
    except (NotImplementedError, RuntimeError):
        # Shapes that depend on values cannot be hollow; fused attention and some half-precision operators
        # have no CPU kernel.
        return attempts[1](*args, **kwargs)


def _address(storage: torch.UntypedStorage) -> int:
    """What tells one storage from another, on ``meta`` too, as long as it lives."""
    return int(storage._cdata)  # noqa: SLF001 - data_ptr() is 0 on meta


def _tensors(values: Any) -> Iterator[torch.Tensor]:  # noqa: ANN401
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _is_dense(tensor: torch.Tensor) -> bool:
    if tensor.is_contiguous():
        return True
    return tensor.dim() == 4 and bool(tensor.is_contiguous(memory_format=torch.channels_last))  # noqa: PLR2004 - NCHW


def _touched_bytes(tensor: torch.Tensor) -> int:
    """Bytes that reading ``tensor`` moves: a broadcast one is read once."""
    size = tensor.numel() * tensor.element_size()
    return min(size, tensor.untyped_storage().nbytes()) if size else 0
