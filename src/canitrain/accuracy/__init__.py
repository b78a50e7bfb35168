"""Measured runs replayed through the estimators. Pure, like ``check``."""

from canitrain.accuracy.host import host_of
from canitrain.accuracy.images import images_of
from canitrain.accuracy.recipe import recipe_of
from canitrain.accuracy.replay import replay

__all__ = ["host_of", "images_of", "recipe_of", "replay"]
