"""An estimate as low, expected and high."""

from __future__ import annotations

from msgspec import Struct

from canitrain.core.errors import CatalogError


class Interval(Struct, frozen=True, kw_only=True):
    """``low <= expected <= high``, all in the unit that the holder's name ends in."""

    low: float
    expected: float
    high: float

    def __post_init__(self) -> None:
        """Refuse an interval that is out of order or not a number."""
        if not self.low <= self.expected <= self.high:
            raise CatalogError(
                f"an interval is out of order: {self.low} <= {self.expected} <= {self.high}",
                hint="report this as a bug of canitrain",
            )

    def scaled(self, factor: float) -> Interval:
        """This interval times ``factor`` (>= 0)."""
        return Interval(low=self.low * factor, expected=self.expected * factor, high=self.high * factor)


def exactly(value: float) -> Interval:
    """An interval without width."""
    return Interval(low=value, expected=value, high=value)
