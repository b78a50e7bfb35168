"""``canitrain gpus``: the cards that the catalog knows."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Annotated

import typer

from canitrain.cli.output import answer, terminal_columns, wants_color
from canitrain.core.errors import InputError
from canitrain.core.gpu import GpuSpec, Vendor
from canitrain.core.units import GIB_BYTES

EXAMPLES = (
    "canitrain gpus",
    'canitrain gpus --vendor nvidia --memory ">=16GB" --sort half',
    "canitrain gpus rtx3060",
)
SAME_SIZE_RATIO = 0.02
"""How far two sizes may be apart and still count as equal; sizes that are sold differ by 4 % and more."""


class SortKey(enum.Enum):
    """What ``--sort`` orders by; numbers are largest first."""

    NAME = "name"
    MEMORY = "memory"
    BANDWIDTH = "bandwidth"
    FP32 = "fp32"
    HALF = "half"
    POWER = "power"
    YEAR = "year"


_KEYS: dict[SortKey, Callable[[GpuSpec], float]] = {
    SortKey.MEMORY: lambda card: -card.memory_bytes,
    SortKey.BANDWIDTH: lambda card: -card.memory_bytes_per_s,
    SortKey.FP32: lambda card: -card.fp32_flops_per_s,
    SortKey.HALF: lambda card: -(card.fp16_flops_per_s or 0),
    SortKey.POWER: lambda card: -(card.tdp_w or 0),
    SortKey.YEAR: lambda card: -(card.year or 0),
}
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda size, bound: size >= bound * (1 - SAME_SIZE_RATIO),
    "<=": lambda size, bound: size <= bound * (1 + SAME_SIZE_RATIO),
    ">": lambda size, bound: size > bound * (1 + SAME_SIZE_RATIO),
    "<": lambda size, bound: size < bound * (1 - SAME_SIZE_RATIO),
    "=": lambda size, bound: abs(size / bound - 1) <= SAME_SIZE_RATIO,
    "==": lambda size, bound: abs(size / bound - 1) <= SAME_SIZE_RATIO,
}


def gpus_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]", help="One card, as people write it (rtx3060, a100 80gb), or a part of names."),
    ] = None,
    *,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help='Memory a card, like ">=16GB", "<12GB" or 24GB.')
    ] = None,
    vendor: Annotated[Vendor | None, typer.Option(help="Only this vendor's cards.")] = None,
    sort: Annotated[SortKey | None, typer.Option(help="Order; as in the catalog unless given.")] = None,
    json: Annotated[bool, typer.Option("--json", help="A list of cards as JSON, in bytes, hertz and FLOPs.")] = False,
) -> int:
    """List the GPU catalog, or tell all about one card."""
    # Help must not read the catalog.
    from canitrain.catalog.card_names import parse_counts  # noqa: PLC0415
    from canitrain.catalog.cards import find_card, find_cards, is_ambiguous, load_cards  # noqa: PLC0415

    fits = _memory_filter(memory)
    name = " ".join(names) if names else None
    if name is not None and len(entries := parse_counts(name)) == 1:
        # ``8x A100`` is asked as for check --gpu; what one is does not depend on how many there are.
        name = entries[0][1]
    one = name is not None and not is_ambiguous(name)
    if one and (memory is not None or vendor is not None):
        raise InputError(
            "--memory and --vendor filter the list", hint=f"ask for one card alone: canitrain gpus {name!r}"
        )
    if name is not None and one:
        cards: tuple[GpuSpec, ...] = (find_card(name),)
    else:
        cards = tuple(
            card
            for card in (load_cards() if name is None else find_cards(name))
            if (vendor is None or card.vendor is vendor) and fits(card.memory_bytes)
        )
    answer(_as_json(_sorted(cards, sort)) if json else _as_text(_sorted(cards, sort), detailed=one))
    return 0


def _memory_filter(text: str | None) -> Callable[[float], bool]:
    """The condition of ``--memory``; GB and GiB are one, as on the box of a card.

    Raises:
        InputError: it is not an optional comparison and a size.
    """
    if text is None:
        return lambda _: True
    match = re.fullmatch(r"\s*(>=|<=|==|=|>|<|)\s*(\d+(?:\.\d+)?)\s*(?:g|gb|gib)?\s*", text, re.IGNORECASE)
    if match is None or float(match[2]) <= 0:
        raise InputError(f"--memory {text!r} is no size of a card", hint='write it like --memory ">=16GB"')
    bound, compare = float(match[2]) * GIB_BYTES, _OPERATORS[match[1] or "="]
    return lambda size_bytes: compare(size_bytes, bound)


def _sorted(cards: tuple[GpuSpec, ...], sort: SortKey | None) -> tuple[GpuSpec, ...]:
    match sort:
        case None:
            return cards
        case SortKey.NAME:
            return tuple(sorted(cards, key=lambda card: card.name.casefold()))
        case _:
            return tuple(sorted(cards, key=_KEYS[sort]))


def _as_text(cards: tuple[GpuSpec, ...], *, detailed: bool) -> str:
    from canitrain.render.cards import card_details, card_list  # noqa: PLC0415  # not needed for --json
    from canitrain.render.lines import paint  # noqa: PLC0415

    width = terminal_columns()
    return paint(card_details(cards[0], width) if detailed else card_list(cards, width), color=wants_color())


def _as_json(cards: tuple[GpuSpec, ...]) -> str:
    import msgspec  # noqa: PLC0415  # not needed for text

    # asdict keeps the fields that are null, which a script would otherwise have to guess.
    raw = msgspec.json.encode([msgspec.structs.asdict(card) for card in cards])
    return msgspec.json.format(raw, indent=2).decode()
