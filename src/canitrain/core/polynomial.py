"""Quantities of a training step as polynomials in batch, pixels and boxes."""

from __future__ import annotations

from msgspec import Struct


class BatchShape(Struct, frozen=True, kw_only=True):
    """One step's food: ``batch_size`` images a GPU, ``pixels`` (padded height x width) and ``boxes`` an image."""

    batch_size: int
    pixels: float
    boxes: float
    """Of the most crowded image of the batch."""
    other_boxes: float | None = None
    """Of each other image; ``None``: as many."""

    @property
    def boxes_of_others(self) -> float:
        """Boxes of an image that is not the most crowded one."""
        return self.boxes if self.other_boxes is None else self.other_boxes


class Polynomial(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Coefficients, none negative, over the basis of DESIGN section 3; b images, p pixels an image, n boxes an image.

    Non-negative coefficients make every quantity monotone in batch, pixels and boxes by construction.
    """

    one: float = 0.0
    b: float = 0.0
    p: float = 0.0
    n: float = 0.0
    bp: float = 0.0
    bn: float = 0.0
    pn: float = 0.0
    bpn: float = 0.0
    pp: float = 0.0
    bpp: float = 0.0

    @property
    def follows_pixels(self) -> bool:
        """Whether the quantity changes with the image size."""
        return any((self.p, self.bp, self.pn, self.bpn, self.pp, self.bpp))

    def plus(self, other: Polynomial, factor: float = 1.0) -> Polynomial:
        """This and ``factor`` (not negative) of ``other``."""
        return Polynomial(
            **{name: getattr(self, name) + factor * getattr(other, name) for name in self.__struct_fields__}
        )

    def less(self, other: Polynomial) -> Polynomial:
        """This without ``other``, no coefficient below zero: what is left still grows with batch, pixels and boxes."""
        return Polynomial(
            **{name: max(getattr(self, name) - getattr(other, name), 0.0) for name in self.__struct_fields__}
        )

    def at(self, shape: BatchShape) -> float:
        """The quantity at ``shape``, in the unit of the holder's name."""
        fixed, per_image = self.affine(shape)
        return fixed + per_image * shape.batch_size

    def affine(self, shape: BatchShape) -> tuple[float, float]:
        """``(fixed, per_image)`` at ``shape``'s size, so that the quantity is ``fixed + per_image * batch_size``.

        What is done image by image (``n``, ``pn``) has the boxes of the most crowded image; what all images of the
        batch have at once (``bn``, ``bpn``) has them once, and the others' for every other image.
        """
        pixels, boxes, others = shape.pixels, shape.boxes, shape.boxes_of_others
        of_a_box = self.bn + self.bpn * pixels
        fixed = self.one + self.p * pixels + self.n * boxes + self.pn * pixels * boxes + self.pp * pixels * pixels
        per_image = self.b + self.bp * pixels + of_a_box * others + self.bpp * pixels * pixels
        return fixed + of_a_box * (boxes - others), per_image
