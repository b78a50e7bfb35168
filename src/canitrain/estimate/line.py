"""A quantity as a line in the batch size: what a polynomial becomes once pixels and boxes are fixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec import Struct


class Line(Struct, frozen=True, kw_only=True):
    """``fixed + per_image * batch_size``."""

    fixed: float
    per_image: float

    def at(self, batch_size: float) -> float:
        """The quantity for ``batch_size`` images."""
        return self.fixed + self.per_image * batch_size

    def plus(self, other: Line) -> Line:
        """The sum of both."""
        return Line(fixed=self.fixed + other.fixed, per_image=self.per_image + other.per_image)

    def scaled(self, factor: float) -> Line:
        """This line times ``factor``."""
        return Line(fixed=self.fixed * factor, per_image=self.per_image * factor)


T = TypeVar("T")


def upper_envelope(holders: Iterable[T], line_of: Callable[[T], Line]) -> tuple[T, ...]:
    """Those of ``holders`` whose line is the highest of all at some batch size, parts of an image too."""
    pairs = [(line_of(holder), holder) for holder in holders]
    pairs.sort(key=_slope_first)
    hull: list[tuple[Line, T]] = []
    for line, holder in pairs:
        while hull:
            last = hull[-1][0]
            if last.fixed > line.fixed and (len(hull) == 1 or not _hides(hull[-2][0], line, last)):
                break
            hull.pop()
        hull.append((line, holder))
    return tuple(holder for _, holder in hull)


def _slope_first(pair: tuple[Line, object]) -> tuple[float, float]:
    return pair[0].per_image, pair[0].fixed


def _hides(flatter: Line, steeper: Line, between: Line) -> bool:
    """Whether ``steeper`` overtakes ``flatter`` before ``between`` does."""
    overtaking = (flatter.fixed - steeper.fixed) * (between.per_image - flatter.per_image)
    return overtaking <= (flatter.fixed - between.fixed) * (steeper.per_image - flatter.per_image)
