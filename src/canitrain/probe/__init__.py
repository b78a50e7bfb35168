"""The probe room: this machine as ``Hardware``. Whatever cannot be read is ``Unknown`` with the reason."""

from canitrain.probe.machine import probe

__all__ = ["probe"]
