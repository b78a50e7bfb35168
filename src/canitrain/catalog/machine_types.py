"""Machines that people name in place of their cards: cloud instances and NVIDIA's DGX."""

from __future__ import annotations

import re

from msgspec import Struct

from canitrain.catalog.decode import decode_toml
from canitrain.catalog.locate import profiles_path


class MachineType(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One size of a machine, or several with as many cards."""

    pattern: str
    """Regular expression of the whole name, in lower case."""
    gpus: str
    """What to write for ``--gpu``."""
    source: str


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    machine: tuple[MachineType, ...]


def load_machine_types() -> tuple[MachineType, ...]:
    """The rows of ``profiles/gpus/machines.toml``; read only for a name that is no card's.

    Raises:
        CatalogError: the file does not decode.
    """
    return decode_toml(profiles_path() / "gpus" / "machines.toml", _File).machine


def find_machine_type(name: str) -> MachineType | None:
    """The machine called ``name``: ``p4d.24xlarge``, ``DGX-1``."""
    plain = re.sub(r"[\s_]+", "_", name.strip().lower())
    return next((machine for machine in load_machine_types() if re.fullmatch(machine.pattern, plain)), None)
