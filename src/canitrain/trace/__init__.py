"""The trace room: any torch model to a profile. Importing it does not import torch; ``trace_spec`` does when called."""

from canitrain.trace.spec import trace_spec
from canitrain.trace.writer import profile_json

__all__ = ["profile_json", "trace_spec"]
