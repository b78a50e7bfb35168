"""A quantity as a line in the batch size: what a polynomial becomes once pixels and boxes are fixed."""

from __future__ import annotations

from msgspec import Struct


class Line(Struct, frozen=True, kw_only=True):
    """``fixed + per_image * batch_size``."""

    fixed: float
    per_image: float

    def at(self, batch_size: int) -> float:
        """The quantity for ``batch_size`` images."""
        return self.fixed + self.per_image * batch_size

    def plus(self, other: Line) -> Line:
        """The sum of both."""
        return Line(fixed=self.fixed + other.fixed, per_image=self.per_image + other.per_image)

    def scaled(self, factor: float) -> Line:
        """This line times ``factor``."""
        return Line(fixed=self.fixed * factor, per_image=self.per_image * factor)

    def less(self, other: Line) -> Line:
        """This line minus ``other``, neither term below zero: the difference still grows with the batch."""
        return Line(fixed=max(self.fixed - other.fixed, 0.0), per_image=max(self.per_image - other.per_image, 0.0))
