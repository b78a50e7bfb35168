"""The GPU catalog: all cards, and the one that a person means."""

from __future__ import annotations

import enum
import re
import shlex
from functools import cache
from typing import assert_never

from canitrain.catalog.card_names import (
    CardName,
    parse_counts,
    parse_name,
    rank,
    run_together,
    without_remarks,
    without_series,
)
from canitrain.catalog.decode import Owner, decode_json, read_bytes
from canitrain.catalog.locate import profiles_path
from canitrain.catalog.machine_types import find_machine_type
from canitrain.catalog.slices import slice_of, split_slice
from canitrain.core.errors import InputError
from canitrain.core.fact import Known, Unknown
from canitrain.core.gpu import GpuSpec
from canitrain.core.hardware import Gpu
from canitrain.core.units import format_bytes

_SUGGESTIONS = 4
_BRACKETS = re.compile(r"\((?!\s*\d+\s*\)|[^)]*\bx\s*\d|[^)]*\d\s*x\b)[^)]*\)", re.IGNORECASE)
"""A remark; what may be a count is not left out."""
_BARE_SIZE = re.compile(r"(?<=\S)\s+(\d{1,3})\s*$")
"""``A100 80``, ``4060 Ti 16``: a size without its unit."""
_SLICE = re.compile(r"\bmig\b|\b\d+g\.\d+gb\b", re.IGNORECASE)
"""NVIDIA's names of MIG slices: ``MIG 1g.10gb``."""
_ALIKE = 0.4
"""Share of letters in common below which a name is no suggestion."""


class _Reading(enum.Enum):
    """How freely a typed name is compared with a card's; the most literal that fits any card is taken."""

    LITERAL = "literal"
    DETECTED = "detected"
    """Also with names that only a driver uses: ``B300 SXM6 AC``."""
    WITHOUT_REMARKS = "without remarks"
    WITHOUT_SERIES = "without series"


@cache
def load_cards() -> tuple[GpuSpec, ...]:
    """Every card of the catalog, by vendor in the order of ``profiles/gpus/<vendor>.toml``.

    Reads ``cards.json``, which ``tools/build_gpu_catalog.py`` writes from those files: the same rows in base units with
    the peaks worked out, decoded in about 1 ms where the TOML files take over 15.

    Raises:
        CatalogError: the file does not decode.
    """
    path, hint = profiles_path() / "gpus" / "cards.json", "install canitrain again; if that does not help, report it"
    return decode_json(
        read_bytes(path, Owner.CANITRAIN, hint=hint), tuple[GpuSpec, ...], path, Owner.CANITRAIN, hint=hint
    )


@cache
def find_card(text: str) -> GpuSpec:
    """The card that a person means by ``text``: ``rtx3060``, ``3060 12gb``, ``A100 80GB``, ``4090 laptop``.

    A name of several cards that differ in memory alone means the one with the least, unless a row's alias says
    otherwise (``A100`` is the SXM card with 40 GB, ``GTX 1060`` the one with 6). A remark in brackets is left
    out where it is no part of a name: ``V100 16GB (DGX-1)``. A number at the end may be its memory: ``A100 80``.
    ``A100 80GB MIG 1g.10gb`` is that slice of it.

    Raises:
        InputError: no card is called that, or several are; the hint names the nearest.
    """
    whole, size = split_slice(text)
    if size is not None:
        return slice_of(find_card(whole), size)
    ranked = _found(text)
    best = min(cost for cost, _ in ranked)
    cards = sorted((card for cost, card in ranked if cost == best), key=lambda card: card.memory_bytes)
    if len({frozenset(parse_name(card.name).words) for card in cards}) > 1:
        named, more = ", ".join(card.name for card in cards[:_SUGGESTIONS]), len(cards) - _SUGGESTIONS
        rest = f"; all {len(cards)}: canitrain gpus {shlex.quote(text.strip())}" if more > 0 else ""
        raise InputError(f"{text.strip()!r} could be several GPUs", hint=f"say which: {named}{rest}")
    return cards[0]


def is_ambiguous(text: str) -> bool:
    """Whether ``text`` is a part of the names of several cards, none of which it means more than another.

    Raises:
        InputError: no card is called that.
    """
    ranked = _found(split_slice(text)[0])
    best = min(cost for cost, _ in ranked)
    return len({frozenset(parse_name(card.name).words) for cost, card in ranked if cost == best}) > 1


def find_cards(text: str) -> tuple[GpuSpec, ...]:
    """Every card that ``text`` is a name, or a part of the name, of; in the order of the catalog.

    Raises:
        InputError: there is none; the hint names the nearest.
    """
    return tuple(card for _, card in _found(text))


def assumed_sizes(text: str) -> tuple[str, ...]:
    """Which card was taken for each name of ``text`` (``2x A100, T4``) that leaves its memory open, and the others.

    Raises:
        InputError: as ``describe_gpus``.
    """
    sentences = (_assumed_size(name.strip()) for _, name in parse_counts(text))
    return tuple(dict.fromkeys(sentence for sentence in sentences if sentence is not None))


def _assumed_size(text: str) -> str | None:
    if split_slice(text)[1] is not None:
        return None  # the slice's memory tells the card's
    taken = find_card(text)
    named = parse_name(taken.name)
    if parse_name(text).memory_gib is not None or named.memory_gib is None:
        return None
    others = [
        card.name
        for card in find_cards(text)
        if card.memory_bytes != taken.memory_bytes and parse_name(card.name).words == named.words
    ]
    return f"{text!r} was taken as {taken.name}; there is also {', '.join(others)}: name the one" if others else None


