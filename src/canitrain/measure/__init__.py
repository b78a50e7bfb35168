"""Real training steps on this machine: how long they take and what memory they need. Imports torch when it runs."""

from canitrain.measure.measured import Measured, Training, measured_text, measurement_rows, remember, remembered_path
from canitrain.measure.run import measure

__all__ = ["Measured", "Training", "measure", "measured_text", "measurement_rows", "remember", "remembered_path"]
