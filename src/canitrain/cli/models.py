"""``canitrain models``: the models that ship with canitrain."""

from __future__ import annotations

from typing import Annotated

import typer

from canitrain.cli.output import answer, terminal_columns, wants_color
from canitrain.core.model_entry import ModelEntry

EXAMPLES = (
    "canitrain models",
    "canitrain models yolov5m",
    "canitrain models --json",
)


def models_command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One model, by name or alias, or a profile file.")
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="A list of models as JSON.")] = False,
) -> int:
    """List the models that can be checked without tracing, or tell all about one."""
    from canitrain.catalog.models import find_entry, list_models  # noqa: PLC0415  # help must not read profiles

    entries = list_models() if name is None else (find_entry(name),)
    answer(_as_json(entries) if json else _as_text(entries, detailed=name is not None))
    return 0


def _as_text(entries: tuple[ModelEntry, ...], *, detailed: bool) -> str:
    from canitrain.render.lines import paint  # noqa: PLC0415  # not needed for --json
    from canitrain.render.models import model_details, model_list  # noqa: PLC0415

    width = terminal_columns()
    return paint(model_details(entries[0], width) if detailed else model_list(entries, width), color=wants_color())


def _as_json(entries: tuple[ModelEntry, ...]) -> str:
    import msgspec  # noqa: PLC0415  # not needed for text

    return msgspec.json.format(msgspec.json.encode(entries), indent=2).decode()
