"""A profile as JSON that reads and diffs well: one stage, peak or convolution a line."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from canitrain.core.profile import ModelProfile

_ROWS = ("stages", "peaks", "convolutions")


def profile_json(profile: ModelProfile) -> str:
    """``profile`` as text that ends in a newline; whole numbers are written without a point."""
    plain = _whole(msgspec.to_builtins(profile))
    lines = []
    for key, value in plain.items():
        if key == "traces":
            traces = (f"  {json.dumps(name)}: {_trace(trace)}" for name, trace in value.items())
            lines.append('"traces": {\n' + ",\n".join(traces) + "\n}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _trace(trace: dict[str, Any]) -> str:
    lines = []
    for key, value in trace.items():
        if key in _ROWS:
            rows = ",\n".join(f"      {json.dumps(row, separators=(',', ':'))}" for row in value)
            lines.append(f"    {json.dumps(key)}: [\n{rows}\n    ]")
        else:
            lines.append(f"    {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n  }"


def _whole(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            # A polynomial without terms is its holder's default.
            return {key: _whole(item) for key, item in value.items() if item != {}}
        case list() | tuple():
            return [_whole(item) for item in value]
        case _:
            return value
