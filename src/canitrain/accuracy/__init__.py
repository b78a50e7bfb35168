"""Measured runs replayed through the estimators. Pure, like ``check``."""

from canitrain.accuracy.recipe import recipe_of
from canitrain.accuracy.replay import replay

__all__ = ["recipe_of", "replay"]
