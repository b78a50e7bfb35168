"""Facts that may be unknown: a value with its source, or a reason why there is none."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Known(Struct, Generic[T], frozen=True, kw_only=True, tag_field="state", tag="known"):
    """A value that was read, and where from (``/proc/meminfo``, ``nvmlDeviceGetMemoryInfo``)."""

    value: T
    source: str


class Unknown(Struct, frozen=True, kw_only=True, tag_field="state", tag="unknown"):
    """No value: ``reason`` says why, for a reader. Never replaced by a zero."""

    reason: str


def value_or_none(fact: Known[T] | Unknown) -> T | None:
    """The value, or ``None`` where the caller has a branch for not knowing."""
    return fact.value if isinstance(fact, Known) else None