def _found(text: str) -> list[tuple[float, GpuSpec]]:
    """Every card that may be meant, with its distance, by the most literal reading of ``text`` that fits any.

    Raises:
        InputError: there is none.
    """
    for spelled in (text, _BRACKETS.sub(" ", text), _BARE_SIZE.sub(r" \1GB", text)):
        wanted = parse_name(spelled)
        for reading in _Reading:
            if ranked := _ranked(wanted, reading):
                return ranked
    together = run_together(text)
    if alike := [(0.0, card) for card in load_cards() if together in map(run_together, (card.name, *card.aliases))]:
        return alike
    raise InputError(f"no GPU is called {text.strip()!r}", hint=_suggestion(text))


def _ranked(wanted: CardName, reading: _Reading) -> list[tuple[float, GpuSpec]]:
    """Every card that may be meant, with its distance."""
    costs = ((_cost(wanted, reading, card, named), card) for card, named in _labelled())
    return [(cost, card) for cost, card in costs if cost is not None]


def _cost(wanted: CardName, reading: _Reading, card: GpuSpec, named: tuple[CardName, ...]) -> float | None:
    match reading:
        case _Reading.LITERAL:
            pass
        case _Reading.DETECTED:
            named = (*named, *map(parse_name, card.detected_names))
        case _Reading.WITHOUT_REMARKS:
            wanted = without_remarks(wanted, named, card.generation.value)
        case _Reading.WITHOUT_SERIES:
            wanted = without_series(without_remarks(wanted, named, card.generation.value))
        case _:
            assert_never(reading)
    return rank(wanted, named, card.memory_bytes)


@cache
def _labelled() -> tuple[tuple[GpuSpec, tuple[CardName, ...]], ...]:
    return tuple((card, labels(card)) for card in load_cards())


def labels(card: GpuSpec) -> tuple[CardName, ...]:
    """What ``card`` may be called: its name and its aliases."""
    return tuple(parse_name(name) for name in (card.name, *card.aliases))


def describe_gpus(text: str) -> tuple[Gpu, ...]:
    """The GPUs of ``2x A100 80GB, T4``, each with its datasheet's facts and nothing else running on it.

    Raises:
        InputError: a name or a count is wrong.
    """
    cards = [card for count, name in parse_counts(text) for card in [find_card(name)] * count]
    return tuple(_described(index, card) for index, card in enumerate(cards))


def _described(index: int, card: GpuSpec) -> Gpu:
    """``card`` as a GPU of a machine that nobody probed."""
    source, unknown = "datasheet", Unknown(reason="described, not probed")

    return Gpu(
        index=index,
        name=card.name,
        vendor=Known(value=card.vendor.value, source=source),
        uuid=unknown,
        total_bytes=Known(value=card.usable_bytes, source=source),
        free_bytes=Known(value=card.usable_bytes, source="datasheet, with nothing else running"),
        compute_capability=unknown
        if card.compute_capability is None
        else Known(value=card.compute_capability, source=source),
        multiprocessors=Known(value=card.multiprocessors, source=source),
        boost_hz=Known(value=card.boost_hz, source=source),
        memory_hz=unknown,
        memory_bus_bits=unknown,
        pcie_bytes_per_s=unknown
        if card.pcie_bytes_per_s is None
        else Known(value=card.pcie_bytes_per_s, source=source),
        power_limit_w=unknown if card.tdp_w is None else Known(value=card.tdp_w, source=source),
        laptop=Known(value=card.laptop, source=source),
        mig=_SLICE.search(card.name) is not None,
        spec=card,
    )


def _suggestion(text: str) -> str:
    """The cards whose names look most like ``text``: those that share its number, then those spelled alike."""
    import difflib  # noqa: PLC0415 -- only for an error

    if (machine := find_machine_type(text)) is not None:
        return f'that is a machine; its GPUs are --gpu "{machine.gpus}"'
    if _SLICE.search(text):
        return 'write a MIG slice like "A100 80GB MIG 1g.10gb"'
    if text.strip().lower() == "cpu":
        return "train on the CPU with --device cpu"
    wanted = parse_name(text)
    if wanted.memory_gib is not None:
        sizes = [card for _, card in _ranked(parse_name(" ".join(wanted.words)), _Reading.WITHOUT_REMARKS)]
        chips = [card for card in sizes if card.unified_memory]
        if chips:
            return f"name the chip alone, {chips[0].name}, and its memory with --ram {wanted.memory_gib}GiB"
        if sizes:
            listed = ", ".join(f"{card.name} ({format_bytes(card.memory_bytes)})" for card in sizes[:_SUGGESTIONS])
            return f"there is {listed}; a card with another size: save its machine there with canitrain probe --save"
    spelled = " ".join(sorted(wanted.words))
    nearness: dict[str, tuple[int, float]] = {}
    for card, named in _labelled():
        for label in named:
            shared = sum(word in label.words for word in wanted.words if any(map(str.isdigit, word)))
            alike = difflib.SequenceMatcher(None, spelled, " ".join(sorted(label.words))).ratio()
            nearness[card.name] = max(nearness.get(card.name, (0, 0.0)), (shared, alike))
    near = sorted(
        (name for name, score in nearness.items() if score > (0, _ALIKE)), key=nearness.__getitem__, reverse=True
    )
    listed = ", ".join(near[:_SUGGESTIONS])
    return f"the nearest are {listed}; all of them: canitrain gpus" if listed else "see all of them: canitrain gpus"
