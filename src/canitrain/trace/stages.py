"""Which stage of the model an operator belongs to, in forward and in backward."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

STAGE_LIMIT = 30
"""Stages that ``divide`` aims for at most: a profile is read in review."""

INPUT, LOSS = "input", "loss"


def divide(model: nn.Module, limit: int = STAGE_LIMIT) -> tuple[str, ...]:
    """Module paths that divide ``model``: its children, the deepest containers among them replaced by theirs.

    Lists are never called and so always replaced; others as long as there are at most ``limit`` stages.
    """
    stages = dict(model.named_children())
    while True:
        forced = [path for path, module in stages.items() if _is_never_called(module)]
        optional = {
            path: sum(1 for _ in module.modules())
            for path, module in stages.items()
            if _holds_blocks(module) and len(stages) - 1 + sum(1 for _ in module.children()) <= limit
        }
        if not forced and not optional:
            return tuple(stages) or ("",)
        chosen = forced[0] if forced else max(optional, key=optional.__getitem__)
        stages = dict(_opened(stages, chosen))


_LISTS = (nn.ModuleList, nn.ModuleDict)


def _is_never_called(module: nn.Module) -> bool:
    """Whether ``module`` is a list with members; DenseNet's blocks are lists that have a forward pass."""
    return isinstance(module, _LISTS) and len(module) > 0 and type(module).forward is nn.Module.forward


def _is_row(module: nn.Module) -> bool:
    """Whether ``module`` is a container of at least two modules that have parts of their own."""
    blocks = [child for child in module.children() if any(True for _ in child.children())]
    return isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) and len(blocks) > 1


def _holds_blocks(module: nn.Module) -> bool:
    return _is_row(module) or any(map(_is_row, module.children()))


def _opened(stages: dict[str, nn.Module], chosen: str) -> Iterator[tuple[str, nn.Module]]:
    for path, module in stages.items():
        if path == chosen:
            yield from ((f"{path}.{name}", child) for name, child in module.named_children())
        else:
            yield path, module


class StageTracker:
    """Follows the model's modules through one forward pass, and autograd's nodes back to them."""

    def __init__(self, model: nn.Module, stages: tuple[str, ...]) -> None:
        """Divide ``model`` by ``stages``; a module belongs to the longest path that is a prefix of its own.

        A stage is a module path, or several joined by ``+`` (``model.1+model.2``).
        """
        self.names = (INPUT, *(stage or "model" for stage in stages), LOSS)
        self.current = 0
        self._model = model
        self._by_path = {path: number for number, stage in enumerate(stages, start=1) for path in stage.split("+")}
        self._stack: list[int] = []
        self._nodes: list[int] = [0]
        self._owners: list[int] = [0]
        self._last = len(self.names) - 1

    def stage_of_path(self, path: str) -> int:
        """The stage of the module or parameter at ``path``; 0 (input) where none claims it."""
        while path:
            if path in self._by_path:
                return self._by_path[path]
            path = path.rpartition(".")[0]
        return self._by_path.get("", 0)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Hook the model's modules inside the block."""
        handles = []
        homes: dict[nn.Module, set[int]] = {}
        for path, module in self._model.named_modules(remove_duplicate=False):
            homes.setdefault(module, set()).add(self.stage_of_path(path))
        for path, module in self._model.named_modules():
            stage = self.stage_of_path(path)
            # A module that several stages share (YOLOv5's one SiLU) belongs to whichever runs it.
            if stage and path and len(homes[module]) == 1:
                handles += [
                    module.register_forward_pre_hook(self._entering(stage)),
                    module.register_forward_hook(self._leave),
                ]
        handles += [self._model.register_forward_hook(self._leave_model)]
        if "" in self._by_path:
            handles += [self._model.register_forward_pre_hook(self._entering(self._by_path[""]))]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _entering(self, stage: int) -> Any:  # noqa: ANN401 - a hook
        def enter(*_: Any) -> None:  # noqa: ANN401
            self._stack.append(stage)
            self._switch(stage)

        return enter

    def _leave(self, *_: Any) -> None:  # noqa: ANN401
        self._stack.pop()
        if self._stack:
            self._switch(self._stack[-1])

    def _leave_model(self, *_: Any) -> None:  # noqa: ANN401
        self._stack.clear()
        self._switch(len(self.names) - 1)

    def _switch(self, stage: int) -> None:
        if stage != self.current:
            self.current = stage
            self._nodes.append(self.node_now() + 1)
            self._owners.append(stage)

    @staticmethod
    def node_now() -> int:
        """The sequence number of the autograd node that was made last."""
        return int(torch._C._autograd._get_sequence_nr()) - 1  # noqa: SLF001

    @staticmethod
    def node_of_backward() -> int:
        """The sequence number of the node that runs now, or -1."""
        node = torch._C._current_autograd_node()  # noqa: SLF001
        number = getattr(node, "_sequence_nr", None)
        return int(number()) if number is not None else -1

    def stage_of_node(self) -> int:
        """The stage whose forward pass made the node that runs now.

        Gradient accumulation has no number of its own; it follows the node whose gradient it keeps.
        """
        number = self.node_of_backward()
        if 0 <= number <= self.node_now():
            self._last = self._owners[bisect.bisect_right(self._nodes, number) - 1]
        return self._last
