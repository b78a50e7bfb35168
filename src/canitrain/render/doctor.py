"""Everything the probe saw as a table of facts, without what would tell whose machine it is."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from msgspec import structs, to_builtins

from canitrain.core.fact import Unknown
from canitrain.core.hardware import Gpu, Hardware

LEFT_OUT = Unknown(reason="left out here")
SYSTEM_PATHS = "proc|sys|dev|etc|usr|run"
"""Folders that are the same on every machine: their names tell nothing."""


def doctor_text(hardware: Hardware, version: str, *, private: tuple[str, ...] = (), columns: int = 80) -> str:
    """Every fact with its source or its reason, fit to paste into a bug report.

    Args:
        hardware: what the probe found.
        version: canitrain's.
        private: words to leave out besides paths, UUIDs and serial numbers: host name, user name.
        columns: the longest line.
    """
    private = (hardware.storage.path, *private)
    told = to_builtins(_anonymous(hardware))
    told.pop("warnings")
    lines = [f"canitrain {version}, canitrain doctor"]
    for name, text in _facts("", told):
        lines += textwrap.wrap(
            f"{name}  {clean(text, private)}", width=columns, subsequent_indent="    ", break_on_hyphens=False
        )
    lines += ["", f"warnings: {len(hardware.warnings) or 'none'}"]
    for warning in hardware.warnings:
        lines += textwrap.wrap(
            clean(warning, private),
            width=columns,
            initial_indent=" - ",
            subsequent_indent="   ",
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"


def clean(text: str, private: tuple[str, ...]) -> str:
    """``text`` without paths of a user's, UUIDs, long identifiers and the words in ``private``."""
    for word in private:
        label = "<path>" if re.search(r"[/\\]", word) else "<private>"
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", label, text)
    text = re.sub(rf"(?<![\w<])/(?!(?:{SYSTEM_PATHS})\b)[\w.~+@-][^\s:,)'\]]*", "<path>", text)
    text = re.sub(r"\b[A-Za-z]:\\[^\s:,)']*", "<path>", text)
    text = re.sub(r"\b(?:GPU-|MIG-)?[0-9a-fA-F]{8}(?:[-_][0-9a-fA-F]{4}){3}[-_][0-9a-fA-F]{12}\b", "<id>", text)
    return re.sub(r"\b(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{12,}\b", "<id>", text)


def _anonymous(hardware: Hardware) -> Hardware:
    """``hardware`` without the data path and the cards' UUIDs."""
    gpus = hardware.gpus
    if not isinstance(gpus, Unknown):
        gpus = structs.replace(gpus, value=tuple(_nameless(gpu) for gpu in gpus.value))
    return structs.replace(hardware, gpus=gpus, storage=structs.replace(hardware.storage, path="<path>"))


def _nameless(gpu: Gpu) -> Gpu:
    return structs.replace(gpu, uuid=LEFT_OUT)


def _facts(name: str, tree: object) -> Iterator[tuple[str, str]]:
    """``(dotted name, what is known)`` of every leaf of ``tree``."""
    match tree:
        case {"state": "known", "value": value, "source": source} if _nested(value):
            yield name, f"[{source}]"
            yield from _facts(name, value)
        case {"state": "known", "value": value, "source": source}:
            yield name, f"{_plain(value)}  [{source}]"
        case {"state": "unknown", "reason": reason}:
            yield name, f"unknown: {reason}"
        case {"name": bound, "value": value}:
            yield name, f"{bound} = {value:g}"
        case dict():
            for key, value in tree.items():
                yield from _facts(f"{name}.{key}" if name else key, value)
        case list() | tuple() if _nested(tree):
            for number, value in enumerate(tree):
                yield from _facts(f"{name}.{number}", value)
        case _:
            yield name, _plain(tree)


def _nested(value: object) -> bool:
    """Whether ``value`` holds records."""
    return isinstance(value, dict) or (
        isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value)
    )


def _plain(value: object) -> str:
    """A leaf as text; several as a list of words."""
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "none"
    return "none" if value is None else str(value)
