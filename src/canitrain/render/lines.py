"""Lines of coloured spans: plain text without colour, ANSI with it. Colour never carries meaning of its own."""

from __future__ import annotations

import enum
import textwrap
from collections.abc import Iterable

from msgspec import Struct

from canitrain.core.report import Status

BAR_COLUMNS = 72
"""Narrower terminals get words and numbers alone."""


class Tone(enum.Enum):
    """What a span is; how it looks is decided in one place."""

    PLAIN = "plain"
    QUIET = "quiet"
    STRONG = "strong"
    GOOD = "good"
    CAUTION = "caution"
    BAD = "bad"


_RICH_STYLE = {
    Tone.PLAIN: "",
    Tone.QUIET: "dim",
    Tone.STRONG: "bold",
    Tone.GOOD: "bold green",
    Tone.CAUTION: "bold yellow",
    Tone.BAD: "bold red",
}

STATUS_TONE = {
    Status.GO: Tone.GOOD,
    Status.TIGHT: Tone.CAUTION,
    Status.NO_GO: Tone.BAD,
    Status.UNKNOWN: Tone.CAUTION,
}


class Span(Struct, frozen=True):
    """Text in one tone."""

    text: str
    tone: Tone = Tone.PLAIN


Line = tuple[Span, ...]
EMPTY_LINE: Line = ()


def labelled(label: str, text: str, *, columns: int, indent: int, tone: Tone = Tone.QUIET) -> list[Line]:
    """``text`` wrapped to ``columns`` behind ``label``, which stands in ``indent`` columns of its own."""
    wrapped = textwrap.wrap(text, width=columns - indent, break_on_hyphens=False) or [""]
    heads = [label] + [""] * (len(wrapped) - 1)
    return [
        (Span(head.ljust(indent), tone), Span(part)) if len(head) < indent else (Span(f"{head} ", tone), Span(part))
        for head, part in zip(heads, wrapped, strict=True)
    ]


def paint(lines: Iterable[Line], *, color: bool) -> str:
    """The lines as one string that ends in a newline."""
    if not color:
        return "".join("".join(span.text for span in line).rstrip() + "\n" for line in lines)
    # rich costs a good part of the time that a check takes: only where there is colour to make.
    from rich.color import ColorSystem  # noqa: PLC0415
    from rich.style import Style  # noqa: PLC0415

    styles = {tone: Style.parse(style or "none") for tone, style in _RICH_STYLE.items()}
    return "".join(
        "".join(styles[span.tone].render(span.text, color_system=ColorSystem.STANDARD) for span in line) + "\n"
        for line in lines
    )
