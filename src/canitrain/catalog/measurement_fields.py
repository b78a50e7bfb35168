"""One field of a measured run: numbers, sizes and durations as people write them, or an error with row and column."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from msgspec import Struct

from canitrain.core.errors import InputError
from canitrain.core.limits import LARGEST_BYTES, LARGEST_COUNT, LARGEST_NUMBER
from canitrain.core.units import HOUR_S, MINUTE_S, parse_bytes, parse_duration

_EMPTY = frozenset({"", "-", "n/a", "na", "nan", "none", "null", "#n/a"})
"""What people and programs write where nothing is known."""
_YES, _NO = frozenset({"yes", "y", "true", "1", "on"}), frozenset({"no", "n", "false", "0", "off"})
_SPACES = r"\s\u00a0\u202f"
"""Some write them between thousands."""
_WORDS = ((r"hours?|hrs?", "h"), (r"minutes?|mins?", "min"), (r"milliseconds?|msecs?", "ms"), (r"seconds?|secs?", "s"))
_MILLISECOND_S = 1e-3
_NUMBER_HINT = "base units, like 0.25, or empty"
_DURATION_HINT = "seconds, or with a unit: 250 ms, 1.5h, 1h45m, 1:45:00"
_BYTES_HINT = "write bytes, or a unit: 8.1 GB are 8.1e9, 7700 MiB 8.07e9"


def has_comma_decimals(texts: Iterable[str]) -> bool:
    """Whether one of a file's figures has a comma that can only be its decimal sign: ``0,13``, not ``118,287``."""
    figures = (re.match(r"\s*-?(\d[\d.]*),(\d+)(?![\d,.])", text) for text in texts)
    return any(found and (found[1] == "0" or len(found[2]) != 3 or "." in found[1]) for found in figures)  # noqa: PLR2004


