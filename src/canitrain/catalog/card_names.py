"""How people type the names of cards: words, memory and counts. Never used for a name that a driver reports."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from canitrain.core.errors import InputError
from canitrain.core.units import GIB_BYTES

_IGNORED = frozenset((
    "nvidia", "geforce", "amd", "radeon", "intel", "tesla", "instinct", "graphics", "gpu", "gpus", "card", "generation",
    "edition", "with", "w", "design", "the", "developer", "devkit", "kit", "module",
))  # fmt: skip
"""Words that name no card: vendors and what drivers and boxes put around a name."""
_OPTIONAL = frozenset(("rtx", "gtx", "rx", "arc", "apple", "jetson", "workstation", "pascal"))
"""Words that may be left out but must fit when typed: ``TITAN X`` may be the ``GTX`` one or the one called Pascal."""
_SYNONYMS = {
    "mobile": "laptop",
    "notebook": "laptop",
    "sxm2": "sxm",
    "sxm4": "sxm",
    "sxm5": "sxm",
    "sxm6": "sxm",
    "nvlink": "sxm",
    "pcie3": "pcie",
    "pcie4": "pcie",
    "pcie5": "pcie",
}
_QUALIFIERS = (
    frozenset(("sxm", "pcie", "nvl", "oam")),
    frozenset(("hbm", "hbm2", "hbm2e", "hbm3", "hbm3e", "gddr5", "gddr5x", "gddr6", "gddr6x", "gddr7")),
)
"""What people add to a name: the form and the memory's kind. True of a card none of whose labels states another."""
_AROUND = frozenset(
    ("ac", "mba", "vf", "mcm", "nvl72", "colab", "kaggle", "aws", "gcp", "azure", "gcd", "grace", "lovelace")
)
"""How it is built in, where it is, the rest of its architecture's name, and the part of a card that is a GPU itself."""
_SERIES = frozenset(("rtx", "gtx", "gt", "rx", "quadro"))
"""Mistaken for one another (``GTX 2080 Ti``): the number alone tells the card."""
_VENDORS = re.compile("nvidia|geforce|tesla|amd|radeon|instinct|intel|graphics|gpu|edition|generation")
_SPLIT_PREFIX = re.compile(r"^(rtx|gtx|rx|gt|arc)(?=[\da])|^(?:titan)(?=x|v|rtx)")
_SPLIT_SUFFIX = re.compile(
    r"^(\d{3,4})(ti|super|s|xtx|xt|gre|d|m|ada)?(super|s)?(laptop|mobile|notebook)?$|^(m\d)(pro|max|ultra)$"
)
_WATTS = re.compile(r"^\d+w$")
_MEMORY = re.compile(r"(?<![\w.])(\d+)\s*(?:gib|gb|g)(?!\w)")
_COUNT_BEFORE = re.compile(
    r"^(?:(?P<count>-?\d{1,3})\s*[x\u00d7*]\s*|(?P<few>\d{1,2})\s+(?=\D))(?P<name>(?=\S{3}|.*[a-z]).+)$", re.IGNORECASE
)
"""``2x T4``, ``2 T4``; but ``980 ti`` and ``980 x2`` begin with a name."""
_COUNT_AFTER = re.compile(
    r"^(?P<name>.+?)\s*(?<![rt])(?<!\bm)(?<!_m)(?<!cem)(?<!fle)(?<!ma)(?<!dg)(?<!hg)[x\u00d7*]\s*(?P<count>\d{1,3})$",
    re.IGNORECASE,
)
"""``T4 x2``, ``L40Sx8``; but ``rx 580``, ``gtx 970``, ``GeForce MX250``, ``Flex 170``, ``M3 Max`` and ``DGX-2`` are
names."""
_NUMBERS = {"one": 1, "single": 1, "two": 2, "dual": 2, "three": 3, "four": 4, "quad": 4, "eight": 8}
_COUNT_IN_WORDS = re.compile(rf"^({'|'.join(_NUMBERS)})\s+(?=\S)", re.IGNORECASE)
_COUNT_IN_BRACKETS = re.compile(r"\s*\(\s*(?:[x\u00d7*]\s*(\d{1,3})|(\d{1,3})\s*[x\u00d7*])\s*\)\s*$", re.IGNORECASE)
"""``T4 (x2)``."""
_SEPARATOR = re.compile(r"(?:[,;]|(?<!max)\+|(?<=\s)and(?=\s))(?![^(]*\))", re.IGNORECASE)
"""Between the cards of a list, not inside brackets; the plus of ``Ryzen AI Max+ 395`` is a part of the name."""
_MOST = 64
_MEMORY_TOLERANCE_RATIO = 0.08
"""How far a typed size may be from a card's: 128 GB are 119 GiB, and 11 GB is not 12."""
_MISSING_MEMORY_COST = 0.5
"""A label that names a memory size the reader did not is a little further away than one that names none."""


