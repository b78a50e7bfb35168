"""Strict decoding: a file becomes a core record, or an error that names file, key, value and the way out."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from canitrain.catalog.explain import explain_mismatch, explain_syntax, untyped
from canitrain.core.errors import CanitrainError, CatalogError, InputError
from canitrain.core.limits import LARGEST_NUMBER

T = TypeVar("T")

_SIGNED_KEYS = ("check_live_error", "check_flops_error")
"""The only numbers of any file that may be below zero: residuals."""
_OUT_OF_RANGE = "Number out of range"
"""What msgspec says of a number that no double holds."""


class Owner(enum.Enum):
    """Whose file it is, which decides whose error a broken one is."""

    USER = "user"
    """Given on the command line: ``InputError``, exit 2."""
    CANITRAIN = "canitrain"
    """Shipped under profiles/: ``CatalogError``, exit 70."""


def read_bytes(path: Path, owner: Owner, *, hint: str) -> bytes:
    """The content of ``path``.

    Raises:
        InputError: a user's file is missing, a folder or not readable.
        CatalogError: a file of ours is.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _error(owner, f"{path} does not exist", hint) from None
    except OSError as error:
        raise _error(owner, f"{path} cannot be read: {error.strerror}", hint) from None


def decode_json(raw: bytes, type_: type[T], path: Path, owner: Owner, *, hint: str) -> T:
    """``raw`` as ``type_``; unknown keys and wrong types are refused, in a user's file also bad numbers.

    Files of ours get the same check of numbers in the tests, not in every run.

    Raises:
        InputError: a user's file is malformed, truncated or does not fit.
        CatalogError: a file of ours does.
    """
    try:
        if owner is Owner.USER:
            tree = msgspec.json.decode(raw)
            _refuse_other_format(tree, type_, path, hint=hint)
            refuse_bad_numbers(tree, path, owner, hint=hint)
        return msgspec.json.decode(raw, type=type_)
    except msgspec.ValidationError as error:
        if _OUT_OF_RANGE in str(error):
            import json  # noqa: PLC0415 -- reads 1e999 as infinity, so that the usual check can name the key

            refuse_bad_numbers(json.loads(raw), path, owner, hint=hint)
        raise _error(owner, f"{path}: {explain_mismatch(str(error), untyped(raw))}", hint) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _error(owner, f"{path} is not valid JSON: {explain_syntax(str(error), raw)}", hint) from None
    except RecursionError:
        raise _error(owner, f"{path} is nested too deeply to be what it should be", hint) from None


def _refuse_other_format(tree: Any, type_: type[T], path: Path, *, hint: str) -> None:  # noqa: ANN401 -- decoded JSON
    """Name the format of a file that another release wrote, before the first of the keys that differ is blamed."""
    fields = msgspec.structs.fields(type_) if issubclass(type_, msgspec.Struct) else ()
    read = next((field.default for field in fields if field.name == "schema"), None)
    found = tree.get("schema", read) if isinstance(tree, dict) else read
    if found != read:
        raise InputError(
            f"{path} is in format {msgspec.json.encode(found).decode()}, and this release of canitrain reads {read}",
            hint=hint,
        )


def decode_toml(path: Path, type_: type[T]) -> T:
    """A TOML file of ours as ``type_``.

    Raises:
        CatalogError: it is missing, malformed, has an unknown key, or a number that is not finite.
    """
    import tomllib  # noqa: PLC0415 -- the JSON paths do without it

    hint = "install canitrain again; if that does not help, report it"
    raw = read_bytes(path, Owner.CANITRAIN, hint=hint)
    try:
        table = tomllib.loads(raw.decode())
        refuse_bad_numbers(table, path, Owner.CANITRAIN, hint=hint, signed=True)
        return msgspec.convert(table, type_)
    except msgspec.ValidationError as error:
        raise CatalogError(f"{path}: {explain_mismatch(str(error), table)}", hint=hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path} is not valid TOML: {error}", hint=hint) from None


def refuse_bad_numbers(tree: Any, path: Path, owner: Owner, *, hint: str, signed: bool = False) -> None:  # noqa: ANN401 -- decoded JSON
    """Check that every number in ``tree`` is finite, of a size that can be and, unless ``signed``, not below zero.

    Raises:
        InputError: one is not, in a user's file.
        CatalogError: one is not, in a file of ours.
    """
    for key, number in _numbers(tree, ""):
        if not math.isfinite(number):
            raise _error(owner, f"{path}: {key} is {number}, not a finite number", hint)
        if abs(number) > LARGEST_NUMBER:
            raise _error(owner, f"{path}: {key} is {number:g}, larger than any that can be", hint)
        if number < 0 and not signed:
            raise _error(owner, f"{path}: {key} is {number}, which is below zero", hint)


def _numbers(node: Any, key: str) -> Iterator[tuple[str, float]]:  # noqa: ANN401 -- decoded JSON
    """Every number below ``node`` with its path, residuals left out."""
    match node:
        case bool():
            return
        case int() | float():
            yield key, node
        case dict():
            for name, child in node.items():
                if name not in _SIGNED_KEYS:
                    yield from _numbers(child, f"{key}.{name}" if key else name)
        case list():
            for index, child in enumerate(node):
                yield from _numbers(child, f"{key}[{index}]")


def _error(owner: Owner, message: str, hint: str) -> CanitrainError:
    """The error of the right branch."""
    match owner:
        case Owner.USER:
            return InputError(message, hint=hint)
        case Owner.CANITRAIN:
            return CatalogError(message, hint=hint)
