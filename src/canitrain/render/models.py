"""Models as a list and one by one."""

from __future__ import annotations

from collections.abc import Sequence

from canitrain.core.model_entry import ModelEntry
from canitrain.core.units import counted
from canitrain.render.lines import EMPTY_LINE, Line, Span, Tone, labelled
from canitrain.render.table import Column, table

MILLION = 1e6
LABEL_COLUMNS = 17

_COLUMNS = (
    Column("model"),
    Column("library"),
    Column("params", right=True),
    Column("size", right=True),
    Column("batch", right=True),
    Column("precision"),
)


def model_list(entries: Sequence[ModelEntry], width: int) -> list[Line]:
    """One line a model: whose code, parameters, and the defaults of its training script."""
    rows = [
        (
            entry.name,
            entry.implementation.library,
            f"{entry.parameters / MILLION:.1f} M",
            entry.defaults.image_size.text,
            str(entry.defaults.batch_size),
            ", ".join(precision.value for precision in entry.precisions),
        )
        for entry in entries
    ]
    count = f"{counted(len(entries), 'model')}. Any other of torch's: canitrain trace SPEC --output PROFILE.json"
    return [*table(_COLUMNS, rows, width), EMPTY_LINE, (Span(count, Tone.QUIET),)]


def model_details(entry: ModelEntry, width: int) -> list[Line]:
    """Everything but the traces, one fact a line."""
    code, defaults = entry.implementation, entry.defaults
    frozen = entry.parameters - entry.trainable_parameters
    trainable = f", {frozen:,} of them frozen" if frozen else ""
    effective = f" (accumulated to {defaults.effective_batch_size})" * (
        defaults.effective_batch_size != defaults.batch_size
    )
    facts = {
        "Name": entry.name,
        "Also called": ", ".join(entry.aliases) or None,
        "Implementation": f"{code.release}, {code.spec}, {code.license}; traced with torch {code.torch}",
        "Parameters": f"{entry.parameters:,}{trainable}; {counted(entry.classes, 'class', 'classes')}",
        "Defaults": (
            f"{defaults.image_size.text} px, batch {defaults.batch_size}{effective}, "
            f"{counted(defaults.epochs, 'epoch')}, {defaults.optimizer}, {defaults.precision.value}, "
            f"{counted(defaults.workers, 'worker')}"
        ),
        "Defaults from": defaults.source,
        "Traced in": ", ".join(precision.value for precision in entry.precisions),
        "Notes": " ".join(entry.notes) or None,
    }
    lines: list[Line] = [(Span(entry.title, Tone.STRONG),)]
    for label, text in facts.items():
        if text is not None:
            lines += labelled(f" {label}", text, columns=width, indent=LABEL_COLUMNS)
    return lines
