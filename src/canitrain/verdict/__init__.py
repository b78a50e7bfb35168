"""The verdict room."""
