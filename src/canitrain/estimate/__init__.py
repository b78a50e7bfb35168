"""The estimate room."""