class Field(Struct, frozen=True, kw_only=True):
    """A field, where it stands, and how the file writes decimals."""

    where: str
    """File and row."""
    name: str
    content: str
    comma_decimals: bool

    @property
    def text(self) -> str | None:
        """The content, ``None`` where it is empty."""
        plain = self.content.strip()
        return None if plain.lower() in _EMPTY else plain

    def wrong(self, problem: str, hint: str) -> InputError:
        """The error of this field."""
        return InputError(f"{self.where}: {self.name} is {self.text!r}{problem}", hint=hint)

    def number(
        self, *, least: float | None = None, most: float = LARGEST_NUMBER, hint: str = _NUMBER_HINT
    ) -> float | None:
        """A positive number, or one from ``least`` on, up to ``most``."""
        if self.text is None:
            return None
        return self._within(self._float(self.text, whole=False), least=least, most=most, hint=hint)

    def count(self, *, counts: str, least: int = 1, most: int = LARGEST_COUNT) -> int | None:
        """A whole number from ``least`` to ``most``, also when written ``16.0`` or ``118,287``."""
        if self.text is None:
            return None
        number = self._float(self.text, whole=True)
        if not math.isfinite(number) or number < 0 or (least and number <= 0):
            what = "a positive number" if least else "a number from 0 on"
            raise self.wrong(f", not {what}", f"it counts {counts}")
        if number != int(number):
            raise self.wrong(", not a whole number", f"it counts {counts}")
        if number > most:
            raise self.wrong(", more than any run has", f"it counts {counts}")
        return int(number)

    def duration_s(self) -> float | None:
        """Seconds; a number alone is in seconds, ``1.5h``, ``250 ms`` and ``1:45:00`` say their unit."""
        text = self.text
        if text is None:
            return None
        if (clock := re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)) is not None:
            seconds = int(clock[1]) * HOUR_S + int(clock[2]) * MINUTE_S + float(clock[3])
        elif re.search(r"[a-zA-Z]\s*$", text) and text.lower() != "inf":
            seconds = self._with_unit(text)
        elif re.fullmatch(r"\d+:\d\d", text):
            raise self.wrong(", and may mean two times", f"write {text}:00, with hours, or 0:{text}, without")
        else:
            return self.number(hint=_DURATION_HINT)
        return self._within(seconds, hint=_DURATION_HINT)

    def size_bytes(self, *, least: float) -> float | None:
        """Bytes, or a size with its unit; a bare G is refused, for logs mean 1e9 by it and tools 2**30."""
        text = self.text
        if text is None:
            return None
        match = re.fullmatch(rf"([\d.,{_SPACES}]+?)\s*([KMGTkmgt])(i?[Bb])?", text)
        if match is not None and match[3] is None:
            letter = match[2].upper()
            raise self.wrong(", and may mean two sizes", f"write {match[1]} {letter}B (10**x) or {letter}iB (2**x)")
        if match is None:
            size = self.number(hint=_BYTES_HINT)
        else:
            unit_bytes = parse_bytes(f"1 {match[2]}{match[3]}")
            size = self._within(self._float(match[1], whole=False) * unit_bytes, most=LARGEST_BYTES, hint=_BYTES_HINT)
        if size is not None and size < least:
            raise self.wrong(", less than any run takes", _BYTES_HINT)
        return size

    def pixels(self) -> float | None:
        """Width x height, multiplied out or not."""
        hint = "width x height, like 1920x1080"
        match = re.fullmatch(r"(\d+)\s*[x\u00d7*]\s*(\d+)", (self.text or "").lower())
        if match is None:
            return self.number(hint=hint)
        return self._within(float(match[1]) * float(match[2]), hint=hint)

    def yes_no(self, *, meaning: str) -> bool | None:
        """``yes`` or ``no``, or as programs write them."""
        if self.text is None:
            return None
        word = self.text.lower()
        if word not in _YES | _NO:
            raise self.wrong("", f"it is yes ({meaning}), no or empty")
        return word in _YES

    def _with_unit(self, text: str) -> float:
        """Seconds of ``text``, which ends in a unit; NaN where it is no duration."""
        plain = text.lower()
        for words, suffix in _WORDS:
            plain = re.sub(rf"\b({words})\b|(?<=\d)({words})\b", suffix, plain)
        one = re.fullmatch(rf"([\d.,'{_SPACES}]+?)\s*([a-z]+)", plain)
        if one is not None:
            unit_s = _MILLISECOND_S if one[2] == "ms" else _seconds_or_nan(f"1{one[2]}")
            return self._float(one[1], whole=False) * unit_s
        return _seconds_or_nan(plain.replace(",", ".") if self.comma_decimals else plain)

    def _within(self, number: float, *, least: float | None = None, most: float = LARGEST_NUMBER, hint: str) -> float:
        """``number``, if it is positive, or from ``least`` on, and up to ``most``."""
        low = number <= 0 if least is None else number < least
        if not math.isfinite(number) or low:
            what = "a positive number" if least is None else f"a number from {least:g} on"
            raise self.wrong(f", not {what}", hint)
        if number > most:
            raise self.wrong(", more than any run has", hint)
        return number

    def _float(self, text: str, *, whole: bool) -> float:
        """``text`` as a number, NaN where it is none; ``whole`` takes ``118,287`` as thousands, for it counts.

        Raises:
            InputError: it could be two numbers: ``1,234`` may be more than a thousand or little more than one.
        """
        plain = re.sub(rf"(?<=\d)[{_SPACES}'](?=\d{{3}}(?!\d))", "", text.strip())
        grouped = re.fullmatch(r"(?!0)\d{1,3}([.,])\d{3}(?:\1\d{3})*([.,]\d+)?", plain)
        if grouped is None:
            return _float_or_nan(plain.replace(",", ".") if plain.count(",") == 1 and "." not in plain else plain)
        mark = grouped[1]
        usual = (mark == ",") is self.comma_decimals
        if grouped[2] is None and plain.count(mark) == 1 and usual:
            return float(plain.replace(",", "."))
        if grouped[2] is None and plain.count(mark) == 1 and not whole:
            digits, thousandths = plain.replace(mark, ""), plain.replace(",", ".")
            raise self.wrong(", and may mean two numbers", f"write {digits} or {thousandths}, whichever it is")
        return float(plain.replace(mark, "").replace(",", "."))


def _float_or_nan(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _seconds_or_nan(text: str) -> float:
    try:
        return parse_duration(text)
    except InputError:
        return math.nan