class CardName(Struct, frozen=True, kw_only=True):
    """A name taken apart: its words without vendors, and its memory in GiB where it says so."""

    words: frozenset[str]
    memory_gib: int | None


def parse_name(text: str) -> CardName:
    """Take ``text`` apart: ``RTX3060Ti 8 GB`` has the words ``rtx, 3060, ti`` and 8 GiB."""
    lowered = re.sub(r"max[-\s]?q", "maxq", text.lower()).replace("pci-e", "pcie")
    memory = _MEMORY.search(re.sub(r"[-_()/]", " ", lowered))
    lowered = _MEMORY.sub(" ", re.sub(r"[-_()/]", " ", lowered))
    words: list[str] = []
    for word in re.findall(r"[\w.+]+", lowered):
        words += _split(word)
    named = (_SYNONYMS.get(word, word) for word in words)
    return CardName(
        words=frozenset(w for w in named if w not in _IGNORED and not _WATTS.match(w)),
        memory_gib=int(memory[1]) if memory else None,
    )


def rank(wanted: CardName, labels: tuple[CardName, ...], memory_bytes: int) -> float | None:
    """How far ``wanted`` is from the nearest of a card's ``labels``, in words not typed; ``None`` for no match."""
    if not wanted.words:
        return None
    fitting = (
        _distance(wanted, label)
        for label in labels
        if wanted.words <= label.words
        and (wanted.memory_gib in (None, label.memory_gib) or _same_size(wanted.memory_gib, memory_bytes / GIB_BYTES))
    )
    return min(fitting, default=None)


def parse_counts(text: str) -> tuple[tuple[int, str], ...]:
    """Counts and names of ``2x A100 80GB, T4 + 3 x L4``.

    Raises:
        InputError: an entry is empty, or a count is not between 1 and 64.
    """
    return tuple(_counted(entry.strip(), text) for entry in _SEPARATOR.split(text))


def without_remarks(wanted: CardName, labels: tuple[CardName, ...], generation: str) -> CardName:
    """``wanted`` without what is true of a card but not a part of its name: ``Volta V100``, ``H200 141GB HBM3e``.

    Args:
        wanted: what was typed.
        labels: the card's names; a form or a kind of memory that they contradict stays.
        generation: the card's architecture.
    """
    stated = frozenset[str]().union(*(label.words for label in labels))
    true = _AROUND | {generation}
    for kind in _QUALIFIERS:
        typed, own = wanted.words & kind, stated & kind
        if not own or typed <= own:
            true |= typed
    return msgspec.structs.replace(wanted, words=wanted.words - true)


def without_series(wanted: CardName) -> CardName:
    """``wanted`` without the name of its series, which people mistake: ``GTX 2080 Ti``, ``Quadro A6000``."""
    return msgspec.structs.replace(wanted, words=wanted.words - _SERIES)


def run_together(text: str) -> str:
    """``text`` without case, separators and vendors: ``GeForceRTX3090`` is ``rtx3090``."""
    return _VENDORS.sub("", re.sub(r"[^a-z0-9.+]", "", text.lower()))


def _counted(entry: str, whole: str) -> tuple[int, str]:
    entry = _COUNT_IN_WORDS.sub(lambda found: f"{_NUMBERS[found[1].lower()]}x ", entry)
    entry = _COUNT_IN_BRACKETS.sub(lambda found: f" x{found[1] or found[2]}", entry)
    found = _COUNT_BEFORE.match(entry) or _COUNT_AFTER.match(entry)
    numbers = found.groupdict() if found else {}
    count, name = int(numbers.get("count") or numbers.get("few") or 1), numbers.get("name", entry)
    if not entry:
        raise InputError(f"{whole!r} has an entry without a name", hint='write GPUs like "2x RTX 3060, T4"')
    if not 1 <= count <= _MOST:
        raise InputError(f"{entry!r}: {count} GPUs", hint=f"a machine has 1 to {_MOST} of them")
    return count, name


def _split(word: str) -> list[str]:
    """``rtx3060ti`` as ``rtx, 3060, ti``."""
    prefix = _SPLIT_PREFIX.match(word)
    head, rest = ([prefix[0]], word[prefix.end() :]) if prefix else ([], word)
    suffix = _SPLIT_SUFFIX.match(rest)
    if suffix is None:
        return [*head, rest]
    spelled = {"s": "super", "m": "laptop"}
    number, *parts = (part for part in suffix.groups() if part)
    return [*head, number, *(spelled.get(part, part) for part in parts)]


def _same_size(typed_gib: float | None, card_gib: float) -> bool:
    return typed_gib is None or abs(typed_gib - card_gib) <= _MEMORY_TOLERANCE_RATIO * max(typed_gib, card_gib)


def _distance(wanted: CardName, label: CardName) -> float:
    extra = len(label.words - wanted.words - _OPTIONAL)
    return extra + (_MISSING_MEMORY_COST if label.memory_gib is not None and wanted.memory_gib is None else 0)
