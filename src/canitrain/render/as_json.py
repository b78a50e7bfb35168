"""The report as JSON: the contract that scripts lean on (``canitrain schema report``)."""

from __future__ import annotations

import msgspec

from canitrain.core.report import Report


def render_json(report: Report) -> str:
    """The report as indented JSON with base units, enum words, and ``null`` only where the schema allows it."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"
