"""An accuracy as JSON: the rows in the CSV's columns with their prediction, the groups, what was left out."""

from __future__ import annotations

from typing import Any

import msgspec

from canitrain.core.accuracy import Accuracy, AccuracyRow


def accuracy_json(accuracy: Accuracy) -> str:
    """One document, indented; ends in a newline. ``predicted``, ``low`` and ``high`` are in the unit of ``figure``."""
    document = {
        "rows": [_row(row) for row in accuracy.rows],
        "groups": accuracy.groups,
        "skipped": accuracy.skipped,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _row(row: AccuracyRow) -> dict[str, Any]:
    return msgspec.structs.asdict(row.run.measurement) | {
        "figure": row.figure,
        "measured": row.measured,
        "predicted": row.predicted.expected,
        "low": row.predicted.low,
        "high": row.predicted.high,
        "error": row.error,
        "covered": row.covered,
        "refused": row.refused,
        "compared": row.compared,
    }
