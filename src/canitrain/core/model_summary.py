"""Which model a report is about."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.profile import Implementation


class ModelSummary(Struct, frozen=True, kw_only=True):
    """Which model was asked about."""

    name: str
    title: str
    family: str
    implementation: Implementation
    parameters: int
    trainable_parameters: int
    classes: int
    defaults_source: str = ""
    """Which script and file the implementation's own training defaults are from."""
