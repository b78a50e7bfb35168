"""The estimate room's door: memory alone, or memory and time, put right by what was measured here."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from canitrain.core.calibration import Calibration
from canitrain.core.question import MemoryEstimate, Question, RunEstimate
from canitrain.estimate.measured_here import Correction, corrected, corrected_memory
from canitrain.estimate.memory_by_batch import memory_by_batch
from canitrain.estimate.whole_run import whole_run


class Estimates(Struct, frozen=True, kw_only=True):
    """The ``Estimator`` of ``calibration``."""

    calibration: Calibration
    correction: Correction | None = None
    """What was measured on this machine, where anything was."""

    def __call__(self, question: Question, batch_size: int, /) -> RunEstimate:
        """Memory and time of ``question`` at ``batch_size`` images a GPU and step."""
        run = whole_run(question, batch_size, self.calibration)
        return corrected(run, question, self.correction, self.calibration)

    def memory(self, question: Question, /) -> Callable[[int], MemoryEstimate]:
        """The same memory at any batch size, without the time."""
        at = memory_by_batch(question, self.calibration)

        def estimate(batch_size: int) -> MemoryEstimate:
            found = at(batch_size)
            return replace(found, memory=corrected_memory(found.memory, question, self.correction, self.calibration))

        return estimate if self.correction is not None else at
