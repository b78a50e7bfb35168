"""The probe room."""
