"""A model in a list: a profile without its traces."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.profile import Defaults, Implementation, Precision


class ModelEntry(Struct, frozen=True, kw_only=True):
    """What ``canitrain models`` shows of a profile."""

    name: str
    title: str
    family: str
    aliases: tuple[str, ...]
    implementation: Implementation
    defaults: Defaults
    classes: int
    parameters: int
    trainable_parameters: int
    precisions: tuple[Precision, ...]
    """Those that were traced."""
    notes: tuple[str, ...]
