"""The report in every format. Renderers return strings; only the command line prints."""

from canitrain.render.any_format import render

__all__ = ["render"]
