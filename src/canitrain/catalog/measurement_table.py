"""A CSV as people export it: its encoding, separator and decimal sign found out, its header and lines as text."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from canitrain.catalog.decode import Owner, read_bytes
from canitrain.core.errors import InputError

_SEPARATORS = ",;\t|"
"""A comma where several would do."""
_SEPARATOR_LINE = r"sep=[,;\t|]\s*"
"""What Excel writes, and reads, above the header."""


class Table(Struct, frozen=True, kw_only=True):
    """A header, and the lines below it that hold anything."""

    header: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]
    """Each with its line number in the file, the first being 1."""


def read_table(path: Path, known: Callable[[str], str | None], *, hint: str) -> Table:
    """The table in ``path``, which is read once: it may be a pipe.

    Args:
        path: A CSV in UTF-8, UTF-16 or Windows' Western encoding, separated by commas, semicolons, tabs or bars.
        known: The column that a header's field stands for, ``None`` where it is another.
        hint: What an error advises.

    Raises:
        InputError: the file cannot be read, is no text, or a quote is left open.
    """
    text = _text(path, read_bytes(path, Owner.USER, hint=f"give a CSV of measured runs; {hint}"))
    rows = list(enumerate(text.split("\n"), start=1))
    skipped = 1 if rows and re.fullmatch(_SEPARATOR_LINE, rows[0][1].strip("\r")) else 0
    text = "\n".join(line for _, line in rows[skipped:])
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=_separator(text, known))
    try:
        lines = [(reader.line_num + skipped, line) for line in reader if any(field.strip() for field in line)]
    except csv.Error as error:
        raise InputError(f"{path} row {reader.line_num + skipped}: {error}", hint="check its quotes") from None
    if not lines:
        raise InputError(f"{path} is empty", hint=hint)
    names = _without_empty_end(lines[0][1], 0)
    header = tuple(known(name) or name.strip() for name in names)
    return Table(
        header=header, lines=tuple((row, tuple(_without_empty_end(line, len(header)))) for row, line in lines[1:])
    )


def _text(path: Path, raw: bytes) -> str:
    """``raw`` decoded; every column and every figure is ASCII, so that a wrong guess would only spoil a note."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig",) if b"\0" in raw else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{path} is not text in UTF-8", hint="save it as a CSV in UTF-8")


def _separator(text: str, known: Callable[[str], str | None]) -> str:
    """The separator that makes most columns of the first line known."""
    first = next((line for line in text.splitlines() if line.strip()), "")

    def columns(separator: str) -> int:
        return sum(known(name.strip().strip('"')) is not None for name in first.split(separator))

    return max(_SEPARATORS, key=columns)


def _without_empty_end(fields: list[str], least: int) -> list[str]:
    """``fields`` without empty ones at the end, as a spreadsheet writes them, but not fewer than ``least``."""
    count = len(fields)
    while count > least and not fields[count - 1].strip():
        count -= 1
    return fields[:count]
