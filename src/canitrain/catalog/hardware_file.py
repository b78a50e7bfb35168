"""A machine that ``canitrain probe --save`` wrote to a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from canitrain.catalog.decode import Owner, decode_json, read_bytes
from canitrain.core.hardware import Hardware

_HINT = "write the file with: canitrain probe --save HOST.json"


def load_hardware(path: Path | str) -> Hardware:
    """The machine of the file at ``path``, with the path as its origin.

    Raises:
        InputError: the file is missing, malformed, truncated, has an unknown key, a wrong type or a negative number.
    """
    file = Path(path)
    raw = read_bytes(file, Owner.USER, hint=_HINT)
    hardware = decode_json(raw, Hardware, file, Owner.USER, hint=_HINT)
    return msgspec.structs.replace(hardware, origin=str(file))
