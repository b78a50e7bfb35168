"""How statuses combine."""

from __future__ import annotations

from collections.abc import Iterable

from canitrain.core.report import Status

SEVERITY = (Status.GO, Status.TIGHT, Status.UNKNOWN, Status.NO_GO)
"""Mildest first. A certain no-go outranks an unknown: no missing fact could turn it into a go."""


def worst(statuses: Iterable[Status]) -> Status:
    """The most severe of ``statuses``; go where there is none."""
    return max(statuses, key=SEVERITY.index, default=Status.GO)
