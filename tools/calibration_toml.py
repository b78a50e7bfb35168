"""Writes ``time.toml``: what was fitted replaces its rows, everything else stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from canitrain.core.time_calibration import TimeCalibration

HEADER = """\
# Coefficients of the time estimate; the records in core/time_calibration.py say what each means.
# Rows whose source is tools/fit_time.py are rewritten by it; what it does not fit stays as it is.
"""


def read_time_toml(path: Path) -> TimeCalibration:
    """The calibration in ``path``."""
    return msgspec.toml.decode(path.read_bytes(), type=TimeCalibration)


def write_time_toml(path: Path, calibration: TimeCalibration) -> None:
    """``calibration`` as TOML: lone values first, then a table a coefficient, then the rows."""
    tree: dict[str, Any] = msgspec.to_builtins(calibration)
    text = [HEADER, *_lines({key: value for key, value in tree.items() if _is_value(value)})]
    for key, value in tree.items():
        if isinstance(value, Mapping):
            text += _table(key, value)
    for key, value in tree.items():
        if _is_rows(value):
            for row in value:
                text += ["", f"[[{key}]]", *_lines(row)]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")


def _is_rows(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _is_value(value: Any) -> bool:  # noqa: ANN401
    return not isinstance(value, Mapping) and not _is_rows(value)


def _table(name: str, tree: Mapping[str, Any]) -> list[str]:
    own = {key: value for key, value in tree.items() if _is_value(value)}
    text = ["", f"[{name}]", *_lines(own)] if own else []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            text += _table(f"{name}.{key}", value)
    return text


def _lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_literal(value)}" for key, value in values.items() if value != ""]


def _literal(value: Any) -> str:  # noqa: ANN401
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return msgspec.json.encode(value).decode()
        case float():
            return f"{value:.4g}" if value < 1e4 else f"{value:.6g}"
        case list() | tuple():
            return "[" + ", ".join(map(_literal, value)) + "]"
        case _:
            return str(value)
