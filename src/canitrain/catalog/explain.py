"""What is wrong with a file, in a reader's words: which key, which value, which line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+|\.\.\.)\]")
_SHOWN_CHARACTERS = 60


def untyped(raw: bytes) -> Any:  # noqa: ANN401 -- decoded JSON
    """``raw`` without a type, ``None`` where it is broken further on."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def explain_mismatch(message: str, tree: Any) -> str:  # noqa: ANN401 -- decoded JSON
    """Turn msgspec's ``what - at `path``` into ``path: what``, with the value found there."""
    what, _, place = message.partition(" - at ")
    path = re.search(r"\$[^`]*", place)
    field = re.search(r"unknown field `(.+)`", what)
    found = list(_located(tree, _STEP.findall(path[0] if path else ""), ""))
    if field is not None:
        found = [(key, node) for key, node in found if isinstance(node, dict) and field[1] in node]
    if len(found) != 1:
        return f"{path[0].removeprefix('$').removeprefix('.') or 'the top level' if path else 'the top level'}: {what}"
    key, node = found[0]
    if isinstance(node, dict | list):
        return f"{key or 'the top level'}: {what}"
    shown = _shown(node)
    return f"{key or 'the file'} is {shown}: {what}"


def _located(node: Any, steps: list[tuple[str, str]], key: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 -- decoded JSON
    """What ``steps`` of msgspec's path may mean below ``node``: ``[...]`` is any key or index."""
    if not steps:
        yield key, node
        return
    (name, index), *rest = steps
    children: list[tuple[str, Any]] = []
    if isinstance(node, dict):
        chosen = node if index else {name: node[name]} if name in node else {}
        children = [(f"{key}.{child}" if key else child, value) for child, value in chosen.items()]
    elif isinstance(node, list):
        numbers = range(len(node)) if index == "..." else [int(index)] if index.isdigit() else []
        children = [(f"{key}[{number}]", node[number]) for number in numbers if number < len(node)]
    for path, child in children:
        yield from _located(child, rest, path)


def _shown(value: Any) -> str:  # noqa: ANN401 -- decoded JSON
    """``value`` as its file spells it, cut to a readable length."""
    shown = msgspec.json.encode(value).decode()
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}..."


def explain_syntax(message: str, raw: bytes) -> str:
    """What is wrong with the text, in a reader's words."""
    if not raw.strip():
        return "it is empty"
    if "truncated" in message:
        return "it ends too early"
    found = re.search(r"\(byte (\d+)\)", message)
    if found is None:
        return message
    before = raw[: int(found[1])]
    line, column = before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1
    word = re.match(rb"-?\w+", raw[int(found[1]) :])
    near = f", near {word[0].decode(errors='replace')!r}" if word else ""
    what = message.partition(" (byte")[0].removeprefix("JSON is malformed: ")
    return f"{what} at line {line}, column {column}{near}"
