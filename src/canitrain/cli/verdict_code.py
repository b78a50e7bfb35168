"""From a verdict to an exit code."""

from __future__ import annotations

from typing import assert_never

from canitrain.cli.check_options import FailOn
from canitrain.cli.exit_codes import ExitCode
from canitrain.core.report import Status
from canitrain.core.severity import SEVERITY

_MILDEST = {FailOn.TIGHT: Status.TIGHT, FailOn.UNKNOWN: Status.UNKNOWN, FailOn.NO_GO: Status.NO_GO}


def exit_code(status: Status, fail_on: FailOn, *, exit_zero: bool) -> ExitCode:
    """0 below the threshold (and with ``--exit-zero``); from it on 3 for unknown and 1 for everything else."""
    if exit_zero or SEVERITY.index(status) < SEVERITY.index(_MILDEST[fail_on]):
        return ExitCode.FINE
    match status:
        case Status.UNKNOWN:
            return ExitCode.UNKNOWN
        case Status.GO | Status.TIGHT | Status.NO_GO:
            return ExitCode.NO_GO
        case _:
            assert_never(status)
